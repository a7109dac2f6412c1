import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from 'commander';
import { printConfig, UserError } from '../../config/index.ts';
import type { Experiment } from '../../experiment/index.ts';
import type { PlannedCell, SweepTable } from '../../runs/index.ts';
import { commandLine } from '../command-line.ts';
import { checkLaunch, type LaunchFlags, launchOptions, printSubmission } from '../launching.ts';
import { jsonOption, show, table } from '../tables.ts';

interface RunFlags extends LaunchFlags {
  readonly out?: string;
  readonly zoo?: string;
  readonly dryRun?: boolean;
  readonly resume?: boolean;
  readonly multirun?: boolean;
  readonly only?: readonly string[];
  readonly gather?: boolean;
  readonly json?: boolean;
}

async function printHeadlines(found: SweepTable, json: boolean | undefined): Promise<void> {
  const { headlines, sweepLines } = await import('../../runs/index.ts');
  if (found.rows.length === 0 && !json) return;
  const shown = found.rows.filter(headlines(found));
  const records = shown.map(({ settings, method, kind, seeds, intervals }) => ({
    settings,
    method,
    kind,
    seeds,
    intervals,
  }));
  show(json, { cells: records, missing: found.missing }, () => {
    const { head, rows } = sweepLines(found, headlines(found));
    return table(head, rows);
  });
}

interface Sweep {
  /** The experiment by name or path, as it was given. */
  readonly name: string;
  readonly experiment: Experiment;
  readonly words: readonly string[];
  readonly folder: string;
  readonly cells: readonly PlannedCell[];
  /** The cells that are wanted now. */
  readonly chosen: readonly PlannedCell[];
  readonly finished: ReadonlySet<string>;
}

/** Every missing cell as a task of the cluster, and a job behind them that writes the report. */
async function submit({ name, words, folder, chosen, finished }: Sweep, flags: RunFlags): Promise<void> {
  await printSubmission(
    {
      name: `sweep-${name.replace(/[^\w-]+/g, '-')}`,
      folder,
      tasks: chosen
        .filter(({ id }) => !finished.has(id))
        .map(({ id, overrides }) => ({
          id,
          words: ['run', name, ...overrides, '--out', join(folder, id), '--resume'],
        })),
      gather: {
        id: 'report',
        words: ['run', name, ...words, '--multirun', '--out', folder, '--gather'],
        after: 'any end',
      },
    },
    flags,
  );
}

/** Writes the report over the cells that have results; of the others it says what Slurm does. */
async function gather({ experiment, cells, folder }: Sweep, flags: RunFlags): Promise<void> {
  const { taskStates, writeSweepReport } = await import('../../runs/index.ts');
  const failed = [...taskStates(folder)].map(([id, { job, state }]) => ({
    id,
    reason: `${state} (job ${job})`,
  }));
  const found = await writeSweepReport({ experiment, cells, folder, command: commandLine(), failed });
  await printHeadlines(found, flags.json);
  console.error(`${folder}: ${cells.length - found.missing.length} cells, ${found.missing.length} missing`);
  console.error(`report   ${join(folder, 'report.html')}`);
}

async function runHere(sweep: Sweep, flags: RunFlags): Promise<void> {
  const { interruption, runSweep, writeSweepReport } = await import('../../runs/index.ts');
  const { experiment, cells, folder } = sweep;
  const { signal, release } = interruption();
  const outcome = await runSweep({
    experiment: sweep.name,
    cells: sweep.chosen,
    finished: sweep.finished,
    folder,
    jobs: flags.jobs,
    signal,
  });
  release();
  const { failed } = outcome;
  const found = await writeSweepReport({ experiment, cells, folder, command: commandLine(), failed });
  await printHeadlines(found, flags.json);
  console.error(
    `${folder}: ${outcome.finished.length} cells run, ${outcome.skipped.length} already there, ${failed.length} failed, ${found.missing.length} missing`,
  );
  for (const { id, reason } of failed) console.error(`  ${id}: ${reason}`);
  if (failed.length > 0) {
    console.error(
      `a cell's log.txt has all that it said; the same command tries failed cells again, --only ${failed[0].id} one alone`,
    );
  }
  if (signal.aborted) console.error('interrupted: the same command goes on with the cells that are missing');
  console.error(`report   ${join(folder, 'report.html')}`);
  if (failed.length > 0 || signal.aborted) process.exitCode = 1;
}

/** Rehearses so many of the cells that are to be run that every value of every key is in one of them. */
async function rehearseCells(
  experiment: Experiment,
  cells: readonly PlannedCell[],
  finished: ReadonlySet<string>,
): Promise<void> {
  const { rehearse } = await import('../../experiment/index.ts');
  const seen = new Set<string>();
  for (const { id, varied, parameters } of cells.filter(cell => !finished.has(cell.id))) {
    const values = Object.entries(varied).map(entry => JSON.stringify(entry));
    if (seen.size > 0 && values.every(value => seen.has(value))) continue;
    for (const value of values) seen.add(value);
    await rehearse(experiment, parameters).catch(error => {
      throw error instanceof UserError ? new UserError(`${id}: ${error.message}`) : error;
    });
  }
}

