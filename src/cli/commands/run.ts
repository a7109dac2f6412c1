import { join } from 'node:path';
import type { Command } from 'commander';
import { printConfig, UserError } from '../../config/index.ts';
import type { Experiment } from '../../experiment/index.ts';
import { commandLine } from '../command-line.ts';

interface RunFlags {
  readonly out?: string;
  readonly zoo?: string;
  readonly dryRun?: boolean;
  readonly multirun?: boolean;
  readonly slots: number;
  readonly only?: readonly string[];
}

async function sweep(name: string, experiment: Experiment, words: readonly string[], flags: RunFlags) {
  const {
    cellsNamed,
    configOf,
    finishedCells,
    headlines,
    interruption,
    planSweep,
    runSweep,
    sweepLines,
    writeSweepReport,
  } = await import('../../runs/index.ts');
  const folder = flags.out ?? join('runs', `${experiment.name}-sweep`);
  const cells = await planSweep(experiment, configOf(name, experiment), words);
  const finished = await finishedCells(experiment, cells, folder);
  const chosen = flags.only ? cellsNamed(cells, flags.only) : cells;
  if (flags.dryRun) {
    for (const { id } of chosen) console.log(`${id}${finished.has(id) ? '  (finished)' : ''}`);
    return;
  }
  const { signal, release } = interruption();
  const outcome = await runSweep({
    experiment: name,
    cells: chosen,
    finished,
    folder,
    slots: flags.slots,
    signal,
  });
  release();
  const { failed } = outcome;
  const table = await writeSweepReport({ experiment, cells, folder, command: commandLine(), failed });
  if (table.rows.length > 0) {
    const { head, rows } = sweepLines(table, headlines(table));
    const { table: printed } = await import('../tables.ts');
    console.log(printed(head, rows));
  }
  console.error(
    `${folder}: ${outcome.finished.length} cells run, ${outcome.skipped.length} already there, ${failed.length} failed, ${table.missing.length} missing`,
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

/** A cell of a sweep ends with the sweep, however that was ended: its standard input is then at its end. */
function endWithSweep(): void {
  if (!process.env.WEIGHTLOOM_SWEEP_CELL) return;
  delete process.env.WEIGHTLOOM_SWEEP_CELL;
  process.stdin.on('end', () => process.exit(130)).resume();
  (process.stdin as { unref?(): void }).unref?.();
}

async function run(name: string, overrides: readonly string[], flags: RunFlags) {
  endWithSweep();
  const { loadExperiment, runExperiment } = await import('../../experiment/index.ts');
  const { configOf, experimentConfig } = await import('../../runs/index.ts');
  // An option is literal text; an override's value is YAML, which JSON is too.
  const words = flags.zoo ? [...overrides, `zoo=${JSON.stringify(flags.zoo)}`] : overrides;
  if (flags.only && !flags.multirun) throw new UserError('option --only: expected --multirun beside it.', 2);
  const experiment = await loadExperiment(name);
  if (flags.multirun) return sweep(name, experiment, words, flags);
  const { parameters, sweep: block } = await experimentConfig(experiment, configOf(name, experiment), words);
  if (flags.dryRun) {
    console.log(printConfig(parameters));
    return;
  }
  if (block !== undefined && block !== null) {
    console.error(
      `the sweep over ${Object.keys(block).join(', ')} in the configuration is left out: --multirun runs it`,
    );
  }
  await runExperiment(experiment, parameters, { folder: flags.out, command: commandLine(), source: name });
}

const positiveWhole = (text: string) => {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1)
    throw new UserError(`--slots: expected a whole number from 1, found "${text}".`, 2);
  return value;
};

export const register = (program: Command): void => {
  program
    .command('run')
    .description('Run an experiment and write its report')
    .argument('<experiment>', 'a name, or the path of a TypeScript file')
    .argument('[overrides...]', 'key=value, for any key of its configuration')
    .option('--zoo <folder>', 'the zoo to run on; short for zoo=<folder>')
    .option('--out <folder>', 'run folder (default: runs/<experiment>-<time>, or runs/<experiment>-sweep)')
    .option('--dry-run', 'print the resolved configuration (or the names of the cells) and stop')
    .option(
      '--multirun',
      'one run for every combination of key=a,b,c and of the sweep block of its configuration',
    )
    .option('--slots <n>', 'runs at a time with --multirun', positiveWhole, 1)
    .option('--only <cell...>', 'with --multirun: only these cells, by name or by the hash at its end')
    .addHelpText(
      'after',
      `
A run that was stopped goes on with: weightloom runs resume FOLDER
A sweep goes on where it was stopped: finished cells are never run again, failed ones are tried again. What is swept may
also stand in the configuration, as \`sweep: { seed: [0, 1, 2] }\`; the command line wins.

Examples:
  $ weightloom run quickstart
  $ weightloom run quickstart training.steps=400 denoisers=[transformer] --zoo zoos/mine
  $ weightloom run quickstart --multirun seed=0,1,2 diffusion.parametrisation=edm,clean --out runs/parametrisation
  $ weightloom run quickstart --multirun seed=0,1,2 --only seed=1-22e2f8d4      # one failed cell again`,
    )
    .action(run);
};
