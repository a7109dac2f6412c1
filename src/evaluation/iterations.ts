/**
 * Iterations to a given quality, where some never get there: such a time is known only to lie beyond the last iteration (right-censored).
 * Every figure is therefore a pair of bounds. Medians stay right as long as fewer than half are censored, and say so otherwise.
 */
import { bootstrap } from './statistics.ts';

/** A number known to lie between two others; equal ones where it is known, `high` infinite where it has no upper bound. */
export interface Bounds {
  readonly low: number;
  readonly high: number;
}

/**
 * When a falling curve first reaches a goal. Between two checkpoints the logarithm of the distance is taken to fall evenly.
 * @param iterations rising, the first may be 0
 * @param distances the curve at these, lower is better
 * @returns { low: last iteration, high: Infinity } when it never does
 */
export function iterationsTo(
  iterations: readonly number[],
  distances: readonly number[],
  goal: number,
): Bounds {
  const at = distances.findIndex(distance => distance <= goal);
  if (at < 0) return { low: iterations[iterations.length - 1], high: Infinity };
  if (at === 0) return { low: iterations[0], high: iterations[0] };
  const [before, after] = [distances[at - 1], distances[at]];
  const share = after > 0 && goal > 0 ? Math.log(before / goal) / Math.log(before / after) : 1;
  const time = iterations[at - 1] + share * (iterations[at] - iterations[at - 1]);
  return { low: time, high: time };
}

/** Whether a goal was reached at all within the iterations that were looked at. */
export const isReached = ({ high }: Bounds) => Number.isFinite(high);

const median = (values: readonly number[]): number => {
  const sorted = Float64Array.from(values).sort();
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
};

/** Bounds of the median. */
export const medianTime = (times: readonly Bounds[]): Bounds => ({
  low: median(times.map(({ low }) => low)),
  high: median(times.map(({ high }) => high)),
});

/** 0 / 0 tells nothing: the quotient is then anywhere. */
const quotient = (above: Bounds, below: Bounds): Bounds => {
  const low = above.low / below.high;
  const high = above.high / below.low;
  return { low: Number.isNaN(low) ? 0 : low, high: Number.isNaN(high) ? Infinity : high };
};

/** A statistic's bounds and the 95% bootstrap interval over textures. */
export interface Estimate {
  readonly value: Bounds;
  /** From the 2.5% quantile of the lower bound to the 97.5% quantile of the upper one: at least as wide as were everything known. */
  readonly interval: Bounds;
}

function estimate(count: number, statistic: (rows: ArrayLike<number>) => Bounds): Estimate {
  const all = Uint32Array.from({ length: count }, (_, i) => i);
  const lows = bootstrap(count, rows => statistic(rows).low);
  const highs = bootstrap(count, rows => statistic(rows).high);
  const tail = 0.025 * (lows.length - 1);
  // Whole ranks: between infinite values there is nothing to interpolate.
  return {
    value: statistic(all),
    interval: { low: lows[Math.floor(tail)], high: highs[lows.length - 1 - Math.floor(tail)] },
  };
}

const pick = (times: readonly Bounds[], rows: ArrayLike<number>) => Array.from(rows, row => times[row]);

/** The median time over textures. */
export const typicalTime = (times: readonly Bounds[]): Estimate =>
  estimate(times.length, rows => medianTime(pick(times, rows)));

/** How many times as long the reference takes as another start on the same textures: the quotient of the medians. */
export function speedUp(reference: readonly Bounds[], times: readonly Bounds[]): Estimate {
  if (reference.length !== times.length) {
    throw new Error(`times of ${reference.length} and ${times.length} textures`);
  }
  return estimate(times.length, rows =>
    quotient(medianTime(pick(reference, rows)), medianTime(pick(times, rows))),
  );
}
