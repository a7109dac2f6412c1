/** Runs one experiment in a run folder of its own. */
import { existsSync } from 'node:fs';
import { UserError } from '../config/index.ts';
import { backendReport, startBackend } from '../tensor/index.ts';
import type { Experiment, RunContext } from './experiment.ts';
import { interruption, progressBar } from './progress.ts';
import { createRunFolder, type RunFolder } from './run-folder.ts';

export interface RunOptions {
  /** Run folder; default runs/<experiment>-<time>. */
  readonly folder?: string;
  /** The command line that reproduces the run, for the report. */
  readonly command: string;
}

/** @throws UserError when the folder cannot be used, when the experiment refuses its input, or when Ctrl-C ends it */
export async function runExperiment<P>(
  experiment: Experiment<P>,
  parameters: P,
  options: RunOptions,
): Promise<RunFolder> {
  await startBackend();
  const run = await createRunFolder(experiment.name, parameters, {
    folder: options.folder,
    command: options.command,
    environment: { backend: backendReport() },
  });
  const { signal, release } = interruption();
  const context: RunContext = {
    run,
    signal,
    command: options.command,
    progress: progressBar,
    say: text => console.error(text),
  };
  try {
    await experiment.run(context, parameters);
    return run;
  } catch (error) {
    run.removeIfUnused();
    if (!signal.aborted || (error as Error)?.name !== 'AbortError') throw error;
    throw new UserError(
      `${experiment.name}: interrupted${existsSync(run.path) ? `; what was finished is in ${run.path}` : ' before anything was finished'}.`,
    );
  } finally {
    release();
  }
}
