/**
 * Where should the condition enter a graph denoiser: in the global feature vector alone, on every node, as scale and shift in every layer, or
 * nowhere? One architecture, one budget, several seeds; the placements against each other texture by texture, and how much a sample
 * changes when another texture's condition is put in the place of its own.
 */
import * as t from 'io-ts';
import { meanOverSeeds } from '../src/evaluation/index.ts';
import {
  type ContenderRecord,
  contestKeys,
  type Experiment,
  html,
  listOf,
  loadDenoiser,
  type MethodResult,
  meanInterval,
  type Protocol,
  type RunContext,
  type Section,
  type StudySet,
  studyKeys,
  table,
  tf,
  trainingSection,
  weightCount,
  whole,
  withProtocol,
  writeComparison,
} from '../src/index.ts';
import { type Cell, intervalText, metricLabel, pairedTable } from '../src/report/index.ts';

const PLACEMENTS = {
  global: 'in the global state u, which every edge and node hears in every layer',
  nodes: 'added to the features that every node starts with',
  scale: 'scale and shift of the normalised nodes in every layer',
  none: 'nowhere: what can be had without a condition',
} as const;
const Placement = t.keyof(PLACEMENTS);

const Parameters = t.strict({
  ...studyKeys,
  ...contestKeys,
  preset: t.string,
  seeds: listOf(whole),
  placements: listOf(Placement),
  /** Of edge-mpnn, whatever the placement. */
  parameters: t.UnknownRecord,
  /** Other denoisers as they are, for reference, with their parameters. */
  references: t.record(t.string, t.UnknownRecord),
});
type Parameters = t.TypeOf<typeof Parameters>;

/** Everyone gets the condition of the texture half the set away: of another kind, where kinds take turns or stand together. */
const partners = (count: number) =>
  Array.from({ length: count }, (_, i) => (i + Math.floor(count / 2)) % count);

/** The set with every texture's pictures and features replaced by its partner's; to be disposed of. */
function swap(set: StudySet): StudySet & { dispose(): void } {
  const rows = partners(set.names.length);
  const [pictures, features] = tf.tidy(() => {
    const index = tf.tensor1d(rows, 'int32');
    return [tf.gather(set.pictures, index), tf.gather(set.features, index)];
  });
  return { ...set, pictures, features, dispose: () => tf.dispose([pictures, features]) };
}

/** What a swapped condition does, a number for each held-out texture. */
interface Sensitivity {
  readonly name: string;
  /** Root mean square change of the weights, in standard deviations of the training weights. */
  readonly weights: Float64Array;
  /** Distances by the leading metric: between the two samples' pictures, and from the swapped sample to the texture it was given and to the one it was not. */
  readonly pictures: Float64Array;
  readonly toGiven: Float64Array;
  readonly toFormer: Float64Array;
}

/** Two ways to weights for the held-out textures against each other. */
async function sensitivityOf(
  { study, metrics: [lead] }: Protocol,
  name: string,
  own: MethodResult,
  swapped: MethodResult,
): Promise<Sensitivity> {
  const { heldOut, size, spec, train } = study;
  const count = heldOut.names.length;
  const given = swap(heldOut);
  const [mine, other] = [own, swapped].map(({ pictures }) => tf.tensor4d(pictures, [count, size, size, 3]));
  try {
    return {
      name,
      weights: weightChange(own.weights, swapped.weights, deviations(train.weights, weightCount(spec))),
      pictures: await lead.compare(other, mine),
      toGiven: await lead.compare(other, given.pictures),
      toFormer: swapped.values[lead.name],
    };
  } finally {
    tf.dispose([mine, other]);
    given.dispose();
  }
}

/** Standard deviation of every weight over NCAs [n * size]. */
function deviations(weights: Float32Array, size: number): Float64Array {
  const count = weights.length / size;
  return Float64Array.from({ length: size }, (_, i) => {
    let [sum, squares] = [0, 0];
    for (let n = 0; n < count; n++) sum += weights[n * size + i] / count;
    for (let n = 0; n < count; n++) squares += (weights[n * size + i] - sum) ** 2;
    return Math.sqrt(squares / (count - 1));
  });
}

function weightChange(a: Float32Array, b: Float32Array, deviation: Float64Array): Float64Array {
  const size = deviation.length;
  return Float64Array.from({ length: a.length / size }, (_, n) => {
    const squares = deviation.map((s, i) => (s > 0 ? ((a[n * size + i] - b[n * size + i]) / s) ** 2 : 0));
    return Math.sqrt(squares.reduce((sum, x) => sum + x, 0) / size);
  });
}

/** One way to bring the condition in, with one seed: trained, sampled with own and swapped conditions, measured. */
async function trial(
  { run }: RunContext,
  protocol: Protocol,
  name: string,
  denoiser: string,
  seed: number,
  parameters: Record<string, unknown>,
  { diffusion, training, rollout, sampling }: Parameters,
) {
  const { contender, methods, inspected } = await protocol.contend(
    { denoiser, label: `${name} (seed ${seed})`, parameters, diffusion, training, rollout, sampling, seed },
    { [name]: {} },
    async trained => {
      const set = swap(protocol.study.heldOut);
      return trained.sample(set).finally(set.dispose);
    },
  );
  const [own, swapped] = await protocol.measure(
    [...methods, { name: 'swapped', kind: 'denoiser', weights: inspected }],
    `run and measure ${name}`,
  );
  const sensitivity = await sensitivityOf(protocol, name, own, swapped);
  run.log({ method: name, seed, values: own.values, sensitivity });
  return { contender, own, sensitivity };
}

