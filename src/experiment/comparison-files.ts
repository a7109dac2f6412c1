/** Writes all that a comparison leaves behind: report.html, gallery.png, results.json, results.csv, results.md, results.tex; and says the outcome on the terminal. */
import { breathe } from '../compute/index.ts';
import { type MethodResult, type PairMetric, summarise } from '../evaluation/index.ts';
import { seedsFor, weightCount } from '../nca/index.ts';
import {
  comparisonCsv,
  comparisonGallery,
  comparisonJson,
  comparisonLatex,
  comparisonLines,
  comparisonMarkdown,
  comparisonPlots,
  comparisonTable,
  html,
  image,
  liveTiles,
  metricLabel,
  number,
  pairedTable,
  renderReport,
  type Section,
  strip,
  table,
} from '../report/index.ts';
import { environment, type Progress } from '../runs/index.ts';
import { backendReport } from '../tensor/index.ts';
import type { ContenderRecord } from './contender.ts';
import type { SamplingDraws } from './draws.ts';
import type { Experiment, RunContext } from './experiment.ts';
import { growth } from './growth.ts';
import { KEPT_METHODS, KEPT_TRAJECTORY, writeKeptNcas } from './kept-ncas.ts';
import type { Protocol } from './protocol.ts';
import { auditComparison, measureSampling, requireSamplers, samplingSection } from './sections/index.ts';

/** What a report of a comparison is written from, and what an experiment adds to it. */
export interface WrittenComparison<P> {
  readonly experiment: Experiment<P>;
  /** As the run was configured. */
  readonly parameters: P;
  /** Measured methods: contenders, baselines, bound. */
  readonly results: readonly MethodResult[];
  /** What the denoisers among them were and what they cost. */
  readonly contenders: readonly ContenderRecord[];
  /** Sections that come first: what the experiment is about, where that is not the comparison itself. */
  readonly leading?: readonly Section[];
  /** Further sections of the report. */
  readonly sections?: readonly Section[];
  /** What each model drew when it was asked more than once: a section of its own says whether it samples. */
  readonly draws?: readonly SamplingDraws[];
  /** Makes it an error when one of them does not. */
  readonly requireSampling?: boolean;
  /** More for results.json. */
  readonly record?: Readonly<Record<string, unknown>>;
}

/** Keeps what every method gave every texture, and how the first model's samples came into being: both grow again in `weightloom studio`. */
async function keepNcas<P>(
  { run }: RunContext,
  { study: { heldOut, spec, size }, ncaSteps: steps, maskSeed }: Protocol,
  { experiment, results, draws }: WrittenComparison<P>,
  targets: Float32Array,
): Promise<void> {
  const all = { steps, size, seeds: seedsFor(maskSeed, heldOut.names.length) };
  await writeKeptNcas(
    run.file(KEPT_METHODS),
    spec,
    {
      ...all,
      kind: 'methods',
      label: experiment.name,
      columns: results.map(({ name, kind }) => ({ name, kind })),
      textures: [...heldOut.names],
    },
    results.map(({ weights }) => weights),
    targets,
  );
  const watched = draws?.find(({ trajectory }) => trajectory !== null);
  if (!watched?.trajectory) return;
  const { sigmas, denoised, weights } = watched.trajectory;
  const count = weights.length / weightCount(spec);
  await writeKeptNcas(
    run.file(KEPT_TRAJECTORY),
    spec,
    {
      ...all,
      kind: 'trajectory',
      label: watched.label,
      columns: [...sigmas, 0].map(sigma => ({ name: `sigma ${number(sigma)}`, sigma })),
      textures: heldOut.names.slice(0, count),
      seeds: all.seeds.slice(0, count),
    },
    [denoised, weights],
    targets.subarray(0, count * size * size * 3),
  );
}

/** The denoiser of the best mean: what it grows is worth watching. */
function leaderOf(results: readonly MethodResult[], { name, better }: PairMetric): MethodResult | undefined {
  const sign = better === 'lower' ? 1 : -1;
  const [first] = summarise(results)
    .filter(({ kind }) => kind === 'denoiser')
    .sort((a, b) => sign * (a.metrics[name].mean - b.metrics[name].mean));
  return first && results.find(result => result.name === first.method);
}

/** The contenders: what each is and what it cost. */
const contenderTable = (contenders: readonly ContenderRecord[]) =>
  table(
    ['denoiser', 'parameters', 'training time', 'final denoising loss', 'respects'],
    contenders.map(({ label, parameterCount, trainingSeconds, curve, symmetries }) => [
      label,
      parameterCount.toLocaleString('en'),
      `${trainingSeconds.toFixed(0)} s`,
      curve.at(-1)?.loss.toPrecision(3) ?? '',
      symmetries.join(', ') || 'no symmetry',
    ]),
  );

/**
 * Writes the comparison with the audit of its denoisers into the run folder: gallery.png, weights.safetensors, results.csv, results.md, results.tex, report.html and, last,
 * results.json, which says that the run is finished. On the terminal it says the outcome.
 *
 *     await writeComparison(context, protocol, { experiment, parameters, results, contenders });
 */
export async function writeComparison<P>(
  context: RunContext,
  protocol: Protocol,
  written: WrittenComparison<P>,
): Promise<void> {
  const { results } = written;
  const { run } = context;
  const { heldOut } = protocol.study;
  const sampling = await measureSampling(context, protocol, written.draws ?? []);
  const audit = await auditComparison(context, protocol, results);
  const bar = context.progress('write the report', 4);
  try {
    await writeFiles(context, protocol, written, sampling, audit, bar);
  } finally {
    bar.stop();
  }
  const [lead] = protocol.metrics;
  context.say(
    `\n${metricLabel(lead.name)}, mean over ${heldOut.names.length} held-out textures [95% interval]`,
  );
  for (const line of comparisonLines(results, lead)) context.say(`  ${line}`);
  for (const { sentence } of sampling) context.say(`  ${sentence}`);
  for (const sentence of audit?.sentences ?? []) context.say(`  ${sentence}`);
  context.say(`\nreport   ${run.file('report.html')}\ngallery  ${run.file('gallery.png')}`);
  if (written.requireSampling) requireSamplers(sampling);
}

