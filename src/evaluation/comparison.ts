/**
 * The one way methods are compared: the weights each gives for the same textures are run as NCAs with the same masks, measured with the
 * same metrics, and set against each other texture by texture.
 */
import { grow, type NcaSpec, seedState, seedsFor, toRgb, weightCount } from '../nca/index.ts';
import { tf } from '../tensor/index.ts';
import { crossedInterval, holm, signFlipP, studentP } from './crossed.ts';
import {
  comparePairs,
  displayable,
  divergence,
  type MeasureOptions,
  type PairMetric,
  type RolloutHealth,
} from './metrics/index.ts';
import { type Interval, meanInterval, type PairedDifference, pairedDifference } from './statistics.ts';

/** `bound` marks what no method can be expected to pass, such as the target NCA's own second rendering. */
export type MethodKind = 'denoiser' | 'baseline' | 'bound';

/** Something that answers every texture of a comparison with weights. */
export interface Method {
  readonly name: string;
  readonly kind: MethodKind;
  /** [M, D], one NCA a texture. */
  readonly weights: Float32Array;
}

/** A method with what its weights grew and how that was measured, M textures. */
export interface MethodResult extends Method {
  /** [M, size, size, 3], clipped to [0, 1]. */
  readonly pictures: Float32Array;
  /** [M] */
  readonly health: readonly RolloutHealth[];
  /** metric name -> [M]: `texture-statistics`, `patch-sw` and the others of `pairMetrics`, where nobody chose others. */
  readonly values: Readonly<Record<string, Float64Array>>;
  /** Where several seeds were trained: metric name -> one [M] a seed, whose means `values` are. */
  readonly bySeed?: Readonly<Record<string, readonly Float64Array[]>>;
  /** The weights [M, D] of every seed, where there are several; `weights` and `pictures` are the first one's. */
  readonly weightsBySeed?: readonly Float32Array[];
}

/** Methods, the pictures they are to match, and how their NCAs are run and measured. */
export interface ComparisonOptions {
  readonly spec: NcaSpec;
  readonly methods: readonly Method[];
  /** [M, H, W, 3] in [0, 1]: the pictures to be matched. */
  readonly targets: tf.Tensor4D;
  readonly metrics: readonly PairMetric[];
  /** NCA steps from the seed state to the measured picture. */
  readonly steps: number;
  /** Side of the grid the NCAs are run on. */
  readonly size: number;
  /** Seeds the masks: texture i has the same masks under every method. */
  readonly seed: number;
  /** When raised, the comparison rejects with its reason. */
  readonly signal?: AbortSignal;
  /** Told of the methods that are done, and of parts of one. */
  onProgress?(done: number, total: number): void;
}

/** How many NCAs are run in one call of the engine. */
const BATCH = 64;

/** The states [M, size, size, C] that M NCAs reach from the seed. */
async function runBatch(
  spec: NcaSpec,
  weights: Float32Array,
  steps: number,
  size: number,
  seeds: readonly number[],
  signal?: AbortSignal,
): Promise<tf.Tensor4D> {
  const count = seeds.length;
  const batch = tf.tensor2d(weights, [count, weights.length / count]);
  const first = seedState(spec, count, size, size);
  try {
    return await grow(spec, batch, first, { steps, seeds, signal });
  } finally {
    tf.dispose([batch, first]);
  }
}

export interface RenderOptions {
  /** NCA steps from the seed state. */
  readonly steps: number;
  readonly size: number;
  readonly seed: number;
  readonly signal?: AbortSignal;
}

export interface Renderings {
  /** [n, size, size, 3], clipped to [0, 1]. */
  readonly pictures: Float32Array;
  readonly health: readonly RolloutHealth[];
}

