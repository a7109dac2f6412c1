/** The cells of a sweep side by side: one row a setting and method, the mean over seeds where the seed is swept. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { settle } from '../../config/index.ts';
import {
  type Interval,
  leaders,
  type MethodKind,
  meanInterval,
  overSeeds,
  type PairMetric,
} from '../../evaluation/index.ts';
import { writeAtomically } from '../../formats/index.ts';
import {
  type Cell,
  csvTable,
  html,
  intervalChart,
  intervalText,
  markdownTable,
  metricLabel,
  plots,
  renderReport,
  table,
} from '../../report/index.ts';
import {
  damageOf,
  isComparison,
  methodsOf,
  RESULTS,
  type Results,
  readResults,
  readResultsHead,
} from '../results.ts';
import { environment } from '../run-folder.ts';
import type { SweepCell } from './cells.ts';

/** A method under one setting of a sweep. */
export interface SweepRow {
  /** The varied settings but the seed, by key. */
  readonly settings: Readonly<Record<string, string>>;
  readonly method: string;
  readonly kind: MethodKind;
  /** How many seeds the mean is over. */
  readonly seeds: number;
  /** By metric. */
  readonly intervals: Readonly<Record<string, Interval>>;
  /** By metric, a number for each texture, the mean over seeds; what is paired where all cells share their textures. */
  readonly values: Readonly<Record<string, Float64Array>>;
}

/** The results of a sweep, one row a setting and method. */
export interface SweepTable {
  /** Keys that vary, but the seed. */
  readonly keys: readonly string[];
  /** Whether the sweep varies the seed. */
  readonly overSeeds: boolean;
  /** The metrics that all cells have; the first one leads. */
  readonly metrics: readonly Pick<PairMetric, 'name' | 'better'>[];
  readonly rows: readonly SweepRow[];
  /** Whether all cells were measured on the same textures, so that any two rows can be paired. */
  readonly paired: boolean;
  /** Cells without results. */
  readonly missing: readonly string[];
}

type Measured = readonly { readonly cell: SweepCell; readonly results: Results; readonly path: string }[];

const shareTextures = (cells: Measured): boolean =>
  new Set(cells.map(({ results }) => results.textures.join('\n'))).size <= 1;

/** A method under one setting: texture by texture the mean over seeds, where they share their textures; else the seeds' own means. */
function overCells(
  cells: Measured,
  method: string,
  metrics: SweepTable['metrics'],
): Pick<SweepRow, 'intervals' | 'values'> {
  const runs = cells.map(
    ({ results, path }) => methodsOf(results, path).find(({ name }) => name === method)!,
  );
  const shared = shareTextures(cells);
  const { values } = overSeeds(runs, method);
  const mean = (of: Float64Array) => of.reduce((a, b) => a + b, 0) / of.length;
  const intervals = metrics.map(({ name }) => [
    name,
    shared
      ? meanInterval(values[name])
      : meanInterval(
          runs.map(run => mean(run.values[name])),
          { method: 't' },
        ),
  ]);
  return { intervals: Object.fromEntries(intervals), values };
}

/** Reads what the cells found. @throws UserError when a cell's results are no comparison of this version */
export async function sweepTable(cells: readonly SweepCell[], folder: string): Promise<SweepTable> {
  const there: SweepCell[] = [];
  for (const cell of cells) {
    const path = join(folder, cell.id);
    if (existsSync(join(path, RESULTS)) && !(await damageOf(path))) there.push(cell);
  }
  const measured: { cell: SweepCell; path: string; results: Results }[] = [];
  for (const cell of there) {
    const path = join(folder, cell.id);
    if (isComparison((await readResultsHead(path)).raw)) {
      measured.push({ cell, path, results: await readResults(path) });
    }
  }
  const all = [...new Set(cells.flatMap(({ varied }) => Object.keys(varied)))];
  const keys = all.filter(key => key !== 'seed');
  const [first] = measured;
  const metrics = (first?.results.metrics ?? []).filter(({ name }) =>
    measured.every(({ results }) => results.metrics.some(metric => metric.name === name)),
  );
  const groups = new Map<string, Measured>();
  for (const one of measured) {
    const label = keys.map(key => one.cell.varied[key]).join('\n');
    groups.set(label, [...(groups.get(label) ?? []), one]);
  }
  const [lead] = metrics;
  const sign = lead?.better === 'higher' ? -1 : 1;
  const comparable = lead ? [...groups.values()] : [];
  const rows = comparable.flatMap(group => {
    const settings = Object.fromEntries(keys.map(key => [key, group[0].cell.varied[key]]));
    const methods = new Map(
      group.flatMap(({ results }) => results.summary.map(({ method, kind }) => [method, kind] as const)),
    );
    return [...methods]
      .map(([method, kind]): SweepRow => {
        const having = group.filter(({ results }) => results.summary.some(row => row.method === method));
        return {
          settings,
          method,
          kind,
          seeds: having.length,
          ...overCells(having, method, metrics),
        };
      })
      .sort((a, b) => sign * (a.intervals[lead.name].mean - b.intervals[lead.name].mean));
  });
  return {
    keys,
    overSeeds: all.includes('seed'),
    metrics,
    rows,
    paired: shareTextures(measured),
    missing: cells.filter(cell => !there.includes(cell)).map(({ id }) => id),
  };
}

