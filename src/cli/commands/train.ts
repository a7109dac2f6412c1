/** `weightloom train`: trains a denoiser as a configuration says. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from 'commander';
import {
  CONFIGS,
  composeConfig,
  isInData,
  orThrow,
  pastable,
  printConfig,
  settle,
  trusting,
  UserError,
  userModules,
} from '../../config/index.ts';
import {
  backendOption,
  experimentNames,
  planTraining,
  prepareTraining,
  runTraining,
  type TrainingPlan,
  trainConfig,
} from '../../experiment/index.ts';
import { checkRunFolder, createRunFolder, interruption, progressBar } from '../../runs/index.ts';
import { backendReport, startBackend } from '../../tensor/index.ts';
import { duration, jsonOption, keyValueTable, show } from '../tables.ts';

interface Options {
  out?: string;
  dryRun?: boolean;
  json?: boolean;
}

const PRESETS = join(CONFIGS, 'train');
const presets = () =>
  readdirSync(PRESETS)
    .map(name => name.replace(/\.yaml$/, ''))
    .filter(name => name !== 'base')
    .sort();

async function train(name: string, overrides: string[], { out, dryRun, json }: Options): Promise<void> {
  if (experimentNames().includes(name)) {
    throw new UserError(`${name}: that is an experiment: ${pastable('run', name)}`, 2);
  }
  const { config: composed } = await settle(composeConfig(name, { overrides, roots: [PRESETS, CONFIGS] }));
  const config = orThrow(trainConfig(composed, name));
  const { summary } = await startBackend();
  // A configuration that lies in a run or zoo folder is data: code it names has to be named on the command line as well.
  const modules = Object.keys(userModules(overrides.map(word => word.slice(word.indexOf('=') + 1))));
  const prepare = () => prepareTraining(config, name, { progress: progressBar });
  const option = `weightloom train ${name} denoiser.kind=... or encoder.kind=... with`;
  const job = await (isInData(name) ? trusting({ where: name, modules, option }, prepare) : prepare());
  try {
    if (dryRun) {
      if (out) checkRunFolder(out);
      const plan = await planTraining(job);
      show(
        json,
        { config, backend: summary, ...plan },
        () => `${printConfig(config)}\n${planTable(plan, summary)}`,
      );
      return;
    }
    console.log(printConfig(config));
    const command = ['weightloom', 'train', name, ...overrides].join(' ');
    const run = await createRunFolder('train', config, {
      folder: out,
      command,
      environment: { backend: backendReport(), modules: userModules(config) },
    });
    const { signal, release } = interruption();
    try {
      const result = await runTraining(job, {
        folder: run.path,
        resume: false,
        signal,
        progress: progressBar,
      });
      report(run.path, result, Object.keys(userModules(config)));
    } finally {
      release();
      await run.leave();
    }
  } finally {
    job.dispose();
  }
}

/** What is said when a training ends or stops. */
export function report(
  path: string,
  { stopped, steps, seconds, validation }: Awaited<ReturnType<typeof runTraining>>,
  modules: readonly string[] = [],
): void {
  if (stopped === 'interrupted') {
    console.error(
      `stopped after ${steps} steps; to go on: ${pastable('runs', 'resume', path, ...modules, ...backendOption())}`,
    );
    process.exitCode = 130;
    return;
  }
  const loss = validation ? `, validation loss ${validation.loss.toPrecision(4)}` : '';
  console.log(`${path}: ${steps} steps in ${duration(seconds)}${loss}`);
}

function planTable(plan: TrainingPlan, backend: string): string {
  return keyValueTable({
    backend,
    'NCAs to train on': plan.train,
    'NCAs held out': plan.heldOut,
    'weights of an NCA': plan.weights,
    'parameters of the denoiser': plan.parameters.denoiser.toLocaleString('en'),
    'trained parameters of the encoder': plan.parameters.encoder.toLocaleString('en'),
    steps: plan.steps.toLocaleString('en'),
    epochs: plan.epochs.toPrecision(4),
    'time of a step': `${plan.secondsPerStep.toPrecision(3)} s`,
    'expected time': duration(plan.seconds),
  });
}

export const register = (program: Command): void => {
  program
    .command('train')
    .description('Train a denoiser as a configuration says')
    .argument('<config>', `a YAML file, or one of ${presets().join(', ')}`)
    .argument(
      '[overrides...]',
      'key=value changes a value, +key=value adds one, group=name takes another file of a group',
    )
    .option('-o, --out <folder>', 'run folder (default: runs/train-TIME)')
    .option('--dry-run', 'print the configuration, sizes and expected time, and train nothing')
    .addOption(jsonOption('with --dry-run: print the result as JSON'))
    .addHelpText(
      'after',
      `
Examples:
  $ weightloom train quick --dry-run
  $ weightloom train quick denoiser=edge-mpnn-small training.steps=3000 --out runs/graph
  $ weightloom train gram zoo=zoos/flickr+dtd pictureSize=128

A stopped run goes on with: weightloom runs resume FOLDER`,
    )
    .action(train);
};