/** The pictures that NCAs [n * D] grow. Those of NCA i depend on the seed, i and its weights alone. Throws the signal's reason when it is raised. */
export async function renderWeights(
  spec: NcaSpec,
  weights: Float32Array,
  { steps, size, seed, signal }: RenderOptions,
): Promise<Renderings> {
  const dimension = weightCount(spec);
  const count = weights.length / dimension;
  const seeds = seedsFor(seed, count);
  const pictures = new Float32Array(count * size * size * 3);
  const health: RolloutHealth[] = [];
  for (let start = 0; start < count; start += BATCH) {
    const end = Math.min(start + BATCH, count);
    const slice = weights.subarray(start * dimension, end * dimension);
    const states = await runBatch(spec, slice, steps, size, seeds.slice(start, end), signal);
    health.push(...(await divergence(spec, states)));
    const rgb = tf.tidy(() => displayable(toRgb(spec, states)));
    pictures.set(await rgb.data(), start * size * size * 3);
    tf.dispose([states, rgb]);
  }
  return { pictures, health };
}

async function evaluate(
  method: Method,
  options: Omit<ComparisonOptions, 'onProgress'> & MeasureOptions,
): Promise<MethodResult> {
  const { spec, targets, metrics, size } = options;
  const { pictures, health } = await renderWeights(spec, method.weights, options);
  const shown = tf.tensor4d(pictures, [targets.shape[0], size, size, 3]);
  const values = await comparePairs(metrics, shown, targets, options).finally(() => shown.dispose());
  await worsen(values, health, options);
  return { ...method, pictures, health, values };
}

/** A rollout that is not finite has no picture, and must not gain by the one it is given: it never scores better than plain grey. */
async function worsen(
  values: Readonly<Record<string, Float64Array>>,
  health: readonly RolloutHealth[],
  { targets, metrics, size, signal }: Pick<ComparisonOptions, 'targets' | 'metrics' | 'size' | 'signal'>,
): Promise<void> {
  if (!health.includes('non-finite')) return;
  const grey = tf.fill([health.length, size, size, 3], 0.5) as tf.Tensor4D;
  const plain = await comparePairs(metrics, grey, targets, { signal }).finally(() => grey.dispose());
  for (const { name, better } of metrics) {
    const worse = better === 'lower' ? Math.max : Math.min;
    health.forEach((state, i) => {
      if (state === 'non-finite') values[name][i] = worse(values[name][i], plain[name][i]);
    });
  }
}

/** Runs and measures every method. Throws the signal's reason when interrupted. */
export async function compareMethods(options: ComparisonOptions): Promise<MethodResult[]> {
  const results: MethodResult[] = [];
  const { methods } = options;
  for (const method of methods) {
    const onProgress = (share: number) => options.onProgress?.(results.length + share, methods.length);
    results.push(await evaluate(method, { ...options, onProgress }));
  }
  return results;
}

/**
 * One method run with several seeds, as one: the mean over seeds of every texture's values, the health of all rollouts, the pictures of the
 * first seed.
 */
export function overSeeds(results: readonly MethodResult[], name: string): MethodResult {
  const [first] = results;
  const mean = (metric: string) =>
    first.values[metric].map(
      (_, i) => results.reduce((sum, { values }) => sum + values[metric][i], 0) / results.length,
    );
  return {
    ...first,
    name,
    health: results.flatMap(({ health }) => health),
    values: Object.fromEntries(Object.keys(first.values).map(metric => [metric, mean(metric)])),
    ...(results.length > 1
      ? {
          bySeed: Object.fromEntries(
            Object.keys(first.values).map(metric => [metric, results.map(({ values }) => values[metric])]),
          ),
          weightsBySeed: results.map(({ weights }) => weights),
        }
      : {}),
  };
}

/**
 * Mean of a metric with its 95 % interval: over textures and training seeds where several were trained (`crossedInterval`), else over textures by Student's t,
 * for that one seed.
 */
export function intervalOf(
  { values, bySeed }: Pick<MethodResult, 'values' | 'bySeed'>,
  metric: string,
): Interval {
  const seeds = bySeed?.[metric];
  return seeds && seeds[0].length > 1 ? crossedInterval(seeds) : meanInterval(values[metric]);
}

