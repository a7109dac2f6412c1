/**
 * Means that say how sure they are: Student-t and bootstrap intervals, for one sample and for paired differences.
 *
 * Nothing is dropped silently: a value that is not finite makes the interval an error. Count failures apart (see `divergence`).
 */
import { randomStream } from '../tensor/index.ts';

/** A mean of `count` values and the interval it lies in. */
export interface Interval {
  readonly mean: number;
  /** Ends of the two-sided interval for the mean. */
  readonly low: number;
  readonly high: number;
  /** Standard deviation of the values (n - 1); 0 for a single value. */
  readonly std: number;
  readonly count: number;
}

/** How an interval is made. */
export interface IntervalOptions {
  /** Probability that the interval covers the mean; default 0.95. */
  readonly level?: number;
  /**
   * `t` (default): mean -+ t std / sqrt(n). `bootstrap`: percentiles of resampled means (Efron 1979), which cover a 95 % interval's mean in 93 % of
   * cases at n = 24 and in 84 % at n = 6.
   */
  readonly method?: 'bootstrap' | 't';
  /** Bootstrap samples; default 2000. */
  readonly resamples?: number;
  /** Seed of the bootstrap; default 0. */
  readonly seed?: number;
}

type Numbers = ArrayLike<number>;

/**
 * Probability that a Student-t variable with a whole number of degrees of freedom is below t. Finite sums of
 * Abramowitz and Stegun (1964), 26.7.3 and 26.7.4.
 */
export function studentCdf(t: number, freedom: number): number {
  if (!(Number.isInteger(freedom) && freedom > 0)) throw new Error(`degrees of freedom ${freedom}`);
  const angle = Math.atan(t / Math.sqrt(freedom));
  const cos2 = Math.cos(angle) ** 2;
  const odd = freedom % 2 === 1;
  let term = odd ? Math.cos(angle) : 1;
  let sum = freedom === 1 ? 0 : term;
  for (let k = odd ? 3 : 2; k <= freedom - 2; k += 2) {
    term *= (cos2 * (k - 1)) / k;
    sum += term;
  }
  const between = odd ? (2 / Math.PI) * (angle + Math.sin(angle) * sum) : Math.sin(angle) * sum;
  return 0.5 + between / 2;
}

/** The t that a Student-t variable stays below with the given probability; bisection on `studentCdf`. */
export function studentQuantile(probability: number, freedom: number): number {
  if (!(probability > 0 && probability < 1))
    throw new Error(`probability ${probability} is not inside (0, 1)`);
  if (probability < 0.5) return -studentQuantile(1 - probability, freedom);
  let high = 1;
  while (studentCdf(high, freedom) < probability) high *= 2;
  let low = 0;
  for (let i = 0; i < 100 && high - low > 1e-15 * high; i++) {
    const middle = (low + high) / 2;
    if (studentCdf(middle, freedom) < probability) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}

/** The p-quantile of sorted values with linear interpolation (type 7 of Hyndman and Fan 1996). */
export function quantile(sorted: Numbers, p: number): number {
  const at = p * (sorted.length - 1);
  const below = Math.floor(at);
  const above = Math.min(below + 1, sorted.length - 1);
  return sorted[below] + (at - below) * (sorted[above] - sorted[below]);
}

/** Bootstrap distribution of any statistic of row indices, sorted: `statistic` gets [count] indices drawn with replacement. */
export function bootstrap(
  count: number,
  statistic: (rows: Uint32Array) => number,
  { resamples = 2000, seed = 0 }: Pick<IntervalOptions, 'resamples' | 'seed'> = {},
): Float64Array {
  const stream = randomStream(seed, 'bootstrap');
  const rows = new Uint32Array(count);
  const values = new Float64Array(resamples);
  for (let r = 0; r < resamples; r++) {
    for (let i = 0; i < count; i++) rows[i] = stream.integer(0, count);
    values[r] = statistic(rows);
  }
  return values.sort();
}

/** Mean of values with its interval. A single value has the interval (-Infinity, Infinity). Throws on an empty or non-finite sample. */
export function meanInterval(values: Numbers, options: IntervalOptions = {}): Interval {
  const { level = 0.95, method = 't' } = options;
  const count = values.length;
  if (count === 0) throw new Error('an interval needs at least one value');
  let sum = 0;
  for (let i = 0; i < count; i++) {
    if (!Number.isFinite(values[i]))
      throw new Error(`value ${i} is ${values[i]}: an interval needs finite values`);
    sum += values[i];
  }
  const mean = sum / count;
  if (count === 1) return { mean, low: -Infinity, high: Infinity, std: 0, count };
  let squares = 0;
  for (let i = 0; i < count; i++) squares += (values[i] - mean) ** 2;
  const std = Math.sqrt(squares / (count - 1));
  const tail = (1 - level) / 2;
  if (method === 't') {
    const reach = (studentQuantile(1 - tail, count - 1) * std) / Math.sqrt(count);
    return { mean, low: mean - reach, high: mean + reach, std, count };
  }
  const means = bootstrap(
    count,
    rows => {
      let total = 0;
      for (const row of rows) total += values[row];
      return total / count;
    },
    options,
  );
  // Rounding of the resampled sums must not push an end past the mean of a constant sample.
  return {
    mean,
    low: Math.min(mean, quantile(means, tail)),
    high: Math.max(mean, quantile(means, 1 - tail)),
    std,
    count,
  };
}

/** The mean of a - b over pairs with its interval. */
export interface PairedDifference extends Interval {
  /** Whether the interval of a - b leaves out zero. */
  readonly significant: boolean;
  /** Share of pairs with a < b, ties counted half. */
  readonly lower: number;
}

/** Interval of the mean of a[i] - b[i] over pairs (the same textures under two models). */
export function pairedDifference(a: Numbers, b: Numbers, options: IntervalOptions = {}): PairedDifference {
  if (a.length !== b.length) throw new Error(`paired samples of ${a.length} and ${b.length} values`);
  const differences = Float64Array.from({ length: a.length }, (_, i) => a[i] - b[i]);
  const interval = meanInterval(differences, options);
  const lower = differences.reduce((sum, d) => sum + (d < 0 ? 1 : d === 0 ? 0.5 : 0), 0) / a.length;
  return { ...interval, significant: interval.low > 0 || interval.high < 0, lower };
}
