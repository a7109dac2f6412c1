/**
 * The configuration of an experiment, and the cells of its sweep with theirs: everything is decoded before anything runs. `finishedCells` says
 * which of them are done already: the others are what a sweep that is run again has left to do.
 */
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import * as t from 'io-ts';
import {
  CONFIGS,
  isPath,
  loadConfig,
  parseYaml,
  printConfig,
  refuse,
  settle,
  UserError,
} from '../../config/index.ts';
import { isFinished, readResultsHead } from '../results.ts';
import { type SweepCell, sweepCells, sweepWords, sweptKey } from './cells.ts';

/** What a sweep has to know of an experiment. */
export interface Plannable<Parameters = unknown> {
  readonly name: string;
  readonly parameters: t.Type<Parameters, unknown, unknown>;
}

/** Where the configuration of an experiment is: the .yaml beside one given as a file, else configs/<name>.yaml. */
export function configOf(nameOrPath: string, experiment: Pick<Plannable, 'name'>): string {
  const beside = isPath(nameOrPath) ? join(dirname(resolve(nameOrPath)), `${experiment.name}.yaml`) : '';
  return beside && existsSync(beside) ? beside : experiment.name;
}

/**
 * The parameters of an experiment, and the `sweep:` block of its configuration, if there is one.
 * @param config a name or the path of a .yaml file
 * @param overrides `key=value` words
 */
export async function experimentConfig<P>(
  experiment: Plannable<P>,
  config: string,
  overrides: readonly string[] = [],
): Promise<{ readonly parameters: P; readonly sweep: unknown }> {
  const codec = t.intersection([experiment.parameters, t.partial({ sweep: t.unknown })]);
  const { value } = await settle(loadConfig(codec, config, { overrides, roots: [CONFIGS] }));
  const { sweep, ...parameters } = value as P & { sweep?: unknown };
  return { parameters: parameters as P, sweep };
}

/** A cell with its configuration decoded by the experiment's own codec. */
export interface PlannedCell extends SweepCell {
  readonly parameters: unknown;
}

/**
 * The cells of a sweep: the `sweep:` block of the configuration and the words of the command line, which win, key by key. Every cell's
 * configuration is decoded.
 * @throws UserError for an unknown key or a value that does not fit, naming the word or the block it came from
 */
export async function planSweep(
  experiment: Plannable,
  config: string,
  words: readonly string[],
): Promise<PlannedCell[]> {
  // The block may depend on the words that are no lists: `preset=full` can bring another one.
  const single = sweepCells(words)[0].overrides;
  const { sweep } = await experimentConfig(experiment, config, single);
  const block = sweepWords(sweep, words, config);
  const fromBlock = new Set(block.map(sweptKey));
  const planned: PlannedCell[] = [];
  for (const cell of sweepCells([...block, ...words])) {
    try {
      planned.push({ ...cell, ...(await experimentConfig(experiment, config, cell.overrides)) });
    } catch (error) {
      throw blamed(error, config, fromBlock);
    }
  }
  return planned;
}

/** A word that came from the block is the configuration's fault, not the command line's. */
function blamed(error: unknown, config: string, fromBlock: ReadonlySet<string>): unknown {
  if (!(error instanceof UserError) || !error.failure) return error;
  const word = /^command line \((.*)\)$/s.exec(error.failure.where)?.[1];
  if (word === undefined || !fromBlock.has(sweptKey(word))) return error;
  return new UserError({ ...error.failure, where: `${config}: sweep (${word})` });
}

/** Whether a run folder holds this configuration. False where its file is not there or damaged. */
export function hasConfig(folder: string, parameters: unknown): boolean {
  try {
    // Both through YAML, so that what it does not keep makes no difference.
    const file = join(folder, 'config.yaml');
    return isDeepStrictEqual(
      parseYaml(readFileSync(file, 'utf8'), file),
      parseYaml(printConfig(parameters), file),
    );
  } catch {
    return false;
  }
}

/**
 * Which cells have their results in the folder of the sweep.
 * @throws UserError for results of another version, another experiment or another configuration
 */
export async function finishedCells(
  experiment: Pick<Plannable, 'name'>,
  cells: readonly (SweepCell & { readonly parameters?: unknown })[],
  folder: string,
): Promise<Set<string>> {
  const finished = new Set<string>();
  for (const { id, parameters } of cells) {
    const path = join(folder, id);
    // What cannot be read is none: its cell is run again.
    if (!(await isFinished(path))) continue;
    const found = await readResultsHead(path);
    const hint = 'Give the sweep another --out, or remove that folder.';
    if (found.experiment !== experiment.name) {
      refuse(path, `results of ${experiment.name}`, `those of ${found.experiment}`, { hint });
    }
    const config = join(path, 'config.yaml');
    if (parameters !== undefined && existsSync(config)) {
      if (!hasConfig(path, parameters))
        refuse(config, 'the configuration of this sweep', 'another one', { hint });
    }
    finished.add(id);
  }
  return finished;
}
