/** `weightloom evaluate`: a trained model measured as experiments measure their own. */
import type { Command } from 'commander';
import { commandLine } from '../command-line.ts';

interface Options {
  readonly run: string;
  readonly zoo?: string;
  readonly module?: readonly string[];
  readonly out?: string;
}

async function evaluate(overrides: readonly string[], { run, zoo, module, out }: Options): Promise<void> {
  const { loadExperiment, runExperiment } = await import('../../experiment/index.ts');
  const { configOf, experimentConfig } = await import('../../runs/index.ts');
  const experiment = await loadExperiment('evaluate');
  // Options are literal text; an override's value is YAML, which JSON is too.
  const { parameters } = await experimentConfig(experiment, configOf('evaluate', experiment), [
    ...overrides,
    `model=${JSON.stringify(run)}`,
    ...(zoo === undefined ? [] : [`zoo=${JSON.stringify(zoo)}`]),
    ...(module === undefined ? [] : [`modules=${JSON.stringify(module)}`]),
  ]);
  await runExperiment(experiment, parameters, { folder: out, command: commandLine() });
}

export const register = (program: Command): void => {
  program
    .command('evaluate')
    .description(
      'Measure a trained model on the held-out textures of a zoo: all metrics, all baselines, the measures of sampling, the audit',
    )
    .argument('[overrides...]', 'key=value, for any key of configs/evaluate.yaml')
    .requiredOption('-r, --run <folder>', 'of a finished training')
    .option(
      '--zoo <folder>',
      'whose held-out textures are answered and whose training NCAs the baselines know (default: embedded)',
    )
    .option('--module <files...>', 'TypeScript files that the model may be built with')
    .option('--out <folder>', 'run folder (default: runs/evaluate-<time>)')
    .addHelpText(
      'after',
      `
Examples:
  $ weightloom evaluate --run runs/train-quick
  $ weightloom evaluate --run runs/train-quick --zoo zoos/photos sampling.draws=4 evaluation.split=validation`,
    )
    .action(evaluate);
};
