/** A training that was stopped in the middle: its checkpoints and its curve so far, in the run folder until the run is finished. */
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { isPath } from '../config/index.ts';
import { appendNow, makeFolder, writeAtomicallyNow } from '../formats/index.ts';
import { digest, PARTS, type RunFolder } from '../runs/index.ts';
import { backendReport } from '../tensor/index.ts';
import { type CheckpointOptions, checkpointSteps, setAsideDamaged } from '../training/index.ts';

/** A denoiser of the user's own is not the same any more when its file has changed. */
export const sourceOf = (kind: string) =>
  isPath(kind) && existsSync(kind) ? readFileSync(kind, 'utf8') : kind;

export interface Unfinished<Point> {
  /** How the training goes on, and saves when it is told to stop. */
  readonly checkpoint: CheckpointOptions;
  /** The points up to the latest checkpoint. */
  readonly curve: readonly Point[];
  add(point: Point): void;
  /** Takes all of it away: the training is over and its result kept. */
  remove(): void;
}

/**
 * What an earlier try left of a training. A damaged newest checkpoint is set aside, and the one before taken, or none.
 * @param key what the training depends on: JSON and typed arrays
 */
export async function unfinishedTraining<Point extends { readonly step: number }>(
  run: Pick<RunFolder, 'file'>,
  key: unknown,
): Promise<Unfinished<Point>> {
  const dataHash = digest(key);
  const folder = run.file(join(PARTS, `training-${dataHash}`));
  const file = join(folder, 'curve.jsonl');
  await setAsideDamaged(folder, { last: true });
  const resumedAt = checkpointSteps(folder).at(-1) ?? 0;
  const lines = existsSync(file) ? readFileSync(file, 'utf8').split('\n').filter(Boolean) : [];
  // A process that was killed may have got further than its latest checkpoint, and broken off in a line.
  const curve = lines
    .flatMap(line => {
      try {
        return [JSON.parse(line) as Point];
      } catch {
        return [];
      }
    })
    .filter(({ step }) => step <= resumedAt);
  await makeFolder(folder);
  writeAtomicallyNow(file, curve.map(point => `${JSON.stringify(point)}\n`).join(''));
  return {
    checkpoint: {
      folder,
      identity: { config: {}, dataHash },
      environment: { backend: backendReport() },
      resume: true,
    },
    curve,
    add: point => appendNow(file, `${JSON.stringify(point)}\n`),
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}
