/** A dry run: what the real one would refuse is refused, and nothing that takes long is begun. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { UserError } from '../config/index.ts';
import { createRunFolder } from '../runs/index.ts';
import { startBackend } from '../tensor/index.ts';
import type { Experiment } from './experiment.ts';

/** Ends a rehearsal where the real run would begin to work. */
class Begun extends Error {}

/**
 * Runs an experiment in a folder that goes again, up to its first progress bar, record or file: by then it has loaded its denoisers, read its zoo and
 * built its encoder and its first denoiser.
 * @throws UserError that the real run would end with before that
 */
export async function rehearse<P>(experiment: Experiment<P>, parameters: P): Promise<void> {
  await startBackend();
  const folder = mkdtempSync(join(tmpdir(), 'weightloom-dry-'));
  const begin = () => {
    throw new Begun();
  };
  try {
    const run = await createRunFolder(experiment.name, parameters, { folder });
    try {
      await experiment.run(
        {
          run: { ...run, log: begin, write: begin },
          signal: new AbortController().signal,
          command: '',
          progress: begin,
          say() {},
        },
        parameters,
      );
    } finally {
      await run.leave();
    }
  } catch (error) {
    // A fault of the program is the real run's to show.
    if (error instanceof UserError) throw error;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
