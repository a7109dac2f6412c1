/**
 * What do equivariance and exact augmentation buy? The quality on held-out textures against the number of training NCAs, twice: on the zoo as
 * it is, whose NCAs share the order of their hidden units where they share a base, and on the same zoo with every training NCA's
 * hidden units in a random order of its own. Denoisers that know the order, that learn from reordered copies, and that cannot tell orders apart.
 */
import * as t from 'io-ts';
import { mappingOf, mergeConfigs } from '../src/config/index.ts';
import {
  BASELINES,
  meanOverSeeds,
  ORBIT_BASELINES,
  overSeeds,
  summarise,
  trainedEquivarianceError,
} from '../src/evaluation/index.ts';
import {
  type Contender,
  disorderWeights,
  matchedWeights,
  nestedOrder,
  recoveredUnits,
  substudy,
} from '../src/experiment/index.ts';
import {
  BOUND,
  type ContenderRecord,
  contestKeys,
  type Experiment,
  html,
  listOf,
  loadDenoiser,
  type MethodResult,
  meanInterval,
  type Protocol,
  paired,
  type RunContext,
  type Section,
  type Study,
  studyKeys,
  table,
  tf,
  weightCount,
  whole,
  withProtocol,
  writeComparison,
} from '../src/index.ts';
import { curveChart, intervalText, metricLabel, plots } from '../src/report/index.ts';
import { verifyDenoiser } from '../src/testing/index.ts';

const Order = t.keyof({ aligned: null, permuted: null, matched: null });
type Order = t.TypeOf<typeof Order>;

const Parameters = t.strict({
  ...studyKeys,
  ...contestKeys,
  preset: t.string,
  seeds: listOf(whole),
  /** Shares of the training NCAs, the largest last. */
  shares: listOf(t.refinement(t.number, x => x > 0 && x <= 1, 'a share above 0, at most 1')),
  orders: listOf(Order),
  /** By the name they have in tables. */
  methods: mappingOf(
    t.intersection([
      t.strict({ denoiser: t.string }),
      t.partial({ parameters: t.UnknownRecord, augmented: t.boolean }),
    ]),
  ),
  /** What the permuted zoo and the augmentation do to hidden units. */
  disorder: t.array(t.keyof({ 'hidden-permutation': null, 'hidden-scaling': null })),
  /** What of the diffusion is different where the order says nothing: other noise levels decide there. */
  orderless: t.strict({ diffusion: t.UnknownRecord }),
  /** Baselines measured at every size. */
  baselines: t.array(t.keyof({ ...BASELINES, ...ORBIT_BASELINES })),
});
type Parameters = t.TypeOf<typeof Parameters>;

/** One training set: all its results, denoisers first. */
interface Cell {
  readonly order: Order;
  readonly size: number;
  readonly results: readonly MethodResult[];
  /** What was trained, one for each method and seed. */
  readonly contenders: readonly ContenderRecord[];
  /** Relative error of the trained denoisers under hidden permutations, by method; where the statistics are shared. */
  readonly errors: Readonly<Record<string, number>>;
}

/** Statistics that hidden permutations share: normalising then says nothing of a unit's place. */
const SHARED = ['hidden-permutation'] as const;

/** NCAs on which the trained denoisers' equivariance is measured. */
const PROBED = 16;

async function probe(contender: Contender, study: Study, seed: number): Promise<number> {
  const { train, encoder, spec } = study;
  const count = Math.min(PROBED, train.names.length);
  const tokens = tf.tidy(() => encoder.project(tf.slice(train.features, [0, 0, 0], [count, -1, -1])));
  try {
    return await trainedEquivarianceError({
      ...contender,
      symmetry: 'hidden-permutation',
      weights: contender.normaliser.normalise(train.weights.slice(0, count * weightCount(spec))),
      tokens,
      seed,
    });
  } finally {
    tokens.dispose();
  }
}

