/** What a sweep consists of: every combination of some settings, each a cell with a name of its own. */
import { createHash } from 'node:crypto';

import { parseYaml, refuse, show, UserError } from '../../config/index.ts';

/** One combination of the settings that a sweep varies. */
export interface SweepCell {
  /** Folder name: readable, and unique by a hash. */
  readonly id: string;
  /** The `key=value` words of this cell alone. */
  readonly overrides: readonly string[];
  /** The settings that the sweep varies, by key. */
  readonly varied: Readonly<Record<string, string>>;
}

/**
 * Splits at commas that stand outside brackets and quotes: `[a,b],c` is two values. A quote opens where YAML has it open, at the beginning of a
 * value: in `it's,2` it is an apostrophe.
 */
export function splitValues(text: string): string[] {
  const values: string[] = [];
  let depth = 0;
  let quote = '';
  let current = '';
  for (const character of text) {
    if (quote) {
      if (character === quote) quote = '';
    } else if ((character === '"' || character === "'") && /(^|[[{(,:])\s*$/.test(current)) quote = character;
    else if ('[{('.includes(character)) depth++;
    else if (']})'.includes(character)) depth--;
    if (character === ',' && depth === 0 && !quote) {
      values.push(current);
      current = '';
    } else current += character;
  }
  return [...values, current];
}

/** The key and the rest of a `key=...` word. */
function parts(word: string): [key: string, rest: string] {
  const at = word.indexOf('=');
  if (at < 1) throw new UserError(`sweep: expected key=value,value,..., found "${word}".`, 2);
  return [word.slice(0, at), word.slice(at + 1)];
}

/** A value of a configuration as it is written in a word: plain text where that means the same, else JSON, which YAML takes too. */
function written(value: unknown): string {
  if (typeof value !== 'string') return JSON.stringify(value);
  const plain = /^[\w./-]+$/.test(value) && parseYaml(value, value) === value;
  return plain ? value : JSON.stringify(value);
}

/** What a value is, whatever its spelling: `1e-3` and `0.001` are one. */
function meaning(text: string): string {
  try {
    return JSON.stringify(parseYaml(text, text)) ?? text;
  } catch {
    return text;
  }
}

/** `a.b=...` and `+a.b=...` set the same key. */
export const sweptKey = (word: string) => parts(word)[0].replace(/^\+/, '');

/**
 * The words of a `sweep:` block (a mapping of keys to lists of values), less those that the command line gives.
 * @param where names the configuration in a failure
 */
export function sweepWords(block: unknown, given: readonly string[], where: string): string[] {
  if (block === undefined || block === null) return [];
  if (typeof block !== 'object' || Array.isArray(block)) {
    return refuse(where, 'a mapping of keys to lists of values', show(block), { field: 'sweep' });
  }
  const taken = new Set(given.map(sweptKey));
  return Object.entries(block)
    .filter(([key]) => !taken.has(key))
    .map(([key, values]) => {
      if (!Array.isArray(values) || values.length === 0) {
        return refuse(where, 'a list of values', show(values), { field: `sweep.${key}` });
      }
      return `${key}=${values.map(written).join(',')}`;
    });
}

/** All combinations of `key=a,b,c` words, in the order of the words; the last varies fastest. */
export function sweepCells(words: readonly string[]): SweepCell[] {
  const twice = words.map(sweptKey).find((key, i, keys) => keys.indexOf(key) < i);
  if (twice !== undefined) throw new UserError(`sweep: the key ${twice} stands there twice.`, 2);
  const axes = words.map(word => {
    const [key, rest] = parts(word);
    const values = splitValues(rest);
    const meant = values.map(meaning);
    const again = meant.findIndex((value, i) => meant.indexOf(value) < i);
    if (again >= 0) {
      const first = values[meant.indexOf(meant[again])];
      const both = first === values[again] ? '' : `, as ${first} and as ${values[again]}`;
      throw new UserError(`sweep: ${word}: a value stands there twice${both}.`, 2);
    }
    return values.map(value => ({ key, value, varies: values.length > 1 }));
  });
  type Setting = (typeof axes)[number][number];
  const combinations = axes.reduce<Setting[][]>(
    (all, axis) => all.flatMap(cell => axis.map(setting => [...cell, setting])),
    [[]],
  );
  return combinations.map(settings => {
    const overrides = settings.map(({ key, value }) => `${key}=${value}`);
    const varying = settings.filter(({ varies }) => varies);
    const hash = createHash('sha256').update(overrides.join('\n')).digest('hex').slice(0, 8);
    const readable = varying
      .map(({ key, value }) => `${key}=${value}`.replace(/[^\w.=-]+/g, '-'))
      .join(',')
      .slice(0, 100);
    return {
      id: `${readable || 'cell'}-${hash}`,
      overrides,
      varied: Object.fromEntries(varying.map(({ key, value }) => [key.replace(/^\+/, ''), value])),
    };
  });
}

/** The cells of the given names; a name may be cut down to the hash at its end. */
export function cellsNamed<C extends SweepCell>(cells: readonly C[], names: readonly string[]): C[] {
  return names.map(name => {
    const found = cells.find(({ id }) => id === name || id.endsWith(`-${name}`));
    if (found) return found;
    const some = cells.slice(0, 3).map(({ id }) => id);
    return refuse(
      'option --only',
      `the name of one of ${cells.length} cells, such as ${some.join(' or ')}`,
      `"${name}"`,
    );
  });
}
