/** One report over several runs: each run's table, the merged tables of those on the same textures, and their commands. */
import { existsSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';
import { refuse, settle } from '../config/index.ts';
import { summarise } from '../evaluation/index.ts';
import { writeAtomically } from '../formats/index.ts';
import {
  comparisonLatex,
  comparisonMarkdown,
  comparisonPlots,
  comparisonTable,
  csvTable,
  type Html,
  html,
  metricLabel,
  pairedTable,
  renderReport,
  type Section,
  table,
} from '../report/index.ts';
import { type FinishedRun, groupRuns, type RunGroup, readRuns } from './merge.ts';
import { metricsOf } from './results.ts';
import { environment } from './run-folder.ts';

/** Values of nested mappings by their path, as text. */
function leaves(value: unknown, path = ''): [string, string][] {
  const nested = typeof value === 'object' && value !== null && !Array.isArray(value);
  if (!nested) return [[path, JSON.stringify(value)]];
  return Object.entries(value).flatMap(([key, inner]) => leaves(inner, path === '' ? key : `${path}.${key}`));
}

/** The runs, with the settings in which they differ. */
function runsTable(runs: readonly FinishedRun[]): Html {
  const flat = runs.map(({ results }) => new Map(leaves(results.config)));
  const keys = [...new Set(flat.flatMap(leaf => [...leaf.keys()]))].filter(
    key => new Set(flat.flatMap(leaf => leaf.get(key) ?? [])).size > 1,
  );
  return table(
    ['run', 'experiment', 'textures', ...keys],
    runs.map(({ label, results }, i) => [
      label,
      results.experiment,
      String(results.textures.length),
      ...keys.map(key => flat[i].get(key) ?? ''),
    ]),
  );
}

const names = (runs: readonly FinishedRun[]) => runs.map(({ label }) => label).join(', ');

/** `3 runs of quickstart`, or the run's own name. */
const subject = (runs: readonly FinishedRun[]) =>
  runs.length === 1
    ? runs[0].label
    : `${runs.length} runs of ${[...new Set(runs.map(({ results }) => results.experiment))].join(', ')}`;

/** Why runs do not stand in one table, in a sentence; null when they do. */
const apart = (groups: readonly RunGroup[]): string | null =>
  groups.length < 2
    ? null
    : `Not all runs were measured on the same held-out textures (${groups.map(({ runs }) => names(runs)).join('; ')}): only those that were are paired with each other.`;

const mergedSentences = ({ merged }: RunGroup) =>
  Object.entries(merged).map(
    ([label, runs]) =>
      `${label}: the mean over ${runs.length} runs that differ in the seed alone (${names(runs)}).`,
  );

async function groupSection(group: RunGroup, several: boolean): Promise<Section> {
  const { runs, methods, metrics, textures } = group;
  const [lead] = metrics;
  return {
    title: several ? `Side by side: ${subject(runs)}` : 'Side by side',
    body: html`<p>${names(runs)}</p><p class="dim">Mean over the same ${textures.length} held-out textures with 95% interval; arrows say which way is better. Bold: the best,
and what is not told apart from it (paired, with Holm's correction). ${mergedSentences(group).join(' ')}</p>
${comparisonTable(methods, metrics)}${await comparisonPlots(methods, metrics.slice(0, 2))}
<p class="dim">Difference in ${metricLabel(lead.name)}, paired by texture, of each denoiser (column) and every other method (row), those of other runs too, with 95%
interval; bold where the denoiser is surely better.</p>
${pairedTable(methods, lead)}`,
  };
}

function csv(runs: readonly FinishedRun[]): string {
  const metrics = [...new Set(runs.flatMap(({ results }) => results.metrics.map(({ name }) => name)))];
  const lines = runs.flatMap(({ label, methods, results }) =>
    methods.flatMap(({ name, kind, values, health }) =>
      results.textures.map((texture, i) => [
        label,
        name,
        kind,
        texture,
        ...metrics.map(metric => values[metric]?.[i] ?? ''),
        health[i] ?? '',
      ]),
    ),
  );
  const head = ['run', 'method', 'kind', 'texture', ...metrics, 'health'];
  return csvTable(head, lines);
}

function markdown(groups: readonly RunGroup[]): string {
  const sentence = apart(groups);
  const parts = groups.map(group =>
    [
      `## ${subject(group.runs)}`,
      ...(group.runs.length > 1 ? [names(group.runs)] : []),
      `Mean over ${group.textures.length} held-out textures [95% interval].`,
      ...mergedSentences(group),
      comparisonMarkdown(summarise(group.methods), group.metrics),
    ].join('\n\n'),
  );
  return [...(sentence ? [sentence] : []), ...parts].join('\n\n');
}

/**
 * Reads runs and writes report.html, results.csv, results.md and results.tex over all of them.
 * @param folder where to; made when it is not there
 * @returns the runs in groups of the same textures, what has to be said of them, and a sentence for each that could not be read
 * @throws UserError when a folder holds no comparison of this version, or `folder` is itself a run
 */
export async function writeRunsReport(
  folders: readonly string[],
  { folder, command }: { readonly folder: string; readonly command: string },
): Promise<{
  readonly groups: readonly RunGroup[];
  readonly sentences: readonly string[];
  readonly leftOut: readonly string[];
}> {
  const leftOut: string[] = [];
  const runs = await readRuns(folders, error => leftOut.push(`Left out: ${error.message}`));
  if (existsSync(join(folder, 'config.yaml')) || existsSync(join(folder, 'sweep.csv'))) {
    refuse(folder, 'a folder for the report', 'one that holds a run or a sweep', {
      hint: 'Its report would be lost.',
    });
  }
  const groups = groupRuns(runs);
  const sentence = apart(groups);
  const linked = (run: FinishedRun) => {
    const report = join(resolve(run.folder), 'report.html');
    if (!existsSync(report)) return null;
    const way = relative(resolve(folder), report).split(/[\\/]/).map(encodeURIComponent).join('/');
    return html`<p><a href="${way.startsWith('..') ? way : `./${way}`}">the report of this run</a></p>`;
  };
  const sections: Section[] = [
    {
      title: 'Runs',
      body: html`${[...(sentence ? [sentence] : []), ...leftOut].map(line => html`<p>${line}</p>`)}${runsTable(runs)}`,
    },
    ...(runs.length > 1
      ? await Promise.all(
          groups.filter(group => group.runs.length > 1).map(group => groupSection(group, groups.length > 1)),
        )
      : []),
    ...runs.map(run => ({
      title: run.label,
      body: html`${comparisonTable(run.methods, metricsOf(run.results))}<pre>${run.results.command}</pre>${linked(run)}`,
    })),
  ];
  const write = (name: string, content: string) => settle(writeAtomically(join(folder, name), content));
  await write('results.csv', csv(runs));
  await write('results.md', markdown(groups));
  await write(
    'results.tex',
    groups
      .map((group, i) =>
        comparisonLatex(group.methods, group.metrics, {
          command,
          caption: `${subject(group.runs)}: mean over ${group.textures.length} held-out textures.`,
          label: groups.length > 1 ? `tab:comparison-${i + 1}` : undefined,
        }),
      )
      .join('\n'),
  );
  await write(
    'report.html',
    await renderReport({
      title: 'weightloom: report over runs',
      question: [...new Set(runs.map(({ results }) => results.experiment))].join(', '),
      sections,
      command,
      config: Object.fromEntries(runs.map(({ label, results }) => [label, results.config])),
      environment: environment(),
    }),
  );
  const sentences = [...(sentence ? [sentence] : []), ...groups.flatMap(mergedSentences)];
  return { groups, sentences, leftOut };
}
