import { existsSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import type { Command } from 'commander';
import { CONFIGS, isPath, loadConfig, printConfig, settle, UserError } from '../../config/index.ts';

interface RunFlags {
  readonly out?: string;
  readonly zoo?: string;
  readonly dryRun?: boolean;
  readonly multirun?: boolean;
  readonly slots: number;
}

/** The configuration of an experiment: configs/<name>.yaml, or the .yaml beside an experiment given as a file. */
const configOf = (experiment: string, name: string): string => {
  const beside = isPath(experiment) ? join(dirname(resolve(experiment)), `${name}.yaml`) : '';
  return beside && existsSync(beside) ? beside : name;
};

const quoted = (word: string) =>
  /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;

/** The command line that was typed, for reports. */
const commandLine = () => ['weightloom', ...process.argv.slice(2).map(quoted)].join(' ');

async function sweep(experiment: string, words: readonly string[], { out, slots }: RunFlags) {
  const { interruption, runSweep, sweepCells } = await import('../../experiment/index.ts');
  const { signal, release } = interruption();
  const folder = out ?? join('runs', `${experiment}-sweep`);
  const { finished, skipped, failed } = await runSweep({
    experiment,
    cells: sweepCells(words),
    folder,
    slots,
    signal,
  });
  release();
  console.error(
    `${folder}: ${finished.length} cells run, ${skipped.length} already there, ${failed.length} failed`,
  );
  for (const { id, reason } of failed) console.error(`  ${id}: ${reason}`);
  if (signal.aborted) console.error('interrupted: the same command goes on with the cells that are missing');
  if (failed.length > 0 || signal.aborted) process.exitCode = 1;
}

async function run(name: string, overrides: readonly string[], flags: RunFlags) {
  const words = flags.zoo ? [...overrides, `zoo=${flags.zoo}`] : overrides;
  if (flags.multirun) return sweep(name, words, flags);
  const { loadExperiment, runExperiment } = await import('../../experiment/index.ts');
  const experiment = await loadExperiment(name);
  const { value: parameters } = await settle(
    loadConfig(experiment.parameters, configOf(name, experiment.name), {
      overrides: words,
      roots: [CONFIGS],
    }),
  );
  if (flags.dryRun) {
    console.log(printConfig(parameters));
    return;
  }
  await runExperiment(experiment, parameters, { folder: flags.out, command: commandLine() });
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
    .option('--out <folder>', 'run folder (default: runs/<experiment>-<time>)')
    .option('--dry-run', 'print the resolved configuration and stop')
    .option('--multirun', 'one run for every combination of key=a,b,c')
    .option('--slots <n>', 'runs at a time with --multirun', positiveWhole, 1)
    .addHelpText(
      'after',
      `
Examples:
  $ weightloom run quickstart
  $ weightloom run quickstart training.steps=400 denoisers=[transformer] --zoo zoos/mine
  $ weightloom run quickstart --multirun seed=0,1,2 parametrisation=edm,clean --out runs/parametrisation`,
    )
    .action(run);
};
