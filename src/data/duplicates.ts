/** Entries of a zoo whose pictures are alike: copies, recolours, variants. */
import type * as TE from 'fp-ts/lib/TaskEither.js';
import { attempt, type Failure, settle, UserError } from '../config/index.ts';
import { ALIKE, type Layout, layoutOf, similarGroups, similarity } from './similarity.ts';
import { readZooImage, type Zoo } from './zoo.ts';

/** Pixels a side at which pictures are compared. */
const SIDE = 32;

/** The layouts of an entry's pictures; null for an entry without one. Every picture is checked against its hash on the way. */
export async function layoutsOf(
  zoo: Zoo,
  { signal, onProgress }: { signal?: AbortSignal; onProgress?(done: number, total: number): void } = {},
): Promise<(Layout | null)[]> {
  const layouts: (Layout | null)[] = [];
  for (const [i, { image, rendering }] of zoo.entries.entries()) {
    if (signal?.aborted) throw new UserError('Stopped while the pictures were compared.');
    const has = image !== null || rendering !== null;
    const picture = has ? await settle(readZooImage(zoo, i, 'condition', { size: SIDE })) : null;
    layouts.push(picture && layoutOf(picture.data, SIDE));
    onProgress?.(i + 1, zoo.entries.length);
  }
  return layouts;
}

/** The index of the picture among [M, side, side, 3] that is most like another, when that is a copy, a variant or a recolour of it; -1 when none is. */
export function alikePicture(picture: Float32Array, others: Float32Array, side: number): number {
  // Smaller pictures than the coarse view has cells cannot be compared.
  if (side < 16) return -1;
  const layout = layoutOf(picture, side);
  let [found, most] = [-1, ALIKE];
  for (let i = 0; i < others.length / picture.length; i++) {
    const other = others.subarray(i * picture.length, (i + 1) * picture.length);
    const alike = similarity(layout, layoutOf(other, side));
    if (alike >= most) [found, most] = [i, alike];
  }
  return found;
}

/** Indices of entries whose pictures are alike, a list for each such set. */
export const alikeEntries = (
  zoo: Zoo,
  options: Parameters<typeof layoutsOf>[1] = {},
): TE.TaskEither<Failure, number[][]> =>
  attempt(zoo.folder, async () => {
    const found = (await layoutsOf(zoo, options)).flatMap((layout, i) => (layout ? [{ layout, i }] : []));
    const first = similarGroups(
      found.map(({ layout }) => layout),
      ALIKE,
    );
    const sets = new Map<number, number[]>();
    first.forEach((root, at) => {
      sets.set(root, [...(sets.get(root) ?? []), found[at].i]);
    });
    return [...sets.values()].filter(set => set.length > 1);
  });
