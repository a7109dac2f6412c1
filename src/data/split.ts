/** Which entries are held out, and what their pictures are called: decided by their names alone. */
import { createHash } from 'node:crypto';
import type { Split } from './zoo.ts';

/** A number in [0, 1) that depends on the name only. */
const fraction = (name: string) => createHash('sha256').update(name).digest().readUInt32BE() / 2 ** 32;

/**
 * The split of each name: held out when its hash falls in the lowest `heldOut`. An entry keeps its side whatever else the zoo
 * holds; only a zoo so small that one side would be empty moves one entry over.
 */
export function splitsOf(names: readonly string[], heldOut = 0.15): Split[] {
  const places = names.map(fraction);
  const splits = places.map<Split>(place => (place < heldOut ? 'held-out' : 'train'));
  if (names.length < 2 || heldOut <= 0 || heldOut >= 1) return splits;
  const order = places.map((_, i) => i).sort((a, b) => places[a] - places[b]);
  if (!splits.includes('held-out')) splits[order[0]] = 'held-out';
  if (!splits.includes('train')) splits[order[order.length - 1]] = 'train';
  return splits;
}

/** File names (without extension) for names of any characters: readable, safe on every file system, all different. */
export function fileNames(names: readonly string[]): string[] {
  const taken = new Set<string>();
  return names.map(name => {
    const plain =
      name
        .normalize('NFKD')
        .replace(/[^A-Za-z0-9._-]+/g, '_')
        .replace(/^\.+/, '_')
        .slice(0, 100) || '_';
    let unique = plain;
    // Lower case: some file systems do not tell case apart.
    for (let n = 2; taken.has(unique.toLowerCase()); n++) unique = `${plain}~${n}`;
    taken.add(unique.toLowerCase());
    return unique;
  });
}

/** The last parts of path-like names where those are unique, the whole names otherwise; repeated names get a number. */
export function shortNames(names: readonly string[]): string[] {
  const last = names.map(name => name.split(/[\\/]/).at(-1) || name);
  const base = new Set(last).size === names.length ? last : [...names];
  const taken = new Set(base);
  const seen = new Set<string>();
  return base.map(name => {
    let unique = name;
    for (let n = 2; seen.has(name) && taken.has(unique); n++) unique = `${name}~${n}`;
    seen.add(name);
    taken.add(unique);
    return unique;
  });
}
