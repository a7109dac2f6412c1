/** Runs one experiment in a run folder of its own. */
import { existsSync, readFileSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';
import * as t from 'io-ts';
import {
  decode,
  isPath,
  orThrow,
  parseYaml,
  pastable,
  settle,
  type Trusted,
  trusting,
  UserError,
  userModules,
} from '../config/index.ts';
import { readJson } from '../formats/index.ts';
import { createRunFolder, environment, interruption, progressBar, type RunFolder } from '../runs/index.ts';
import { backendReport, startBackend } from '../tensor/index.ts';
import { type Experiment, loadExperiment, type RunContext } from './experiment.ts';

/** Where a run is kept, and what made it. */
export interface RunOptions {
  /** Run folder; default runs/<experiment>-<time>. */
  readonly folder?: string;
  /** The command line that reproduces the run, for the report. */
  readonly command: string;
  /** What the experiment is loaded by when the run is resumed: its name, or the path of its file. Default: its name. */
  readonly source?: string;
  /** Goes on with the unfinished run in `folder`. */
  readonly resume?: boolean;
}

/** What `resumeExperiment` needs to know of a run: its environment.json. */
const Resumable = t.type({
  command: t.string,
  experiment: t.string,
  commit: t.union([t.string, t.null]),
  modules: t.union([t.record(t.string, t.string), t.undefined]),
  backend: t.unknown,
});

/**
 * Goes on with a run that was stopped: what it had finished is taken from its folder.
 * @throws UserError when the folder holds no unfinished run of an experiment, and what `runExperiment` throws
 */
export async function resumeExperiment(
  folder: string,
  { modules = [], trust = false }: Trusted = {},
): Promise<RunFolder> {
  const file = join(folder, 'environment.json');
  const found = orThrow(decode(Resumable, await settle(readJson(file)), file, { unknownKeys: 'allow' }));
  const { commit } = environment();
  if (commit !== found.commit) {
    console.error(
      `${folder}: begun at commit ${found.commit}, goes on at ${commit}; finished parts stay as they are`,
    );
  }
  await startBackend();
  tellOfBackend(folder, found.backend);
  const option = `weightloom runs resume ${folder}`;
  return trusting({ where: file, modules, recorded: found.modules, all: trust, option }, async () => {
    const experiment = await loadExperiment(found.experiment);
    const config = join(folder, 'config.yaml');
    const parameters = orThrow(
      decode(experiment.parameters, parseYaml(readFileSync(config, 'utf8'), config), config),
    );
    return runExperiment(experiment, parameters, {
      folder,
      command: found.command,
      source: found.experiment,
      resume: true,
    });
  });
}

/** The option that asks for the present backend, where it is not the one that is taken unasked. */
export function backendOption(): string[] {
  const { backend = 'loom' } = backendReport() ?? {};
  return backend === 'loom' ? [] : ['--backend', backend];
}

/** Says when a run goes on on another backend than it was begun on. @param begun the `backend` of its environment.json */
export function tellOfBackend(folder: string, begun: unknown): void {
  const before = (begun as { backend?: unknown } | undefined)?.backend;
  const now = backendReport()?.backend;
  if (typeof before === 'string' && before !== now)
    console.error(
      `${folder}: begun on the backend ${before}, goes on on ${now} (--backend ${before} for the same); its environment.json names the first, its report the last`,
    );
}

/**
 * Starts the backend and runs an experiment in a run folder of its own, which is returned; one that was refused leaves no folder behind.
 * @throws UserError when the folder cannot be used, when the experiment refuses its input, or when Ctrl-C ends it
 */
export async function runExperiment<P>(
  experiment: Experiment<P>,
  parameters: P,
  options: RunOptions,
): Promise<RunFolder> {
  await startBackend();
  const { folder, command, resume, source = experiment.name } = options;
  const modules = userModules([isPath(source) && resolve(source), parameters]);
  const run = await createRunFolder(experiment.name, parameters, {
    folder,
    command,
    environment: {
      backend: backendReport(),
      experiment: isPath(source) ? resolve(source) : source,
      modules,
    },
    resume,
  });
  if (resume) console.error(`${run.path}: goes on; parts that are finished: ${run.finishedParts}`);
  const { signal, release } = interruption();
  const context: RunContext = {
    run,
    signal,
    command,
    progress: progressBar,
    say: text => console.error(text),
  };
  try {
    await experiment.run(context, parameters);
    run.finish();
    return run;
  } catch (error) {
    run.removeIfUnused();
    if (!signal.aborted || (error as Error)?.name !== 'AbortError') throw error;
    throw new UserError(
      existsSync(run.path)
        ? `${experiment.name}: interrupted; to go on: ${pastable('runs', 'resume', relative('', run.path) || '.', ...Object.keys(modules), ...backendOption())}`
        : `${experiment.name}: interrupted before anything was finished.`,
    );
  } finally {
    release();
    await run.leave();
  }
}
