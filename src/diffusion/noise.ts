/** Distributions of the training noise level, and the standard normal's own functions behind them. */
import type { RandomStream } from '../tensor/index.ts';

/** ln sigma is normal (Karras et al. 2022, table 1), or uniform between two levels. */
export type NoiseDistribution =
  | { readonly kind: 'log-normal'; readonly mean: number; readonly std: number }
  | { readonly kind: 'log-uniform'; readonly min: number; readonly max: number };

/** The level below which a share p of the distribution lies; p in (0, 1). */
export function levelAt(distribution: NoiseDistribution, p: number): number {
  if (distribution.kind === 'log-normal') {
    return Math.exp(distribution.mean + distribution.std * normalQuantile(p));
  }
  const { min, max } = distribution;
  return Math.exp(Math.log(min) + p * Math.log(max / min));
}

/** The share of the distribution below a level. */
export function shareBelow(distribution: NoiseDistribution, sigma: number): number {
  if (distribution.kind === 'log-normal') {
    return normalCdf((Math.log(sigma) - distribution.mean) / distribution.std);
  }
  const { min, max } = distribution;
  return Math.min(1, Math.max(0, Math.log(sigma / min) / Math.log(max / min)));
}

/** `count` independent levels. */
export const drawLevels = (
  distribution: NoiseDistribution,
  random: RandomStream,
  count: number,
): Float64Array =>
  Float64Array.from({ length: count }, () =>
    distribution.kind === 'log-normal'
      ? Math.exp(distribution.mean + distribution.std * random.normal())
      : levelAt(distribution, random.uniform()),
  );

/** Which of `bins` bins of equal probability a level falls in. */
export const binOf = (distribution: NoiseDistribution, sigma: number, bins: number): number =>
  Math.min(bins - 1, Math.floor(shareBelow(distribution, sigma) * bins));

/** One level for each bin: the quantiles from 0.5% to 99.5%, evenly apart in probability. */
export const binLevels = (distribution: NoiseDistribution, bins: number): number[] =>
  Array.from({ length: bins }, (_, i) =>
    levelAt(distribution, bins === 1 ? 0.5 : 0.005 + (0.99 * i) / (bins - 1)),
  );

/** P(Z < z) for a standard normal Z: the Taylor series near 0, Laplace's continued fraction in the tails; about 1e-14. */
export function normalCdf(z: number): number {
  const density = Math.exp(-0.5 * z * z) / Math.sqrt(2 * Math.PI);
  if (Math.abs(z) < 4) {
    let term = z;
    let sum = z;
    for (let k = 3; Math.abs(term) > 1e-17 * Math.abs(sum); k += 2) {
      term *= (z * z) / k;
      sum += term;
    }
    return 0.5 + density * sum;
  }
  const y = Math.abs(z);
  let fraction = y;
  for (let k = 60; k >= 1; k--) fraction = y + k / fraction;
  return z > 0 ? 1 - density / fraction : density / fraction;
}

/** The z with normalCdf(z) = p, by Newton's method from a logistic guess, safeguarded by bisection. */
export function normalQuantile(p: number): number {
  if (!(p > 0 && p < 1)) throw new RangeError(`a probability must lie in (0, 1), not ${p}`);
  let low = -40;
  let high = 40;
  let z = Math.log(p / (1 - p)) / 1.702;
  for (let i = 0; i < 200; i++) {
    const excess = normalCdf(z) - p;
    if (excess > 0) high = z;
    else low = z;
    const density = Math.exp(-0.5 * z * z) / Math.sqrt(2 * Math.PI);
    let next = z - excess / density;
    if (!(next > low && next < high)) next = (low + high) / 2;
    if (Math.abs(next - z) <= 1e-15 * Math.max(1, Math.abs(z))) return next;
    z = next;
  }
  return z;
}
