/** Groups of NCAs that come with pictures: copies by name, and by what their pictures show. */
import { settle } from '../../config/index.ts';
import { decodeImage, readBytes } from '../../formats/index.ts';
import { ALIKE, type Layout, layoutOf, similarGroups } from '../similarity.ts';
import { groupOf } from '../split.ts';
import type { ZooSource } from './source.ts';

/** Pictures a side at which they are compared. */
const SIDE = 32;
/** Every pair is compared: beyond so many it would take minutes. */
export const MOST_COMPARED = 5000;

/**
 * The group of each NCA: the first one whose name or picture it shares. More than `MOST_COMPARED` NCAs are grouped by their names alone.
 * @param stopIfAsked called between pictures
 */
export async function groupsOf(source: ZooSource, stopIfAsked: () => void): Promise<string[]> {
  const { names } = source;
  const byName = names.map(groupOf);
  if (names.length > MOST_COMPARED) return byName;
  const layouts: Layout[] = [];
  const owners: number[] = [];
  for (const [i] of names.entries()) {
    stopIfAsked();
    const path = source.picture(i, 'image') ?? source.picture(i, 'rendering');
    if (path === null) continue;
    const { data } = await settle(decodeImage(await settle(readBytes(path)), path, { size: SIDE }));
    layouts.push(layoutOf(data, SIDE));
    owners.push(i);
  }
  // Names and pictures join groups alike: a chain of both is one group.
  const parent = new Map<string, string>();
  const root = (group: string): string => {
    const above = parent.get(group);
    return above === undefined ? group : root(above);
  };
  similarGroups(layouts, ALIKE).forEach((first, at) => {
    const [a, b] = [root(byName[owners[first]]), root(byName[owners[at]])];
    if (a !== b) parent.set(b, a);
  });
  return byName.map(root);
}
