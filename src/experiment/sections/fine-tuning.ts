/** Fine-tuning curves of several starts as sections of a report: the curves, tables at every checkpoint, iterations to a quality, pictures. */
import { leaders, type MethodResult, meanInterval, type PairMetric } from '../../evaluation/index.ts';
import {
  bandChart,
  type Cell,
  type GoalTimes,
  goalRecord,
  goalTable,
  type Html,
  html,
  image,
  intervalText,
  metricLabel,
  plots,
  renderGallery,
  type Section,
  type Tuning,
  table,
} from '../../report/index.ts';
import type { Protocol } from '../protocol.ts';

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

/** Starts by checkpoints; bold the best of a column and what is not told apart from it. */
function metricTable({ checkpoints, curves, bound }: Tuning, metric: PairMetric): Html {
  const bold = checkpoints.map((_, i) =>
    leaders(
      curves.map(({ results }) => results[i]),
      metric,
    ),
  );
  const text = (result: MethodResult) => intervalText(meanInterval(result.values[metric.name]));
  return html`<h3>${metricLabel(metric.name)} ${metric.better === 'lower' ? '↓' : '↑'}</h3>${table(
    ['start', ...checkpoints.map(checkpoint => `${checkpoint}`)],
    [
      ...curves.map(({ start, results }): (string | Cell)[] => [
        start,
        ...results.map((result, i) => ({
          text: text(result),
          best: bold[i].has(result),
        })),
      ]),
      [`${bound.name} (bound)`, text(bound), ...checkpoints.slice(1).map(() => '')],
    ],
  )}`;
}

/** Textures shown, how large, and starts beside each other. */
const ROWS = 8;
const CELL = 86;
const GROUP = 3;

/** Rows are textures; columns the target, then each of a few starts at each of some checkpoints. */
async function pictures(
  { checkpoints, curves }: Pick<Tuning, 'checkpoints' | 'curves'>,
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

/** Sections that tell of the tuning, and the pictures as PNGs, a few starts each. The first metric leads. */
export async function tuningSections(
  tuning: Tuning,
  goals: readonly GoalTimes[],
  protocol: Protocol,
  shown: readonly number[],
): Promise<{ sections: Section[]; galleries: Uint8Array[] }> {
  const { metrics } = protocol;
  const { curves, checkpoints, bound } = tuning;
  const last = checkpoints.at(-1)!;
  const galleries: Uint8Array[] = [];
  for (let from = 0; from < curves.length; from += GROUP) {
    const group = { checkpoints, curves: curves.slice(from, from + GROUP) };
    galleries.push(await pictures(group, protocol, shown));
  }
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
<p class="dim">Mean over textures with its 95% interval; the dashed line is the mean of ${bound.name}.${stuck.map(
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
      body: html`<p class="dim">The target, then the starts, each after ${shown.join(', ')} iterations; one row a texture.</p>
${galleries.map((png, i) => {
  const names = curves.slice(i * GROUP, (i + 1) * GROUP).map(({ start }) => start);
  return image(png, `from ${names.join(', ')}`);
})}`,
    },
    {
      title: 'Every checkpoint',
      body: html`<p class="dim">Mean over held-out textures with 95% interval, by iterations. Bold: the best of its column, and what is not told apart from it (paired, with Holm's correction).</p>
${[first, second].map(metric => metricTable(tuning, metric))}
<details><summary>other metrics</summary>${others.map(metric => metricTable(tuning, metric))}</details>`,
    },
  ];
  return { sections, galleries };
}

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
  goals: goals.map(goalRecord),
});
