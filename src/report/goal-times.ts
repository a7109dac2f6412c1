/** Iterations that fine-tuning from several starts takes to given qualities, and speed-ups: computed, as a table, as a record. */
import {
  type Bounds,
  type Estimate,
  isReached,
  iterationsTo,
  type MethodResult,
  type PairMetric,
  speedUp,
  typicalTime,
} from '../evaluation/index.ts';
import { number } from './figures.ts';
import { type Html, html } from './html.ts';
import { table } from './page.ts';

/** What one start became. */
export interface TuningCurve {
  readonly start: string;
  /** One a checkpoint, measured on the same textures. */
  readonly results: readonly MethodResult[];
  /** Updates of each NCA left out because its gradient was not finite. */
  readonly skipped: Int32Array;
  /** That training took, all textures together. */
  readonly seconds: number;
}

/** Fine-tuning from several starts on the same textures, measured at the same iterations. */
export interface Tuning {
  /** Iterations at which every curve was measured, rising. */
  readonly checkpoints: readonly number[];
  readonly curves: readonly TuningCurve[];
  /** The target NCAs themselves. */
  readonly bound: MethodResult;
}

/** A quality to be reached, by the metric that leads, lower is better. */
export interface Goal {
  readonly label: string;
  /** One a texture. */
  readonly distances: ArrayLike<number>;
}

/** Every start's way to one goal. */
export interface GoalTimes {
  readonly goal: Goal;
  /** Starts that the others are set against. */
  readonly references: readonly string[];
  readonly starts: readonly {
    readonly start: string;
    /** One a texture. */
    readonly times: readonly Bounds[];
    readonly median: Estimate;
    /** How many times as long each reference takes; not against itself. */
    readonly speedUp: Readonly<Record<string, Estimate>>;
  }[];
}

const along = ({ results }: TuningCurve, metric: PairMetric, texture: number) =>
  results.map(({ values }) => values[metric.name][texture]);

/**
 * Every start's iterations to every goal by one metric, with medians and speed-ups.
 * @param references starts that the others are set against; those that take no part are left out
 */
export function goalTimes(
  { checkpoints, curves }: Tuning,
  goals: readonly Goal[],
  references: readonly string[],
  metric: PairMetric,
): GoalTimes[] {
  return goals.map(goal => {
    const timesOf = (curve: TuningCurve) =>
      Array.from(goal.distances, (distance, i) =>
        iterationsTo(checkpoints, along(curve, metric, i), distance),
      );
    const all = curves.map(curve => ({ start: curve.start, times: timesOf(curve) }));
    return {
      goal,
      references: references.filter(reference => all.some(({ start }) => start === reference)),
      starts: all.map(({ start, times }) => ({
        start,
        times,
        median: typicalTime(times),
        speedUp: Object.fromEntries(
          references.flatMap(reference => {
            const other = all.find(found => found.start === reference);
            return other && reference !== start ? [[reference, speedUp(other.times, times)]] : [];
          }),
        ),
      })),
    };
  });
}

/** Bounds in words: a number, `> 12`, `< 3`, or that nothing is known. */
function boundsText({ low, high }: Bounds, suffix = ''): string {
  if (low === high) return Number.isFinite(low) ? `${number(low)}${suffix}` : 'none needed';
  if (low === 0 && !Number.isFinite(high)) return 'not known';
  if (!Number.isFinite(high)) return `> ${number(low)}${suffix}`;
  return low === 0 ? `< ${number(high)}${suffix}` : `${number(low)}${suffix} to ${number(high)}${suffix}`;
}

const end = (x: number) => (Number.isFinite(x) ? number(x) : '∞');

/** A median time or a speed-up with its interval. */
const estimateText = ({ value, interval }: Estimate, suffix = '') =>
  value.low === 0 && value.high === Infinity
    ? 'not known'
    : `${boundsText(value, suffix)} [${end(interval.low)}, ${end(interval.high)}]`;

/** One row a start. */
export function goalTable({ goal, starts, references }: GoalTimes, last: number): Html {
  const rows = starts.map(({ start, times, median, speedUp }) => [
    start,
    `${times.filter(isReached).length} of ${times.length}`,
    // Beyond the last iteration nothing was seen: no upper end is made up.
    median.interval.low >= last && !Number.isFinite(median.value.high) ? `> ${last}` : estimateText(median),
    ...references.map(reference => {
      if (!speedUp[reference]) return '';
      const other = starts.find(found => found.start === reference)!.median.value;
      return median.value.high === 0 && other.high === 0
        ? 'both need none'
        : estimateText(speedUp[reference], 'x');
    }),
  ]);
  return html`<h3>${goal.label}</h3>${table(
    ['start', 'textures that reach it', 'median iterations', ...references.map(r => `speed-up against ${r}`)],
    rows,
  )}`;
}

/** Infinity is no JSON: an open end is null. */
const bounds = ({ low, high }: Bounds) => ({
  low: Number.isFinite(low) ? low : null,
  high: Number.isFinite(high) ? high : null,
});
const estimateRecord = ({ value, interval }: Estimate) => ({
  value: bounds(value),
  interval: bounds(interval),
});

/** The same for results.json. */
export const goalRecord = ({ goal, starts }: GoalTimes) => ({
  goal: goal.label,
  distances: [...Array.from(goal.distances)],
  starts: Object.fromEntries(
    starts.map(({ start, times, median, speedUp }) => [
      start,
      {
        reached: times.filter(isReached).length,
        iterations: times.map(bounds),
        median: estimateRecord(median),
        speedUp: Object.fromEntries(
          Object.entries(speedUp).map(([reference, found]) => [reference, estimateRecord(found)]),
        ),
      },
    ]),
  ),
});