/** All methods with all seeds on one training set, and the baselines. */
async function trainOn(
  { run }: RunContext,
  protocol: Protocol,
  order: Order,
  { methods, seeds, disorder, diffusion, orderless, training, rollout, sampling, baselines }: Parameters,
): Promise<Cell> {
  const { study } = protocol;
  const size = study.train.names.length;
  const runs: MethodResult[] = [];
  const contenders: ContenderRecord[] = [];
  const errors: Record<string, number> = {};
  const mixed = mergeConfigs(diffusion, orderless.diffusion) as Record<string, unknown>;
  for (const [name, { denoiser, parameters, augmented = false }] of Object.entries(methods)) {
    // Where the order says nothing, or is made to say nothing, no method is given anything that depends on it.
    const lost = order === 'permuted' || augmented;
    for (const seed of seeds) {
      const {
        contender,
        methods: sampled,
        inspected: error,
      } = await protocol.contend(
        {
          denoiser,
          parameters,
          label: `${name}, ${size}, ${order} (seed ${seed})`,
          diffusion: lost ? mixed : diffusion,
          training,
          rollout,
          hiddenAugmentation: augmented ? disorder : [],
          sharedStatistics: lost ? SHARED : [],
          anchor: !lost,
          sampling,
          seed,
        },
        { [name]: {} },
        async trained => (lost ? probe(trained, study, seed) : null),
      );
      if (error !== null) errors[name] = (errors[name] ?? 0) + error / seeds.length;
      contenders.push(contender);
      const measured = await protocol.measure(sampled, `run and measure ${name}`);
      for (const { values } of measured) run.log({ method: name, size, order, seed, values });
      runs.push(...measured);
    }
  }
  const simple = await protocol.baselines(seeds[0], [...baselines, BOUND]);
  return { order, size, results: [...meanOverSeeds(runs), ...simple], contenders, errors };
}

/** Every training set in turn: subsets are nested, and the same textures in both orders. */
async function trainOnAll(context: RunContext, protocol: Protocol, parameters: Parameters) {
  const { shares, orders, disorder, seeds } = parameters;
  const { study } = protocol;
  const { names, weights } = study.train;
  const rows = nestedOrder(names, seeds[0]);
  const permuted = disorderWeights(study.spec, weights, disorder, seeds[0]);
  const ordered: Record<Order, () => Float32Array> = {
    aligned: () => weights,
    permuted: () => permuted,
    matched: () => matchedWeights(study.spec, permuted, study.zoo.base ?? permuted),
  };
  const counts = [...new Set(shares.map(share => Math.max(2, Math.round(share * names.length))))];
  counts.sort((a, b) => a - b);
  const cells: Cell[] = [];
  for (const order of orders) {
    const own = ordered[order]();
    for (const count of counts) {
      const part = await substudy(study, {
        rows: rows.slice(0, count),
        weights: own,
      });
      try {
        cells.push(await trainOn(context, protocol.on(part), order, parameters));
      } finally {
        part.dispose();
      }
    }
  }
  return { cells, recovered: recoveredUnits(study.spec, weights, permuted) };
}

const TITLES: Record<Order, string> = {
  aligned: 'the zoo as it is',
  permuted: 'hidden units permuted',
  matched: 'permuted, then matched',
};

/** Curves of the two leading metrics, both orders side by side. */
async function curves(cells: readonly Cell[], protocol: Protocol) {
  const charts = protocol.metrics.slice(0, 2).map(async metric => {
    const points = (order: Order) =>
      cells
        .filter(cell => cell.order === order)
        .flatMap(({ size, results }) =>
          results.map(({ name, kind, values }) => ({
            series: name,
            x: size,
            ...meanInterval(values[metric.name]),
            reference: kind !== 'denoiser',
          })),
        );
    const orders = [...new Set(cells.map(({ order }) => order))];
    const ends = orders.flatMap(points).flatMap(({ low, high }) => [low, high]);
    const svgs = orders.map(order =>
      curveChart({
        title: TITLES[order],
        x: 'training NCAs',
        y: metricLabel(metric.name),
        points: points(order),
        range: [0, 1.05 * Math.max(...ends)],
      }),
    );
    return plots(...(await Promise.all(svgs)));
  });
  return Promise.all(charts);
}

