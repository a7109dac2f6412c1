/** A comparison made readable: tables and plots for the report, and the same numbers as JSON and CSV. */
import {
  leaders,
  type MethodResult,
  type PairMetric,
  paired,
  type Summary,
  summarise,
  toldApart,
} from '../evaluation/index.ts';
import { intervalChart } from './charts.ts';
import { intervalText, number } from './figures.ts';
import { type Html, html } from './html.ts';
import { type Cell, plots, table } from './page.ts';
import { csvTable, markdownTable } from './plain-tables.ts';

/** What each known metric is, for column headings and captions. */
const LABELS: Record<string, string> = {
  'texture-statistics': 'texture statistics',
  'texture-statistics-structure': 'texture statistics, structure',
  'patch-sw': 'patch distance (trained on)',
  'patch-sw-structure': 'patch distance, structure (trained on)',
  'gram@random-gram': 'Gram distance (the condition’s filters)',
  'gram-structure@random-gram': 'Gram distance, structure (the condition’s filters)',
  psnr: 'PSNR (weak for textures)',
  ssim: 'SSIM (weak for textures)',
};
/** A metric's name in words; a metric that is not known keeps its own. */
export const metricLabel = (name: string) => LABELS[name] ?? name;

const arrow = (metric: PairMetric) => (metric.better === 'lower' ? '↓' : '↑');

/** Methods by metrics: mean and 95% interval; bold where no method of its kind is surely better, and one surely is worse. */
export function comparisonTable(results: readonly MethodResult[], metrics: readonly PairMetric[]): Html {
  const bold = new Map(metrics.map(metric => [metric.name, leaders(results, metric)]));
  const rows = summarise(results).map(({ method, kind, metrics: intervals, diverged }, i) => [
    kind === 'bound' ? `${method} (bound)` : method,
    ...metrics.map(
      (metric): Cell => ({
        text: intervalText(intervals[metric.name]),
        best: bold.get(metric.name)!.has(results[i]),
      }),
    ),
    `${(100 * diverged).toFixed(0)}%`,
  ]);
  return table(
    ['method', ...metrics.map(metric => `${metricLabel(metric.name)} ${arrow(metric)}`), 'diverged'],
    rows,
  );
}

/**
 * Every denoiser (column) against every other method (row), paired by texture: mean difference with 95% interval; bold where it is better and told apart
 * when all of the table is judged together (Holm).
 */
export function pairedTable(results: readonly MethodResult[], metric: PairMetric): Html {
  const denoisers = results.filter(({ kind }) => kind === 'denoiser');
  const sign = metric.better === 'lower' ? 1 : -1;
  const pairs = results.flatMap(other =>
    denoisers.flatMap(denoiser => (denoiser === other ? [] : [{ denoiser, other }])),
  );
  const found = pairs.map(({ denoiser, other }) => paired(denoiser, other, metric.name));
  const told = toldApart(found);
  const rows = results.map(other => [
    other.kind === 'bound' ? `${other.name} (bound)` : other.name,
    ...denoisers.map((denoiser): Cell => {
      const at = pairs.findIndex(pair => pair.denoiser === denoiser && pair.other === other);
      if (at < 0) return { text: '' };
      return { text: intervalText(found[at]), best: told[at] && sign * found[at].mean < 0 };
    }),
  ]);
  return table(['against', ...denoisers.map(({ name }) => name)], rows);
}

/** Interval charts, one a metric. */
export async function comparisonPlots(
  results: readonly MethodResult[],
  metrics: readonly PairMetric[],
): Promise<Html> {
  const summaries = summarise(results);
  return plots(
    ...(await Promise.all(
      metrics.map(metric =>
        intervalChart({
          x: `${metricLabel(metric.name)} ${arrow(metric)}`,
          rows: summaries.map(({ method, kind, metrics: intervals }) => ({
            label: method,
            group: kind,
            ...intervals[metric.name],
          })),
        }),
      ),
    )),
  );
}

/** Every number of a comparison, ready for JSON. */
export function comparisonJson(
  names: readonly string[],
  results: readonly MethodResult[],
  metrics: readonly PairMetric[],
) {
  const contenders = results.filter(({ kind }) => kind === 'denoiser');
  return {
    textures: names,
    metrics: metrics.map(({ name, better }) => ({ name, better })),
    summary: summarise(results),
    perTexture: results.map(({ name, values, health }) => ({
      method: name,
      health,
      ...Object.fromEntries(Object.entries(values).map(([metric, numbers]) => [metric, [...numbers]])),
    })),
    paired: contenders.flatMap(a =>
      results
        .filter(b => b !== a)
        .flatMap(b =>
          metrics.map(metric => ({
            a: a.name,
            b: b.name,
            metric: metric.name,
            ...paired(a, b, metric.name),
          })),
        ),
    ),
  };
}

/** One row per method and texture. */
export function comparisonCsv(names: readonly string[], results: readonly MethodResult[]): string {
  const metrics = Object.keys(results[0]?.values ?? {});
  const rows = results.flatMap(({ name, kind, values, health }) =>
    names.map((texture, i) => [name, kind, texture, ...metrics.map(metric => values[metric][i]), health[i]]),
  );
  return csvTable(['method', 'kind', 'texture', ...metrics, 'health'], rows);
}

/** The summary as a Markdown table, best first by the first metric: mean and 95% interval. */
export function comparisonMarkdown(
  summaries: readonly Summary[],
  metrics: readonly Pick<PairMetric, 'name' | 'better'>[],
): string {
  const [lead] = metrics;
  const sign = lead.better === 'lower' ? 1 : -1;
  const rows = [...summaries]
    .sort((a, b) => sign * (a.metrics[lead.name].mean - b.metrics[lead.name].mean))
    .map(({ method, kind, metrics: intervals, diverged }) => [
      method,
      kind,
      ...metrics.map(({ name }) => intervalText(intervals[name])),
      `${(100 * diverged).toFixed(0)}%`,
    ]);
  return markdownTable(['method', 'kind', ...metrics.map(({ name }) => metricLabel(name)), 'diverged'], rows);
}

/** A plain-text table of one metric for the terminal. */
export function comparisonLines(results: readonly MethodResult[], metric: PairMetric): string[] {
  const width = Math.max(...results.map(({ name }) => name.length));
  return summarise(results)
    .map(({ method, metrics, kind }) => ({ method, kind, interval: metrics[metric.name] }))
    .sort((a, b) => (metric.better === 'lower' ? 1 : -1) * (a.interval.mean - b.interval.mean))
    .map(
      ({ method, kind, interval: { mean, low, high } }) =>
        `${method.padEnd(width)}  ${number(mean).padStart(8)}  [${number(low)}, ${number(high)}]${kind === 'denoiser' ? '' : `  (${kind})`}`,
    );
}

/** A paragraph in the dim colour of remarks. */
export const note = (text: string): Html => html`<p class="dim">${text}</p>`;
