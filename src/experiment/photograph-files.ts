/** Writes what a comparison on pictures of one's own leaves behind: report.html, compare.png, weights.safetensors, results.csv and, last, results.json. */
import { type MethodResult, renderWeights } from '../evaluation/index.ts';
import { seedsFor } from '../nca/index.ts';
import {
  comparisonCsv,
  comparisonJson,
  liveTiles,
  type Photographs,
  photographGallery,
  photographSections,
  renderReport,
} from '../report/index.ts';
import { environment } from '../runs/index.ts';
import { backendReport } from '../tensor/index.ts';
import type { Experiment, RunContext } from './experiment.ts';
import { KEPT_METHODS, writeKeptNcas } from './kept-ncas.ts';
import type { Protocol } from './protocol.ts';
import { tuningRecord } from './sections/index.ts';

/** What is written, but for what the protocol knows. */
export interface WrittenPhotographs<P> {
  readonly experiment: Experiment<P>;
  readonly parameters: P;
  readonly photographs: Omit<Photographs, 'targets' | 'size' | 'metrics' | 'growth'>;
  /** Methods that are shown as they grow. */
  readonly grown: readonly MethodResult[];
}

/** The picture of the comparison in the run folder. */
export const COMPARED = 'compare.png';

/** NCA steps at which growth is shown: the measured picture is the last but one, the last one four times as long. */
const stepsShown = (steps: number): number[] => [
  ...[8, 16, 32, 64, 128].filter(step => step < steps),
  steps,
  4 * steps,
];

async function growthOf(
  { progress, signal }: RunContext,
  { study: { spec, size }, ncaSteps, maskSeed }: Protocol,
  methods: readonly MethodResult[],
): Promise<Photographs['growth']> {
  const steps = stepsShown(ncaSteps);
  const bar = progress('grow', methods.length);
  try {
    const grown = [];
    for (const { name, kind, weights } of methods) {
      const pictures: Float32Array[] = [];
      for (const step of steps) {
        signal.throwIfAborted();
        pictures.push((await renderWeights(spec, weights, { steps: step, size, seed: maskSeed })).pictures);
      }
      bar.update(grown.push({ name, kind, pictures }));
    }
    return { steps, methods: grown };
  } finally {
    bar.stop();
  }
}

/** Writes the comparison into the run folder and says the verdicts on the terminal. */
export async function writePhotographs<P>(
  context: RunContext,
  protocol: Protocol,
  { experiment, parameters, photographs: given, grown }: WrittenPhotographs<P>,
): Promise<void> {
  const { run, say, command } = context;
  const { study, metrics, ncaSteps, maskSeed } = protocol;
  const { heldOut, size, spec } = study;
  const { names, results, judged, verdicts } = given;
  const targets = (await heldOut.pictures.data()) as Float32Array;
  const growth = await growthOf(context, protocol, grown);
  const photographs: Photographs = { ...given, targets, size, metrics, growth };
  const gallery = await photographGallery(photographs);
  run.write(COMPARED, gallery);
  const seeds = seedsFor(maskSeed, names.length);
  await writeKeptNcas(
    run.file(KEPT_METHODS),
    spec,
    {
      kind: 'methods',
      label: experiment.name,
      columns: results.map(({ name, kind }) => ({ name, kind })),
      textures: [...names],
      steps: ncaSteps,
      size,
      seeds,
    },
    results.map(({ weights }) => weights),
    targets,
  );
  run.write('results.csv', comparisonCsv(names, results));
  const { live, over } = liveTiles({ spec, names, results, size, steps: ncaSteps, seeds, captions: true });
  const backend = backendReport();
  run.write(
    'report.html',
    await renderReport({
      title: 'weightloom: your pictures',
      question: experiment.question,
      sections: await photographSections(photographs, gallery, over),
      command,
      config: parameters,
      environment: environment({ backend }),
      live,
    }),
  );
  const record = {
    version: 1,
    experiment: experiment.name,
    command,
    config: parameters,
    environment: environment({ backend }),
    ...comparisonJson(names, results, metrics),
    verdicts: names.map((name, i) => ({ picture: name, notes: given.notes[i], ...finite(verdicts[i]) })),
    fineTuning: tuningRecord(judged.tuning, []),
    seconds: given.seconds,
  };
  run.write('results.json', `${JSON.stringify(record, null, 1)}\n`);
  say('');
  names.forEach((name, i) => {
    say(`${name} ${verdicts[i].sentence}`);
  });
  say(`\nreport   ${run.file('report.html')}\npicture  ${run.file(COMPARED)}`);
}

/** Infinity is no JSON: an open end is null. */
const finite = (value: unknown): Record<string, unknown> =>
  JSON.parse(
    JSON.stringify(value, (_, part) => (typeof part === 'number' && !Number.isFinite(part) ? null : part)),
  );
