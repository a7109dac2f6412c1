/** Fine-tuning curves of several starts as sections of a report: the curves, tables at every checkpoint, iterations to a quality, pictures. */
import {
  type Bounds,
  best,
  type Estimate,
  isReached,
  iterationsTo,
  type MethodResult,
  meanInterval,
  type PairMetric,
  renderGallery,
  speedUp,
  typicalTime,
} from '../evaluation/index.ts';
import { metricLabel, number } from './comparison-report.ts';
import { type Html, html } from './html.ts';
import { bandChart } from './plot.ts';
import type { Protocol } from './protocol.ts';
import { type Cell, image, plots, type Section, table } from './report.ts';

/** What one start became. */
export interface TuningCurve {
  readonly start: string;
  /** One a checkpoint, measured on the same textures. */
  readonly results: readonly MethodResult[];
  /** Updates of each NCA left out because its gradient was not finite. */
  readonly skipped: Int32Array;
}

export interface Tuning {
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

/** @param references starts that the others are set against; those that take no part are left out */
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

function goalTable({ goal, starts, references }: GoalTimes, last: number): Html {
  const rows = starts.map(({ start, times, median, speedUp }) => [
    start,
    `${times.filter(isReached).length} of ${times.length}`,
    // Beyond the last iteration nothing was seen: no upper end is made up.
    median.interval.low >= last && !Number.isFinite(median.value.high) ? `> ${last}` : estimateText(median),
    ...references.map(reference => (speedUp[reference] ? estimateText(speedUp[reference], 'x') : '')),
  ]);
  return html`<h3>${goal.label}</h3>${table(
    ['start', 'textures that reach it', 'median iterations', ...references.map(r => `speed-up against ${r}`)],
    rows,
  )}`;
}

async function curveCharts(
  { checkpoints, curves, bound }: Tuning,
  metrics: readonly PairMetric[],
): Promise<Html> {
  const charts = metrics.map(metric =>
    bandChart({
      x: 'iterations of fine-tuning',
      y: `${metricLabel(metric.name)} ${metric.better === 'lower' ? '↓' : '↑'}`,
      logY: metric.better === 'lower',
      level: { y: meanInterval(bound.values[metric.name]).mean, label: bound.name },
      points: curves.flatMap(({ start, results }) =>
        results.map(({ values }, i) => ({
          series: start,
          x: checkpoints[i],
          ...meanInterval(values[metric.name]),
        })),
      ),
    }),
  );
  return plots(...(await Promise.all(charts)));
}

/** Starts by checkpoints; bold the best of a column and what the paired interval does not part from it. */
function metricTable({ checkpoints, curves, bound }: Tuning, metric: PairMetric): Html {
  const leaders = checkpoints.map((_, i) =>
    best(
      curves.map(({ start, results }) => ({ ...results[i], name: start, kind: 'baseline' as const })),
      metric,
      ['baseline'],
    ),
  );
  const text = (result: MethodResult) => {
    const { mean, low, high } = meanInterval(result.values[metric.name]);
    return `${number(mean)} [${number(low)}, ${number(high)}]`;
  };
  return html`<h3>${metricLabel(metric.name)} ${metric.better === 'lower' ? '↓' : '↑'}</h3>${table(
    ['start', ...checkpoints.map(checkpoint => `${checkpoint}`)],
    [
      ...curves.map(({ start, results }): (string | Cell)[] => [
        start,
        ...results.map((result, i) => ({
          text: text(result),
          best: leaders[i].includes(start) && leaders[i].length < curves.length,
        })),
      ]),
      [`${bound.name} (bound)`, text(bound), ...checkpoints.slice(1).map(() => '')],
    ],
  )}`;
}

/** Textures shown, and how large. */
const ROWS = 8;
const CELL = 72;

/** Rows are textures; columns the target, then every start at each of some checkpoints. */
async function pictures(
  { checkpoints, curves }: Tuning,
  { study: { heldOut, size } }: Protocol,
  shown: readonly number[],
): Promise<Uint8Array> {
  const nth = (data: Float32Array, i: number) => ({
    width: size,
    height: size,
    data: data.subarray(i * size * size * 3, (i + 1) * size * size * 3),
  });
  const targets = (await heldOut.pictures.data()) as Float32Array;
  const columns = curves.flatMap(({ start, results }) =>
    shown.map(checkpoint => ({
      label: `${start} ${checkpoint}`,
      pictures: results[checkpoints.indexOf(checkpoint)].pictures,
    })),
  );
  const rows = heldOut.names.slice(0, ROWS);
  return renderGallery({
    columns: ['target', ...columns.map(({ label }) => label)],
    rows,
    cells: rows.map((_, i) => [nth(targets, i), ...columns.map(column => nth(column.pictures, i))]),
    cell: CELL,
  });
}

/** Sections that tell of the tuning, and the pictures as a PNG. The first metric leads. */
export async function tuningSections(
  tuning: Tuning,
  goals: readonly GoalTimes[],
  protocol: Protocol,
  shown: readonly number[],
): Promise<{ sections: Section[]; gallery: Uint8Array }> {
  const { metrics } = protocol;
  const { curves, checkpoints, bound } = tuning;
  const last = checkpoints.at(-1)!;
  const gallery = await pictures(tuning, protocol, shown);
  const stuck = curves.filter(({ skipped }) => skipped.some(count => count > 0));
  const unsound = curves
    .map(({ start, results }) => ({
      start,
      count: results.at(-1)!.health.filter(health => health !== 'sound').length,
    }))
    .filter(({ count }) => count > 0);
  const [first, second, ...others] = metrics;
  const sections = [
    {
      title: 'Fine-tuning from every start',
      body: html`<p>Each held-out texture is trained on for ${last} iterations from each start. Pool, sizes, loss, learning rate and every random draw are the same: only the
starting weights differ. At the marked iterations the weights are run and measured as everything else is.</p>
<p class="dim">Mean over textures with its 95% bootstrap interval; the dashed line is the mean of ${bound.name}.${stuck.map(
        ({ start, skipped }) =>
          ` ${start}: ${skipped.reduce((a, b) => a + b, 0)} updates were left out because the gradient was not finite.`,
      )}${unsound.map(({ start, count }) => ` ${start}: ${count} of ${bound.health.length} rollouts diverge after the last iteration.`)}</p>
${await curveCharts(tuning, [first, second])}`,
    },
    {
      title: `Iterations to a given ${metricLabel(first.name)}`,
      body: html`<p class="dim">For every texture its own goal. Between checkpoints the logarithm of the distance is taken to fall evenly. A texture that never reaches the goal counts as
taking more than ${last} iterations. Medians over textures and quotients of medians, with 95% bootstrap intervals; ∞ where the textures that never reach it leave an end open.</p>
${goals.map(goal => goalTable(goal, last))}`,
    },
    {
      title: 'What they grow',
      body: image(
        gallery,
        `target, then every start after ${shown.join(', ')} iterations; one row a texture`,
      ),
    },
    {
      title: 'Every checkpoint',
      body: html`<p class="dim">Mean over held-out textures with 95% bootstrap interval, by iterations. Bold: the best of its column, and what its paired interval does not part from it.</p>
${[first, second].map(metric => metricTable(tuning, metric))}
<details><summary>other metrics</summary>${others.map(metric => metricTable(tuning, metric))}</details>`,
    },
  ];
  return { sections, gallery };
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
export const tuningRecord = ({ checkpoints, curves }: Tuning, goals: readonly GoalTimes[]) => ({
  checkpoints,
  curves: Object.fromEntries(
    curves.map(({ start, results, skipped }) => [
      start,
      {
        skippedUpdates: [...skipped],
        metrics: Object.fromEntries(
          Object.keys(results[0].values).map(metric => [
            metric,
            results.map(({ values }) => ({
              ...meanInterval(values[metric]),
              perTexture: [...values[metric]],
            })),
          ]),
        ),
        health: results.map(({ health }) => health),
      },
    ]),
  ),
  goals: goals.map(({ goal, starts }) => ({
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
  })),
});
