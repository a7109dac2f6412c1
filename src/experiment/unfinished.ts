/** A training that was stopped in the middle: its checkpoints, in the run folder until the run is finished. */
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { isPath } from '../config/index.ts';
import { makeFolder } from '../formats/index.ts';
import { digest, PARTS, type RunFolder } from '../runs/index.ts';
import { backendReport } from '../tensor/index.ts';
import { type CheckpointOptions, setAsideDamaged } from '../training/index.ts';

/** A denoiser of the user's own is not the same any more when its file has changed. */
export const sourceOf = (kind: string) =>
  isPath(kind) && existsSync(kind) ? readFileSync(kind, 'utf8') : kind;

export interface Unfinished {
  /** How the training goes on, and saves when it is told to stop. */
  readonly checkpoint: CheckpointOptions;
  /** Takes all of it away: the training is over and its result kept. */
  remove(): void;
}

/**
 * What an earlier try left of a training. A damaged newest checkpoint is set aside, and the one before taken, or none.
 * @param key what the training depends on: JSON and typed arrays
 */
export async function unfinishedTraining(run: Pick<RunFolder, 'file'>, key: unknown): Promise<Unfinished> {
  const dataHash = digest(key);
  const folder = run.file(join(PARTS, `training-${dataHash}`));
  await setAsideDamaged(folder, { last: true });
  await makeFolder(folder);
  return {
    checkpoint: {
      folder,
      identity: { config: {}, dataHash },
      environment: { backend: backendReport() },
      resume: true,
    },
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}