/** Runs of several seeds, those of one name as one method, in the order of their first. */
export const meanOverSeeds = (runs: readonly MethodResult[]): MethodResult[] =>
  [...new Set(runs.map(({ name }) => name))].map(name =>
    overSeeds(
      runs.filter(run => run.name === name),
      name,
    ),
  );

/** A method in a table: mean and interval of every metric. */
export interface Summary {
  readonly method: string;
  readonly kind: MethodKind;
  /** By metric: mean over textures with its 95% interval. */
  readonly metrics: Readonly<Record<string, Interval>>;
  /** Share of rollouts that are not sound. */
  readonly diverged: number;
}

/** Mean and 95% interval of every metric for every method. */
export const summarise = (results: readonly MethodResult[]): Summary[] =>
  results.map(({ name, kind, values, bySeed, health }) => ({
    method: name,
    kind,
    metrics: Object.fromEntries(
      Object.keys(values).map(metric => [metric, intervalOf({ values, bySeed }, metric)]),
    ),
    diverged: health.filter(state => state !== 'sound').length / health.length,
  }));

/** a - b, texture by texture and, where seeds were trained, seed by seed, for one metric. */
export function paired(a: Measured, b: Measured, metric: string): TestedDifference {
  const plain = pairedDifference(a.values[metric], b.values[metric]);
  const [mine, other] = [a.bySeed?.[metric], b.bySeed?.[metric]];
  const seeds = mine?.length ?? other?.length ?? 1;
  if (seeds < 2 || plain.count < 2 || (mine && other && mine.length !== other.length))
    return { ...plain, p: fixedSeedP(a.values[metric], b.values[metric], plain) };
  const crossed = crossedInterval(
    Array.from({ length: seeds }, (_, s) => {
      const [x, y] = [mine?.[s] ?? a.values[metric], other?.[s] ?? b.values[metric]];
      return x.map((value, t) => value - y[t]);
    }),
  );
  return {
    ...crossed,
    lower: plain.lower,
    significant: crossed.low > 0 || crossed.high < 0,
    p: studentP(crossed),
  };
}

/** A paired difference with the p of there being none, for itself: correct a family of them by `holm`. */
export interface TestedDifference extends PairedDifference {
  readonly p: number;
}

/** Up to so many textures all sign flips are counted; with more Student's t is as good. */
const FLIPPED = 24;

/** p over textures, the seed held fixed. */
function fixedSeedP(a: ArrayLike<number>, b: ArrayLike<number>, { mean, std, count }: Interval): number {
  if (count < 2) return 1;
  if (count <= FLIPPED) return signFlipP(Float64Array.from({ length: count }, (_, t) => a[t] - b[t]));
  return studentP({ mean, error: std / Math.sqrt(count), freedom: count - 1 });
}

/** Which of a family of differences are told from zero when all are judged together: Holm's correction at 5 %. */
export const toldApart = (differences: readonly Pick<TestedDifference, 'p'>[]): boolean[] =>
  holm(differences.map(({ p }) => p)).map(p => p < 0.05);

/** What tables need of a result to set its mean in bold. */
type Measured = Pick<MethodResult, 'kind' | 'values' | 'bySeed'>;

/**
 * The results that every table sets in bold: the one with the best mean and all that are not told from it when all are judged together (Holm).
 * Bounds are never among them; none is where that would be all, for then nothing is told apart.
 */
export function leaders<R extends Measured>(
  results: readonly R[],
  { name, better }: Pick<PairMetric, 'name' | 'better'>,
): Set<R> {
  const contenders = results.filter(({ kind }) => kind !== 'bound');
  if (contenders.length === 0) return new Set();
  const sign = better === 'lower' ? 1 : -1;
  const total = ({ values }: R) => sign * values[name].reduce((sum, value) => sum + value, 0);
  const best = contenders.reduce((a, b) => (total(b) < total(a) ? b : a));
  const others = contenders.filter(result => result !== best);
  const worse = toldApart(others.map(result => paired(result, best, name)));
  const leading = [best, ...others.filter((_, i) => !worse[i])];
  return new Set(leading.length < contenders.length ? leading : []);
}
