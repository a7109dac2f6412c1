/**
 * How many NCAs does a weight initialiser need, and what stands between it and the bound? Methods on nested training sets of growing size, beside two
 * measurements that take the gap apart: the held-out NCAs' own weights projected on the span of the training weights (what is lost if only mixtures of
 * training NCAs are answered with), and the same model on textures it was trained on (what is lost by condition and optimisation, and not by generalising).
 */
import * as t from 'io-ts';
import { mappingOf, orThrow } from '../src/config/index.ts';
import { checkDiffusion } from '../src/diffusion/index.ts';
import {
  BASELINES,
  meanOverSeeds,
  ORBIT_BASELINES,
  powerExponent,
  spanProjections,
  summarise,
} from '../src/evaluation/index.ts';
import { checkContenders, nestedOrder, substudy } from '../src/experiment/index.ts';
import {
  BOUND,
  type ContenderRecord,
  contestKeys,
  type Experiment,
  html,
  listOf,
  type Method,
  type MethodResult,
  meanInterval,
  natural,
  type Protocol,
  paired,
  type RunContext,
  type Section,
  type Study,
  studyKeys,
  table,
  tf,
  trainingSection,
  weightCount,
  whole,
  withProtocol,
  writeComparison,
} from '../src/index.ts';
import { curveChart, type Html, intervalText, metricLabel, number, plots } from '../src/report/index.ts';

const Parameters = t.strict({
  ...studyKeys,
  ...contestKeys,
  preset: t.string,
  seeds: listOf(whole),
  /** Training NCAs; numbers above those of the zoo stand for all of them. */
  counts: listOf(natural),
  /** By the name they have in tables; with a process of their own, or that of `diffusion`. */
  methods: mappingOf(
    t.intersection([
      t.strict({ denoiser: t.string }),
      t.partial({ parameters: t.UnknownRecord, diffusion: t.UnknownRecord }),
    ]),
  ),
  /** Baselines measured at every size. */
  baselines: t.array(t.keyof({ ...BASELINES, ...ORBIT_BASELINES })),
  /** Principal components of the training weights that own weights are projected on; a number above all stands for the whole span. */
  span: t.array(natural),
});
type Parameters = t.TypeOf<typeof Parameters>;

/** One training set: what was measured on the held-out textures, and of the trained models on as many of their own. */
interface Cell {
  readonly size: number;
  readonly results: readonly MethodResult[];
  readonly own: readonly MethodResult[];
  /** Of the variance of held-out weights about the training mean, by rank. */
  readonly spanned: Readonly<Record<string, number>>;
  readonly contenders: readonly ContenderRecord[];
}

const spanName = (rank: number, size: number) =>
  rank >= size ? 'own weights in the span' : `own weights, ${rank} components`;

/** The study that asks about its own first training textures. */
function aboutItself(study: Study): Study {
  const { train, heldOut, spec } = study;
  const count = Math.min(train.names.length, heldOut.names.length);
  const [pictures, features] = tf.tidy(() => [
    tf.slice(train.pictures, 0, count),
    tf.slice(train.features, 0, count),
  ]);
  return {
    ...study,
    heldOut: {
      names: train.names.slice(0, count),
      weights: train.weights.slice(0, count * weightCount(spec)),
      pictures,
      features,
    },
    dispose: () => tf.dispose([pictures, features]),
  };
}

