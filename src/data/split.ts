/** Which entries are held out or for validation: decided by their groups' names alone. */
import { createHash } from 'node:crypto';

/** What entries are for: models learn from `train`, settings are chosen on `validation`, results are told of `held-out`. */
export const SPLITS = ['train', 'validation', 'held-out'] as const;
/** What an entry is for. */
export type Split = (typeof SPLITS)[number];

/** A number in [0, 1) that depends on the name only. */
const fraction = (name: string) => createHash('sha256').update(name).digest().readUInt32BE() / 2 ** 32;

/**
 * The split of each entry by the hash of its group: held out when that falls in the lowest `heldOut`, for validation in the next
 * `validation`. A group keeps its side whatever else the zoo holds, and lies on one side; only where a side that was asked for would
 * be empty does one group move over.
 */
export function splitsOf(groups: readonly string[], heldOut = 0.15, validation = 0): Split[] {
  const order = [...new Set(groups)].map(group => ({ group, place: fraction(group) }));
  order.sort((a, b) => a.place - b.place);
  const sides = new Map<string, Split>();
  order.forEach(({ group, place }) => {
    sides.set(group, place < heldOut ? 'held-out' : place < heldOut + validation ? 'validation' : 'train');
  });
  const has = (split: Split) => [...sides.values()].includes(split);
  if (order.length > 1 && heldOut > 0 && !has('held-out')) sides.set(order[0].group, 'held-out');
  if (order.length > 1 && heldOut + validation < 1 && !has('train'))
    sides.set(order[order.length - 1].group, 'train');
  if (order.length > 2 && validation > 0 && !has('validation')) sides.set(order[1].group, 'validation');
  return groups.map(group => sides.get(group)!);
}

/** `NAME~2` is a further copy of NAME: both belong to the group NAME. */
export const groupOf = (name: string): string => name.replace(/~\d+$/, '');

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
