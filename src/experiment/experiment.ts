/**
 * An experiment: a question, its parameters, and what is done to answer it. One file each in experiments/, or anywhere:
 * every command takes a name or the path of a TypeScript file.
 */
import { existsSync, readdirSync } from 'node:fs';
import { basename, dirname, extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type * as t from 'io-ts';
import { checkClauses, importFile, importUserFile, isPath, suggestion, UserError } from '../config/index.ts';
import type { Progress, RunFolder } from '../runs/index.ts';

/** What an experiment is given of the run it is: folder, signal, and ways to tell people how it goes. */
export interface RunContext {
  /** Where everything is written. */
  readonly run: RunFolder;
  /** Raised by Ctrl-C: finish the step, save, return. */
  readonly signal: AbortSignal;
  /** The command line that reproduces the run. */
  readonly command: string;
  /** A progress bar of `total` steps, `from` of them done by an earlier try. Stop it. */
  progress(label: string, total: number, from?: number): Progress;
  /** A line for the person who watches. */
  say(text: string): void;
}

/** A question, its parameters, and what is done to answer it: the default export of a file in experiments/, or of one of your own. */
export interface Experiment<Parameters = unknown> {
  readonly name: string;
  /** The question it answers, in a sentence or two. */
  readonly question: string;
  /**
   * Codec of its parameters. Their values come from <name>.yaml beside the experiment's file (for those of the library, from configs/), and from the
   * command line.
   */
  readonly parameters: t.Type<Parameters, unknown, unknown>;
  /** Answers the question: leaves its results in the run folder. A UserError is shown as its message alone. */
  run(context: RunContext, parameters: Parameters): Promise<void>;
}

const home = join(dirname(fileURLToPath(import.meta.url)), '..', '..', 'experiments');

/** The names of the experiments that come with the library, sorted. */
export const experimentNames = (): string[] =>
  readdirSync(home)
    .filter(name => /^[a-z][a-z-]*\.[jt]s$/.test(name))
    .map(name => name.slice(0, -3))
    .sort();

/** Loads an experiment by name, or from a TypeScript file whose default export is one. */
export async function loadExperiment(nameOrPath: string): Promise<Experiment> {
  const path = isPath(nameOrPath) ? nameOrPath : join(home, `${nameOrPath}${extname(import.meta.url)}`);
  if (!isPath(nameOrPath) && !existsSync(path)) {
    const known = experimentNames();
    throw new UserError({
      where: 'experiment',
      expected: `one of ${known.join(', ')}, or the path of a TypeScript file`,
      found: `"${nameOrPath}"`,
      hint: suggestion(nameOrPath, known),
    });
  }
  const experiment = (await (isPath(nameOrPath) ? importUserFile(path) : importFile(path))).default;
  const file = isPath(nameOrPath) ? nameOrPath : basename(path);
  checkClauses<Experiment>(file, 'default export', 'an experiment', experiment, {
    name: 'string',
    question: 'string',
    parameters: 'object',
    run: 'function',
  });
  checkClauses<Experiment['parameters']>(
    file,
    'default export: parameters',
    'an io-ts codec',
    experiment.parameters,
    { decode: 'function', is: 'function' },
  );
  return experiment;
}