/** All files of a comparison; `bar` is told of each of four parts. */
async function writeFiles<P>(
  context: RunContext,
  protocol: Protocol,
  written: WrittenComparison<P>,
  sampling: Awaited<ReturnType<typeof measureSampling>>,
  audit: Awaited<ReturnType<typeof auditComparison>>,
  bar: Progress,
): Promise<void> {
  const { experiment, parameters, results, contenders } = written;
  // The first metric leads the paired table.
  const { study, metrics, ncaSteps } = protocol;
  const { run, signal } = context;
  const { heldOut, train, size, spec, pictured } = study;
  const done = async (parts: number) => {
    bar.update(parts);
    await breathe(signal);
  };
  const backend = backendReport();
  const targets = (await heldOut.pictures.data()) as Float32Array;
  const gallery = await comparisonGallery(
    { names: heldOut.names, targets: { data: targets, size } },
    results,
    size,
    `${experiment.name}: held-out ${pictured}s and what each method grows`,
  );
  run.write('gallery.png', gallery);
  await done(1);
  await keepNcas(context, protocol, written, targets);
  await done(2);
  run.write('results.csv', comparisonCsv(heldOut.names, results));
  run.write('results.md', comparisonMarkdown(summarise(results), metrics));
  run.write('results.tex', comparisonLatex(results, metrics, { command: context.command }));
  const record = {
    version: 1,
    experiment: experiment.name,
    command: context.command,
    config: parameters,
    environment: environment({ backend }),
    contenders: contenders.map(({ label, parameterCount, trainingSeconds, curve }) => ({
      label,
      parameterCount,
      trainingSeconds,
      curve,
    })),
    ...comparisonJson(heldOut.names, results, metrics),
    ...(audit ? { audit: audit.record } : {}),
    ...(sampling.length > 0 ? { sampling } : {}),
    ...written.record,
  };
  const [lead] = metrics;
  const leader = leaderOf(results, lead);
  const animations = leader
    ? await growth(spec, leader.weights, heldOut.names.length, size, ncaSteps, 0, signal)
    : [];
  await done(3);
  const { live, over } = liveTiles({
    spec,
    names: heldOut.names,
    results,
    size,
    steps: ncaSteps,
    seeds: seedsFor(protocol.maskSeed, heldOut.names.length),
  });
  const sections: Section[] = [
    ...(written.leading ?? []),
    {
      title: 'What was compared',
      body: html`<p>${train.names.length} training and ${heldOut.names.length} held-out NCAs of the spec ${spec.name}
(${(train.weights.length / train.names.length).toLocaleString('en')} weights each). Every denoiser saw the same batches, noise and conditions for the same number of
steps. Every method's weights were run for ${ncaSteps} steps at ${size} x ${size} with the same masks, and compared with the held-out ${pictured}s.
Diverged rollouts (non-finite or saturated) are counted in the last column and stay in every mean.</p>${contenderTable(contenders)}`,
    },
    {
      title: 'Results',
      body: html`<p class="dim">Mean over held-out textures with 95% interval; arrows say which way is better. Intervals are over textures and training seeds, by two-way variance components, where a method was
trained with several seeds, and over textures by Student's t, for the one seed, where it was not. Bold: the best, and what is not told
apart from it: paired by texture, exact sign flips where one seed is held fixed, and Holm's correction over all of a column. Much of these distances is colour; "structure" removes the mean colour first.</p>
${comparisonTable(results, metrics)}${await comparisonPlots(results, metrics.slice(0, 2))}`,
    },
    {
      title: `Texture by texture: ${metricLabel(lead.name)}`,
      body: html`<p class="dim">Each denoiser minus each other method, paired on the same textures, with 95% interval: ${lead.better === 'lower' ? 'negative' : 'positive'} means the
denoiser is nearer to the target, bold that it is told apart when all of the table is judged together (Holm).</p>
${pairedTable(results, lead)}`,
    },
    ...(sampling.length > 0 ? [samplingSection(sampling)] : []),
    {
      title: 'Gallery',
      body: html`<p class="dim">A click on a tile of ${live.places.length < heldOut.names.length ? `the first ${live.places.length} rows` : 'any row'} grows that NCA in its place.</p>
${image(gallery, 'target, denoisers, baselines and bound, one row a held-out texture', { csv: comparisonCsv(heldOut.names, results), over })}`,
    },
    ...(leader
      ? [
          {
            title: `Growing: ${leader.name}`,
            body: strip(
              animations.map((bytes, i) => ({ bytes, caption: heldOut.names[i] })),
              comparisonCsv(heldOut.names, [leader]),
            ),
          },
        ]
      : []),
    ...(audit ? [audit.section] : []),
    ...(written.sections ?? []),
  ];
  run.write(
    'report.html',
    await renderReport({
      title: `weightloom: ${experiment.name}`,
      question: experiment.question,
      sections,
      command: context.command,
      config: parameters,
      environment: environment({ backend }),
      live,
    }),
  );
  // The last one: a run that has its results is finished.
  run.write('results.json', `${JSON.stringify(record, null, 1)}\n`);
  bar.update(4);
}