async function trainOn(
  { run, signal }: RunContext,
  protocol: Protocol,
  { methods, seeds, diffusion, training, rollout, sampling, baselines, span }: Parameters,
): Promise<Cell> {
  const { study } = protocol;
  const { train, heldOut, spec } = study;
  const size = train.names.length;
  const inward = aboutItself(study);
  try {
    const [outside, inside]: MethodResult[][] = [[], []];
    const contenders: ContenderRecord[] = [];
    for (const [name, { denoiser, parameters, diffusion: process }] of Object.entries(methods)) {
      for (const seed of seeds) {
        const {
          contender,
          methods: sampled,
          inspected: own,
        } = await protocol.contend(
          {
            denoiser,
            parameters,
            label: `${name}, ${size} (seed ${seed})`,
            diffusion: process ?? diffusion,
            training,
            rollout,
            sampling,
            seed,
          },
          { [name]: {} },
          trained => trained.sample(inward.heldOut),
        );
        contenders.push(contender);
        const found = await protocol.measure(sampled, `run and measure ${name}`);
        for (const { values } of found) run.log({ method: name, size, seed, values });
        outside.push(...found);
        inside.push(
          ...(await protocol
            .on(inward)
            .measure([{ name, kind: 'denoiser', weights: own }], `${name} on its own`)),
        );
      }
    }
    const ranks = [...new Set(span.map(rank => Math.min(rank, size)))];
    const projections = await spanProjections(
      train.weights,
      heldOut.weights,
      weightCount(spec),
      ranks,
      signal,
    );
    const projected = projections.map(
      ({ weights }, i): Method => ({ name: spanName(ranks[i], size), kind: 'baseline', weights }),
    );
    return {
      size,
      results: [
        ...meanOverSeeds(outside),
        ...(await protocol.baselines(seeds[0], [...baselines, BOUND])),
        ...(await protocol.measure(projected, 'run and measure projections')),
      ],
      own: meanOverSeeds(inside),
      spanned: Object.fromEntries(projections.map(({ share }, i) => [spanName(ranks[i], size), share])),
      contenders,
    };
  } finally {
    inward.dispose();
  }
}

/** Every size in turn; the sets are nested and hold every kind of texture alike. */
async function trainOnAll(context: RunContext, protocol: Protocol, parameters: Parameters): Promise<Cell[]> {
  const { names } = protocol.study.train;
  const rows = nestedOrder(names, parameters.seeds[0]);
  const counts = [...new Set(parameters.counts.map(count => Math.max(4, Math.min(count, names.length))))];
  const cells: Cell[] = [];
  for (const count of counts.sort((a, b) => a - b)) {
    const part = await substudy(protocol.study, { rows: rows.slice(0, count) });
    try {
      cells.push(await trainOn(context, protocol.on(part), parameters));
    } finally {
      part.dispose();
    }
  }
  return cells;
}

/** Methods in the order of the largest set. */
const namesOf = (cells: readonly Cell[]) => cells.at(-1)!.results.map(({ name }) => name);
const at = (cell: Cell, name: string) => cell.results.find(result => result.name === name);

async function curves(cells: readonly Cell[], { metrics }: Protocol) {
  const charts = metrics.slice(0, 2).map(({ name: metric }) =>
    curveChart({
      x: 'training NCAs',
      y: metricLabel(metric),
      points: cells.flatMap(({ size, results }) =>
        results.map(({ name, kind, values }) => ({
          series: name,
          x: size,
          ...meanInterval(values[metric]),
          reference: kind !== 'denoiser',
        })),
      ),
    }),
  );
  return plots(...(await Promise.all(charts)));
}

function sizesTable(cells: readonly Cell[], metric: string) {
  const sizes = cells.map(({ size }) => size);
  const rows = namesOf(cells).map(name => {
    const found = cells.map(cell => at(cell, name));
    const whole = found.every(result => result !== undefined);
    return [
      name,
      ...found.map(result => (result ? intervalText(meanInterval(result.values[metric])) : '')),
      // The bound knows nothing of the training set.
      whole && sizes.length > 1 && name !== BOUND
        ? intervalText(
            powerExponent(
              sizes,
              found.map(result => result!.values[metric]),
            ),
          )
        : '',
    ];
  });
  return table(['method', ...sizes.map(size => `${size} NCAs`), 'exponent'], rows);
}

/** Every method as a multiple of ridge and of the bound of the same run, and whether it is told apart from each baseline. */
function ratiosTable(cell: Cell, metric: string) {
  const mean = (name: string) => {
    const result = at(cell, name);
    return result ? meanInterval(result.values[metric]).mean : Number.NaN;
  };
  const ratio = (a: number, b: number) => (Number.isFinite(a / b) ? number(a / b) : '');
  const rows = cell.results.map(({ name }) => [
    name,
    number(mean(name)),
    ratio(mean(name), mean('ridge')),
    ratio(mean(name), mean(BOUND)),
  ]);
  return table(['method', metricLabel(metric), 'of ridge', 'of the bound'], rows);
}