async function sweep(name: string, experiment: Experiment, words: readonly string[], flags: RunFlags) {
  const { cellsNamed, configOf, finishedCells, planSweep } = await import('../../runs/index.ts');
  const folder = flags.out ?? join('runs', `${experiment.name}-sweep`);
  const cells = await planSweep(experiment, configOf(name, experiment), words);
  const finished = await finishedCells(experiment, cells, folder);
  const chosen = flags.only ? cellsNamed(cells, flags.only) : cells;
  if (flags.dryRun) await rehearseCells(experiment, chosen, finished);
  const planned: Sweep = { name, experiment, words, folder, cells, chosen, finished };
  if (flags.gather) return gather(planned, flags);
  if (flags.launcher !== 'local') return submit(planned, flags);
  if (!flags.dryRun) return runHere(planned, flags);
  for (const { id } of chosen) console.log(`${id}${finished.has(id) ? '  (finished)' : ''}`);
}

/** A cell of a sweep ends with the sweep, however that was ended: its standard input is then at its end. */
function endWithSweep(): void {
  if (!process.env.WEIGHTLOOM_SWEEP_CELL) return;
  delete process.env.WEIGHTLOOM_SWEEP_CELL;
  process.stdin.on('end', () => process.exit(130)).resume();
  (process.stdin as { unref?(): void }).unref?.();
}

async function run(name: string, overrides: readonly string[], flags: RunFlags) {
  endWithSweep();
  const { loadExperiment, rehearse, runExperiment } = await import('../../experiment/index.ts');
  const { checkRunFolder, configOf, experimentConfig, isFinished } = await import('../../runs/index.ts');
  // An option is literal text; an override's value is YAML, which JSON is too.
  const words = flags.zoo ? [...overrides, `zoo=${JSON.stringify(flags.zoo)}`] : overrides;
  const lonely = (['only', 'gather'] as const).find(flag => flags[flag] && !flags.multirun);
  if (lonely) throw new UserError(`option --${lonely}: expected --multirun beside it.`, 2);
  if (flags.launcher !== 'local' && !flags.multirun)
    throw new UserError(`option --launcher ${flags.launcher}: expected --multirun beside it.`, 2);
  checkLaunch(flags);
  const experiment = await loadExperiment(name);
  if (flags.multirun) return sweep(name, experiment, words, flags);
  const { parameters, sweep: block } = await experimentConfig(experiment, configOf(name, experiment), words);
  if (flags.dryRun) {
    const resumed = flags.resume && flags.out && existsSync(join(flags.out, 'config.yaml'));
    if (flags.out && !resumed) checkRunFolder(flags.out);
    await rehearse(experiment, parameters);
    console.log(printConfig(parameters));
    return;
  }
  if (block !== undefined && block !== null) {
    console.error(
      `the sweep over ${Object.keys(block).join(', ')} in the configuration is left out: --multirun runs it`,
    );
  }
  const { out: folder } = flags;
  const begun = flags.resume === true && folder !== undefined && existsSync(join(folder, 'config.yaml'));
  if (begun && (await isFinished(folder))) {
    console.error(`${folder}: finished already`);
    return;
  }
  await runExperiment(experiment, parameters, {
    folder,
    command: commandLine(),
    source: name,
    resume: begun,
  });
}

export const register = (program: Command): void => {
  const command = program
    .command('run')
    .description('Run an experiment and write its report')
    .argument('<experiment>', 'a name, or the path of a TypeScript file')
    .argument('[overrides...]', 'key=value, for any key of its configuration')
    .option('--zoo <folder>', 'the zoo to run on; short for zoo=<folder>')
    .option('--out <folder>', 'run folder (default: runs/<experiment>-<time>, or runs/<experiment>-sweep)')
    .option(
      '--dry-run',
      'check everything that the run would refuse, print the resolved configuration (or the names of the cells, or the scripts) and stop',
    )
    .option('--resume', 'go on with an unfinished run in --out, if there is one')
    .option(
      '--multirun',
      'one run for every combination of key=a,b,c and of the sweep block of its configuration',
    )
    .option('--only <cell...>', 'with --multirun: only these cells, by name or by the hash at its end')
    .option('--gather', 'with --multirun: only write the report over the cells that are there')
    .addOption(jsonOption('with --multirun: print the table as JSON'))
    .addHelpText(
      'after',
      `
A run that was stopped goes on with: weightloom runs resume FOLDER
A sweep goes on where it was stopped: finished cells are never run again, failed ones are tried again. What is swept may
also stand in the configuration, as \`sweep: { seed: [0, 1, 2] }\`; the command line wins. On a cluster every cell is a task of a Slurm array;
configs/launcher/slurm.yaml has the directives, and the same command submits again what was cancelled or ran out of time.

Examples:
  $ weightloom run quickstart
  $ weightloom run quickstart training.steps=400 denoisers=[transformer] --zoo zoos/mine
  $ weightloom run quickstart --multirun seed=0,1,2 diffusion.parametrisation=edm,clean --out runs/parametrisation
  $ weightloom run quickstart --multirun seed=0,1,2 --only seed=1-22e2f8d4      # one failed cell again
  $ weightloom run compare-denoisers preset=full --multirun seeds=[0],[1],[2] --launcher slurm --launch gpus=1 time=12:00:00`,
    )
    .action(run);
  launchOptions(command);
};