/** A row for each method and order, a column for each size. */
function sizesTable(cells: readonly Cell[], protocol: Protocol) {
  const [lead] = protocol.metrics;
  const sizes = [...new Set(cells.map(({ size }) => size))];
  const orders = [...new Set(cells.map(({ order }) => order))];
  const names = [...new Set(cells.flatMap(({ results }) => results.map(({ name }) => name)))];
  const at = (order: Order, size: number, name: string) =>
    cells.find(cell => cell.order === order && cell.size === size)?.results.find(r => r.name === name);
  const rows = names.flatMap(name =>
    orders.map(order => [
      name,
      order,
      ...sizes.map(size => {
        const found = at(order, size, name);
        return found ? intervalText(meanInterval(found.values[lead.name])) : '';
      }),
    ]),
  );
  const largest = sizes.at(-1)!;
  const costs = orders
    .filter(order => order !== 'aligned')
    .flatMap(order =>
      names.flatMap(name => {
        const [aligned, other] = (['aligned', order] as const).map(which => at(which, largest, name));
        if (!aligned || !other || aligned.kind === 'bound') return [];
        const difference = paired(other, aligned, lead.name);
        return [
          [
            name,
            order,
            intervalText(difference),
            difference.significant ? (difference.mean > 0 ? 'higher' : 'lower') : 'not apart',
          ],
        ];
      }),
    );
  return html`${table(['method', 'hidden units', ...sizes.map(size => `${size} NCAs`)], rows)}
<p>What the lost order costs with all ${largest} NCAs: ${metricLabel(lead.name)} on the zoo in that order less that on the zoo as it is, paired by texture.</p>
${table(['method', 'hidden units', 'less aligned', '95% interval says'], costs)}`;
}

/** How equivariant the architectures are, and what training made of the others. */
async function equivarianceTable(
  context: RunContext,
  { study }: Protocol,
  cells: readonly Cell[],
  { methods, seeds }: Parameters,
) {
  const condition = { tokens: study.encoder.tokens, width: study.encoder.width };
  const sizes = [...new Set(cells.filter(({ order }) => order === 'permuted').map(({ size }) => size))];
  const architectures: Record<string, number> = {};
  for (const [name, { denoiser, parameters }] of Object.entries(methods)) {
    context.signal.throwIfAborted();
    const kind = await loadDenoiser(denoiser);
    const [verdict] = await verifyDenoiser(kind, {
      spec: study.spec,
      symmetries: ['hidden-permutation'],
      config: { ...kind.defaults, ...parameters },
      condition,
      trials: 8,
      seed: seeds[0],
      shrink: false,
      signal: context.signal,
    });
    architectures[name] = verdict.worst;
  }
  const rows = Object.keys(methods).map(name => [
    name,
    architectures[name].toExponential(1),
    ...sizes.map(size => {
      const cell = cells.find(found => found.order === 'permuted' && found.size === size);
      const error = cell?.errors[name];
      return error === undefined ? '' : error.toExponential(1);
    }),
  ]);
  const body = html`<p class="dim">First column: largest relative error |F(g w) − g F(w)| / |F(w)| over random weights, permutations g and noise levels, of the
architecture with random variables, its anchor moved with the weights. The others: the same of the trained models' denoised weights on the permuted zoo, over training
NCAs and the noise levels of training, root mean square, without an anchor. Rounding is about 1e-6.</p>
${table(['method', 'architecture', ...sizes.map(size => `trained on ${size}`)], rows)}`;
  return { body, architectures };
}