/** The way from the bound to each model, in steps. */
function gapTable(cells: readonly Cell[], metric: string) {
  const rows = cells.flatMap(cell => {
    const bound = at(cell, BOUND)!;
    const span = at(cell, 'own weights in the span');
    return cell.own.map(({ name, values }) => {
      const model = at(cell, name)!;
      return [
        `${name}, ${cell.size} NCAs`,
        intervalText(meanInterval(bound.values[metric])),
        span ? intervalText(paired(span, bound, metric)) : '',
        span ? intervalText(paired(model, span, metric)) : '',
        intervalText(meanInterval(values[metric])),
        intervalText(meanInterval(model.values[metric])),
      ];
    });
  });
  return table(
    [
      'model',
      'bound',
      'span − bound',
      'model − span',
      'on textures it was trained on',
      'on held-out textures',
    ],
    rows,
  );
}

const scaling: Experiment<Parameters> = {
  name: 'scaling',
  question:
    'How does the quality on held-out textures grow with the number of training NCAs, and what stands between a model and the bound: the span of the training weights, or what the condition says of them?',
  parameters: Parameters,

  async run(context, parameters) {
    const { diffusion, rollout } = parameters;
    await checkContenders(
      Object.entries(parameters.methods).map(([name, method]) => ({
        where: `methods.${name}`,
        rollout,
        ...method,
        diffusion: method.diffusion ?? diffusion,
      })),
    );
    orThrow(checkDiffusion(diffusion));
    await withProtocol(context, parameters, async protocol => {
      const cells = await trainOnAll(context, protocol, parameters);
      const last = cells.at(-1)!;
      /** Both leading metrics, each under its name. */
      const each = (show: (metric: string) => Html) =>
        protocol.metrics.slice(0, 2).map(({ name }) => html`<h3>${metricLabel(name)}</h3>${show(name)}`);
      const spans = cells.flatMap(({ size, spanned }) =>
        Object.entries(spanned).map(([name, share]) => [
          `${size} NCAs`,
          name,
          `${(100 * share).toFixed(1)}%`,
        ]),
      );
      const leading: Section[] = [
        {
          title: 'Quality against the number of training NCAs',
          body: html`<p>Subsets are nested and hold every kind of texture alike; every method saw ${parameters.training.steps ?? 'the default number of'} batches whatever
the size. Mean with 95% interval over held-out textures; dashed: baselines, bound and projections.</p>${await curves(cells, protocol)}
${each(metric => sizesTable(cells, metric))}
<p class="dim">Exponent: b of distance ~ N<sup>−b</sup>, fitted texture by texture; mean with its 95% interval.</p>`,
        },
        {
          title: `With ${last.size} NCAs, as multiples`,
          body: html`${each(metric => ratiosTable(last, metric))}`,
        },
        {
          title: 'What the gap to the bound is made of',
          body: html`<p>Span − bound: what is lost by answering with a mixture of training NCAs, however well chosen. Model − span: what the condition does not say of the
mixture, or training does not find. A model that does as badly on textures it was trained on is held up by condition or optimisation; one that does better there
by the number of NCAs. Paired by texture where it is a difference.</p>${each(metric => gapTable(cells, metric))}
<p>Of the variance of held-out weights about the training mean, in the span:</p>${table(['training set', 'span', 'share'], spans)}`,
        },
      ];
      await writeComparison(context, protocol, {
        experiment: scaling,
        parameters,
        results: [
          ...last.results.filter(({ name, kind }) => kind === 'denoiser' || name in last.spanned),
          ...(await protocol.baselines(parameters.seeds[0])),
        ],
        contenders: last.contenders,
        leading,
        sections: [await trainingSection(cells.flatMap(({ contenders }) => contenders))],
        record: {
          cells: cells.map(({ size, results, own, spanned, contenders }) => ({
            size,
            summary: summarise(results),
            onTrainingTextures: summarise(own),
            spanned,
            training: contenders.map(({ label, trainingSeconds }) => ({ label, trainingSeconds })),
          })),
        },
      });
    });
  },
};

export default scaling;
