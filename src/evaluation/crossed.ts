/**
 * Intervals where textures and training seeds are crossed: every seed is measured on every texture, y = mean + texture + seed + rest. Both would come out otherwise in
 * another experiment, so both belong into the interval; averaging seeds first leaves their share out.
 */
import { type Interval, studentCdf, studentQuantile } from './statistics.ts';

/** An interval by Student's t, with what it was made of. */
export interface StudentInterval extends Interval {
  /** Standard error of the mean. */
  readonly error: number;
  /** Degrees of freedom, not always whole. */
  readonly freedom: number;
}

/** Two-sided p of a mean of zero, by Student's t; degrees of freedom that are not whole are rounded down. 1 where nothing varies about zero. */
export function studentP({
  mean,
  error,
  freedom,
}: Pick<StudentInterval, 'mean' | 'error' | 'freedom'>): number {
  if (mean === 0) return 1;
  if (error === 0) return 0;
  return 2 * (1 - studentCdf(Math.abs(mean) / error, Math.max(1, Math.floor(freedom))));
}

/**
 * The quantile of Student's t for any number of degrees of freedom from 1: between whole numbers linear in their reciprocal, some 2 % wide
 * of the truth from 2 on, and more below.
 */
export function studentQuantileAt(probability: number, freedom: number): number {
  const low = Math.max(1, Math.floor(freedom));
  if (freedom <= 1 || low === freedom) return studentQuantile(probability, low);
  const [a, b] = [studentQuantile(probability, low), studentQuantile(probability, low + 1)];
  const share = (1 / low - 1 / freedom) / (1 / low - 1 / (low + 1));
  return a + share * (b - a);
}

/**
 * Mean over S seeds and T textures with its interval, by two-way variance components: the variance of the mean is (A + B - E) / (S T), with A, B and E the mean squares of textures,
 * seeds and rest, and Satterthwaite's (1946) degrees of freedom. B counts at least as E, so that seeds that agree by chance do not narrow it.
 * @param values [S] of [T], every seed on the same textures; S and T at least 2
 * @returns `std` is the deviation of the textures' means over seeds, `count` is T
 */
export function crossedInterval(values: readonly ArrayLike<number>[], level = 0.95): StudentInterval {
  const S = values.length;
  const T = values[0]?.length ?? 0;
  if (S < 2 || T < 2)
    throw new Error(`a crossed interval needs two seeds and two textures, found ${S} and ${T}`);
  const textures = new Float64Array(T);
  const seeds = new Float64Array(S);
  for (let s = 0; s < S; s++) {
    if (values[s].length !== T) throw new Error(`seeds of ${T} and of ${values[s].length} textures`);
    for (let t = 0; t < T; t++) {
      if (!Number.isFinite(values[s][t]))
        throw new Error(`value ${t} of seed ${s} is ${values[s][t]}: an interval needs finite values`);
      textures[t] += values[s][t] / S;
      seeds[s] += values[s][t] / T;
    }
  }
  const mean = seeds.reduce((sum, x) => sum + x, 0) / S;
  const spread = textures.reduce((sum, x) => sum + (x - mean) ** 2, 0);
  let rest = 0;
  for (let s = 0; s < S; s++)
    for (let t = 0; t < T; t++) rest += (values[s][t] - textures[t] - seeds[s] + mean) ** 2;
  const A = (S * spread) / (T - 1);
  const B = (T * seeds.reduce((sum, x) => sum + (x - mean) ** 2, 0)) / (S - 1);
  const E = rest / ((S - 1) * (T - 1));
  const std = Math.sqrt(spread / (T - 1));
  const total = Math.max(A, E) + Math.max(B, E) - E;
  if (!(total > 0)) return { mean, low: mean, high: mean, std, count: T, error: 0, freedom: 1 };
  const uncertain =
    Math.max(A, E) ** 2 / (T - 1) + (B > E ? B ** 2 / (S - 1) + E ** 2 / ((S - 1) * (T - 1)) : 0);
  const freedom = Math.max(1, total ** 2 / uncertain);
  const error = Math.sqrt(total / (S * T));
  const reach = studentQuantileAt(1 - (1 - level) / 2, freedom) * error;
  return { mean, low: mean - reach, high: mean + reach, std, count: T, error, freedom };
}

/**
 * p of the paired decision where the seed is held fixed: the share of all 2^T sign flips of the differences whose sum is at least as far from zero. Exact
 * where differences are symmetric about zero under the hypothesis.
 * @param differences [T], at most 36
 */
export function signFlipP(differences: ArrayLike<number>): number {
  const T = differences.length;
  const observed = Math.abs(Array.from(differences).reduce((sum, x) => sum + x, 0));
  const slack = 1e-12 * Array.from(differences).reduce((sum, x) => sum + Math.abs(x), 0);
  // Sums of half the differences each, sorted: every flip is one of the first half with one of the second.
  const sums = (part: number[]) => {
    let all = Float64Array.of(0);
    for (const x of part) {
      const next = new Float64Array(2 * all.length);
      all.forEach((sum, i) => {
        next[2 * i] = sum + x;
        next[2 * i + 1] = sum - x;
      });
      all = next;
    }
    return all.sort();
  };
  if (T > 36) throw new Error(`sign flips of ${T} differences are too many to count`);
  const all = Array.from(differences);
  const [a, b] = [sums(all.slice(0, Math.ceil(T / 2))), sums(all.slice(Math.ceil(T / 2)))];
  // How many pairs reach `observed` in size, by walking one half up and the other down.
  let reached = 0;
  let above = b.length;
  let below = b.length;
  for (const x of a) {
    while (above > 0 && x + b[above - 1] >= observed - slack) above--;
    while (below > 0 && x + b[below - 1] > -observed + slack) below--;
    reached += b.length - above + below;
  }
  return Math.min(1, reached / (a.length * b.length));
}

/** Holm's step-down correction: p values that hold for all of them together, in their own order. */
export function holm(p: readonly number[]): number[] {
  const order = p.map((_, i) => i).sort((a, b) => p[a] - p[b]);
  const corrected = new Array<number>(p.length);
  let least = 0;
  order.forEach((at, rank) => {
    least = Math.max(least, Math.min(1, (p.length - rank) * p[at]));
    corrected[at] = least;
  });
  return corrected;
}