/** The headline metric as a table of texts. */
export function sweepLines(
  { keys, overSeeds, metrics: [lead], rows }: SweepTable,
  keep: (row: SweepRow) => boolean = () => true,
): { readonly head: string[]; readonly rows: string[][] } {
  return {
    head: [...keys, 'method', 'kind', ...(overSeeds ? ['seeds'] : []), lead ? metricLabel(lead.name) : ''],
    rows: rows
      .filter(keep)
      .map(({ settings, method, kind, seeds, intervals }) => [
        ...keys.map(key => settings[key]),
        method,
        kind,
        ...(overSeeds ? [String(seeds)] : []),
        intervalText(intervals[lead.name]),
      ]),
  };
}

/** Denoisers, and the best baseline of each setting: what is worth a line on the terminal. */
export function headlines({ keys, rows }: SweepTable): (row: SweepRow) => boolean {
  const label = ({ settings }: SweepRow) => keys.map(key => settings[key]).join('\n');
  const best = new Map<string, SweepRow>();
  for (const row of rows) {
    if (row.kind === 'baseline' && !best.has(label(row))) best.set(label(row), row);
  }
  const denoisers = rows.some(({ kind }) => kind === 'denoiser');
  return row => !denoisers || row.kind === 'denoiser' || best.get(label(row)) === row;
}

function markdown(sweep: SweepTable): string {
  const { head, rows } = sweepLines(sweep);
  return markdownTable(head, rows);
}

/** One row per setting, method and metric. */
function csv({ keys, metrics, rows }: SweepTable): string {
  const lines = rows.flatMap(({ settings, method, kind, seeds, intervals }) =>
    metrics.map(({ name }) => {
      const { mean, low, high } = intervals[name];
      return [...keys.map(key => settings[key]), method, kind, seeds, name, mean, low, high];
    }),
  );
  const head = [...keys, 'method', 'kind', 'seeds', 'metric', 'mean', 'low', 'high'];
  return csvTable(head, lines);
}

/** The HTML table: every metric, bold as in all tables, where rows can be paired. */
function htmlTable({ keys, overSeeds, metrics, rows, paired }: SweepTable) {
  const bold = new Map(metrics.map(metric => [metric.name, leaders(paired ? rows : [], metric)]));
  return table(
    [
      ...keys,
      'method',
      'kind',
      ...(overSeeds ? ['seeds'] : []),
      ...metrics.map(({ name, better }) => `${metricLabel(name)} ${better === 'lower' ? '↓' : '↑'}`),
    ],
    rows.map(row => [
      ...keys.map(key => row.settings[key]),
      row.method,
      row.kind,
      ...(overSeeds ? [String(row.seeds)] : []),
      ...metrics.map(
        ({ name }): Cell => ({ text: intervalText(row.intervals[name]), best: bold.get(name)!.has(row) }),
      ),
    ]),
  );
}

export interface SweepReport {
  readonly experiment: { readonly name: string; readonly question: string };
  readonly cells: readonly SweepCell[];
  readonly folder: string;
  readonly command: string;
  readonly failed: readonly { readonly id: string; readonly reason: string }[];
}

/** Writes sweep.md, sweep.csv and report.html into the folder of a sweep; returns the table they show. */
export async function writeSweepReport(report: SweepReport): Promise<SweepTable> {
  const { experiment, cells, folder, command, failed } = report;
  const sweep = await sweepTable(cells, folder);
  const { rows, metrics, missing } = sweep;
  const write = (name: string, content: string) => settle(writeAtomically(join(folder, name), content));
  const failures = new Map(failed.map(({ id, reason }) => [id, reason]));
  const absent = missing.map(id => `${id}: ${failures.get(id) ?? 'not run yet'}`);
  await write('sweep.csv', csv(sweep));
  await write(
    'sweep.md',
    `${markdown(sweep)}${absent.length > 0 ? `\nMissing:\n\n${absent.map(line => `- ${line}\n`).join('')}` : ''}`,
  );
  const [lead] = metrics;
  const shown = rows.filter(headlines(sweep));
  const label = ({ settings, method }: SweepRow) =>
    [...sweep.keys.map(key => `${key}=${settings[key]}`), method].join(' ');
  const chart =
    lead && shown.length > 0
      ? plots(
          await intervalChart({
            x: metricLabel(lead.name),
            rows: shown.map(row => ({ label: label(row), group: row.method, ...row.intervals[lead.name] })),
          }),
        )
      : null;
  await write(
    'report.html',
    await renderReport({
      title: `weightloom: sweep of ${experiment.name}`,
      question: experiment.question,
      sections: [
        {
          title: 'Cells side by side',
          body: html`<p class="dim">Mean with 95% interval over the held-out textures${sweep.overSeeds ? ', each the mean over seeds' : ''};
arrows say which way is better. ${
            sweep.paired
              ? 'Bold: the best, and what is not told apart from it (paired, with Holm’s correction).'
              : 'Nothing is bold: the cells were measured on different textures, and cannot be paired.'
          }</p>
${htmlTable(sweep)}${chart}`,
        },
        {
          title: 'Cells',
          body: html`<div class="scroll"><ul>${cells.map(({ id }) =>
            missing.includes(id)
              ? html`<li>${id}: ${failures.get(id) ?? 'not run yet'}</li>`
              : html`<li><a href="${`./${encodeURIComponent(id)}/report.html`}">${id}</a></li>`,
          )}</ul></div>`,
        },
      ],
      command,
      config: { cells: cells.map(({ overrides }) => overrides.join(' ')) },
      environment: environment(),
    }),
  );
  return sweep;
}