const equivariance: Experiment<Parameters> = {
  name: 'equivariance',
  question:
    'What do equivariance and exact augmentation buy? Quality on held-out textures against the number of training NCAs, on a zoo whose NCAs share the order of their hidden units and on one where every NCA has its own.',
  parameters: Parameters,

  async run(context, parameters) {
    for (const { denoiser } of Object.values(parameters.methods)) await loadDenoiser(denoiser);
    await withProtocol(context, parameters, async protocol => {
      const { cells, recovered } = await trainOnAll(context, protocol, parameters);
      const errors = await equivarianceTable(context, protocol, cells, parameters);
      const last = cells.filter(({ order }) => order === parameters.orders[0]).at(-1)!;
      const denoisers = (cell: Cell) => cell.results.filter(({ kind }) => kind === 'denoiser');
      const others = cells
        .filter(({ order, size }) => order !== last.order && size === last.size)
        .flatMap(cell => denoisers(cell).map(result => overSeeds([result], `${result.name}, ${cell.order}`)));
      const anchored = protocol.study.zoo.base !== null;
      const leading: Section[] = [
        {
          title: 'Quality against the number of training NCAs',
          body: html`<p>Subsets are nested and hold every kind of texture alike; every method saw ${parameters.training.steps ?? 'the default number of'} batches whatever the
size. Mean over ${parameters.seeds.length === 1 ? 'one seed' : `${parameters.seeds.length} seeds`}, 95% interval over held-out textures; dashed: baselines and bound.</p>
${await curves(cells, protocol)}
<p><b>The zoo as it is.</b> ${
            anchored
              ? 'Its NCAs were fine-tuned from one base, so a hidden unit is much the same in all of them. Every method may use that: through a mean and deviation for each weight, and the equivariant ones through the base as an anchor, which tells their units apart.'
              : 'It has no common base: what its NCAs share, if anything, enters through a mean and deviation for each weight; there is no anchor.'
          }
The augmented transformer gives it up: it sees every NCA in a new order each time, with statistics shared over all units.</p>
<p><b>Permuted.</b> Every training NCA's units stand in a random order of its own (${parameters.disorder.join(', ')}); what the NCAs grow is the same. No method has an
anchor, and all have statistics shared over units, which is all the order leaves to know; all are trained at lower noise levels, where units take their places
(<code>orderless</code> in the configuration, for the augmented transformer too): above them an order is anyone's guess. A strictly equivariant method without anchor cannot tell the two zoos apart, so its permuted
curve is also what it would do on the zoo as it is without anchor.</p>${
            parameters.orders.includes('matched')
              ? html`<p><b>Permuted, then matched.</b> Weight matching (linear assignment) brings every permuted NCA to the order nearest to ${
                  anchored ? 'the base' : 'the first training NCA'
                }; then every method is trained as on the zoo as it is.</p>`
              : ''
          }`,
        },
        {
          title: `By size: ${metricLabel(protocol.metrics[0].name)}`,
          body: html`${sizesTable(cells, protocol)}
<p>Can the order be found again? Weight matching to the first NCA (linear assignment) puts ${(100 * recovered).toFixed(1)}% of the permuted zoo's hidden units back where
the zoo as it is has them. Where that is nearly all of them, aligning first is the alternative to every method here.</p>`,
        },
        { title: 'Equivariance errors', body: errors.body },
      ];
      await writeComparison(context, protocol, {
        experiment: equivariance,
        parameters,
        results: [...denoisers(last), ...others, ...(await protocol.baselines(parameters.seeds[0]))],
        contenders: cells.filter(({ size }) => size === last.size).flatMap(({ contenders }) => contenders),
        leading,
        record: {
          cells: cells.map(({ order, size, results, contenders, errors }) => ({
            order,
            size,
            summary: summarise(results),
            training: contenders.map(({ label, trainingSeconds, curve }) => ({
              label,
              trainingSeconds,
              finalLoss: curve.at(-1)?.loss,
            })),
            trainedEquivarianceError: errors,
          })),
          architectureEquivarianceError: errors.architectures,
          recoveredByAlignment: recovered,
        },
      });
    });
  },
};

export default equivariance;