/** What the held-out NCAs themselves differ by: as much as a sample that follows its condition should change. */
async function ownSensitivity(protocol: Protocol): Promise<Sensitivity> {
  const { heldOut, spec } = protocol.study;
  const size = weightCount(spec);
  const moved = new Float32Array(heldOut.weights.length);
  partners(heldOut.names.length).forEach((row, i) => {
    moved.set(heldOut.weights.subarray(row * size, (row + 1) * size), i * size);
  });
  const [own, swapped] = await protocol.measure([
    { name: 'own', kind: 'bound', weights: heldOut.weights },
    { name: 'swapped', kind: 'bound', weights: moved },
  ]);
  return sensitivityOf(protocol, 'held-out NCAs', own, swapped);
}

const CHANGES = ['weights', 'pictures', 'toGiven', 'toFormer'] as const;

/** The mean over seeds, texture by texture. */
function overRuns(runs: readonly Sensitivity[]): Sensitivity[] {
  return [...new Set(runs.map(({ name }) => name))].map(name => {
    const own = runs.filter(run => run.name === name);
    const mean = (key: (typeof CHANGES)[number]) =>
      own[0][key].map((_, i) => own.reduce((sum, run) => sum + run[key][i], 0) / own.length);
    return {
      name,
      weights: mean('weights'),
      pictures: mean('pictures'),
      toGiven: mean('toGiven'),
      toFormer: mean('toFormer'),
    };
  });
}

function sensitivitySection(found: readonly Sensitivity[], { study, metrics: [lead] }: Protocol): Section {
  const cell = (values: Float64Array): Cell => ({ text: intervalText(meanInterval(values)) });
  const metric = metricLabel(lead.name);
  return {
    title: 'Does the sample follow its condition?',
    body: html`<p>Every held-out texture is sampled twice from the same noise: with its own condition, and with that of another ${study.pictured}. A denoiser that follows
its condition changes its sample about as much as the two textures' own NCAs differ (last row), and lands near the texture it was given; one that ignores it does
not change.</p>
${table(
  [
    'denoiser, condition',
    'change of weights (deviations)',
    `change of picture (${metric})`,
    'swapped sample to the texture given',
    'to the one before',
  ],
  found.map(({ name, ...values }) => [name, ...CHANGES.map(key => cell(values[key]))]),
)}
<p class="dim">Mean over seeds and held-out textures with 95% interval. Weights: root mean square over all weights, each in standard deviations of the training NCAs'.</p>`,
  };
}

/** What each placement is, and how large the network is with it. */
const placementsList = (
  contenders: readonly ContenderRecord[],
  names: readonly (readonly [string, string])[],
) =>
  html`<ul>${names.map(([name, summary]) => {
    const found = contenders.find(({ label }) => label.startsWith(`${name} (`));
    return html`<li><b>${name}</b>: ${summary}; ${found?.parameterCount.toLocaleString('en')} parameters</li>`;
  })}</ul>`;

const globalFeature: Experiment<Parameters> = {
  name: 'global-feature',
  question:
    'Where should the condition enter a graph denoiser: in the global feature vector alone, on every node, as scale and shift in every layer, or nowhere?',
  parameters: Parameters,

  async run(context, parameters) {
    const { placements, references, seeds } = parameters;
    for (const denoiser of Object.keys(references)) await loadDenoiser(denoiser);
    const trials = [
      ...placements.map(condition => ({
        name: `edge-mpnn, ${condition}`,
        summary: PLACEMENTS[condition] as string,
        denoiser: 'edge-mpnn',
        parameters: { ...parameters.parameters, condition },
      })),
      ...Object.entries(references).map(([denoiser, own]) => ({
        name: denoiser,
        summary: 'another architecture, as it is',
        denoiser,
        parameters: own,
      })),
    ];
    await withProtocol(context, parameters, async protocol => {
      const contenders: ContenderRecord[] = [];
      const runs: MethodResult[] = [];
      const changes: Sensitivity[] = [];
      for (const { name, denoiser, parameters: own } of trials) {
        for (const seed of seeds) {
          const found = await trial(context, protocol, name, denoiser, seed, own, parameters);
          contenders.push(found.contender);
          runs.push(found.own);
          changes.push(found.sensitivity);
        }
      }
      const denoisers = meanOverSeeds(runs);
      const sensitivity = [...overRuns(changes), await ownSensitivity(protocol)];
      await writeComparison(context, protocol, {
        experiment: globalFeature,
        parameters,
        results: [...denoisers, ...(await protocol.baselines(seeds[0]))],
        contenders,
        leading: [
          {
            title: 'Placements against each other',
            body: html`<p>The noise level is in the global state whatever the placement. All placements treat every hidden unit alike, so each is equivariant to hidden
permutations.</p>${placementsList(
              contenders,
              trials.map(({ name, summary }) => [name, summary] as const),
            )}
${protocol.metrics.slice(0, 2).map(
  metric => html`<p>${metricLabel(metric.name)}: column less row, paired by texture, mean over seeds with 95% interval; bold where the
column is surely better.</p>${pairedTable(denoisers, metric)}`,
)}`,
          },
          sensitivitySection(sensitivity, protocol),
        ],
        sections: [
          await trainingSection(contenders.filter(({ label }) => label.endsWith(`(seed ${seeds[0]})`))),
        ],
        record: {
          sensitivity: sensitivity.map(({ name, ...values }) => ({
            name,
            ...Object.fromEntries(CHANGES.map(key => [key, meanInterval(values[key])])),
          })),
        },
      });
    });
  },
};

export default globalFeature;
