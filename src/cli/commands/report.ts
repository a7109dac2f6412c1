/** `weightloom report`: one report over several runs. */
import { join } from 'node:path';
import type { Command } from 'commander';
import { commandLine } from '../command-line.ts';
import { jsonOption, recordTable, show } from '../tables.ts';

const timestamp = () => new Date().toISOString().slice(0, 19).replaceAll(':', '-');

async function report(
  folders: readonly string[],
  { out, json }: { out?: string; json?: boolean },
): Promise<void> {
  const { metricLabel, number } = await import('../../report/index.ts');
  const { writeRunsReport } = await import('../../runs/index.ts');
  const { summarise } = await import('../../evaluation/index.ts');
  const folder = out ?? join('runs', `report-${timestamp()}`);
  const { groups, sentences, leftOut } = await writeRunsReport(folders, { folder, command: commandLine() });
  const found = groups.map(({ methods, metrics }) => {
    const [lead] = metrics;
    const sign = lead.better === 'lower' ? 1 : -1;
    const rows = summarise(methods)
      .map(({ method, kind, metrics: intervals }) => ({ method, kind, ...intervals[lead.name] }))
      .sort((a, b) => sign * (a.mean - b.mean));
    return { metric: lead.name, rows };
  });
  show(json, found, tables =>
    tables
      .map(({ metric, rows }) =>
        recordTable(
          rows.map(({ method, kind, mean, low, high }) => ({
            method,
            kind,
            [metricLabel(metric)]: `${number(mean)} [${number(low)}, ${number(high)}]`,
          })),
        ),
      )
      .join('\n'),
  );
  for (const sentence of [...sentences, ...leftOut]) console.error(sentence);
  if (leftOut.length > 0) process.exitCode = 1;
  console.error(`report   ${join(folder, 'report.html')}`);
}

export const register = (program: Command): void => {
  program
    .command('report')
    .description('One report over several runs')
    .argument('<runs...>', 'their folders')
    .option('--out <folder>', 'where to (default: runs/report-<time>)')
    .addOption(jsonOption())
    .addHelpText(
      'after',
      `
Writes report.html, results.csv, results.md and results.tex. Runs on the same held-out textures stand in one table, their methods
paired texture by texture; runs that differ in the seed alone become their mean.

Examples:
  $ weightloom report runs/quickstart-a runs/quickstart-b
  $ weightloom report runs/seeds/seed=*/ --out reports/seeds`,
    )
    .action(report);
};
