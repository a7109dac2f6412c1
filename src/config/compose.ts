/**
 * Configuration composed from YAML files and the command line.
 *
 *   defaults:                 files merged in order; what follows in the file itself comes last, or where `_self_` stands
 *     - base                  base.yaml of the same folder, merged at the same place
 *     - denoiser: edge-mpnn   the group denoiser: denoiser/edge-mpnn.yaml, placed under the key denoiser (null: nothing)
 *   seed: 0
 *
 *   preset: quick             what `presets` below holds under this name goes over the rest; `preset=full` takes another
 *   presets:
 *     full:
 *       defaults: [encoder: vit]   files of groups that this preset chooses
 *       seed: 1
 *
 * Overrides: `key.path=value` changes a key that is there, `+key.path=value` adds one, `group=name` chooses another file of a
 * group (`+group=name` a group that the defaults do not name). Values are YAML: numbers, true, null, [lists], {mappings}, text.
 * Mappings merge; anything else replaces. The key `backend` (also as an override) says where to compute and is no part of the configuration.
 */
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, extname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as E from 'fp-ts/lib/Either.js';
import type * as TE from 'fp-ts/lib/TaskEither.js';
import type * as t from 'io-ts';
import { stringify } from 'yaml';
import { takeBackend } from './backend.ts';
import { decode, show } from './decode.ts';
import { attempt, type Failure, orThrow, refuse, suggestion } from './failure.ts';
import { parseYaml } from './yaml.ts';

/** The configurations that come with the library. */
export const CONFIGS = fileURLToPath(new URL('../../configs', import.meta.url));

type Mapping = { [key: string]: unknown };

/** What changes a configuration from outside, and where its files are looked for. */
export interface ComposeOptions {
  /** `key=value`, `+key=value`, `group=name`. */
  readonly overrides?: readonly string[];
  /** Folders searched for configurations and groups; a configuration given by path has its own folder searched first. */
  readonly roots?: readonly string[];
}

/** A configuration put together, not yet decoded, and what it was put together from. */
export interface ComposedConfig {
  /** Plain YAML values: defaults, file, preset and overrides merged. */
  readonly config: Mapping;
  /** Files it was made from, in the order they were merged. */
  readonly files: readonly string[];
  /** The file chosen in each group, by the group's path. */
  readonly choices: Readonly<Record<string, string | null>>;
}

const isMapping = (value: unknown): value is Mapping =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Mappings merged key by key; everything else replaced. */
export function mergeConfigs(below: unknown, above: unknown): unknown {
  if (!isMapping(below) || !isMapping(above)) return above;
  // Another kind of thing has parameters of its own: those of the kind below would be unknown to it.
  for (const key of ['kind', 'process']) {
    if (key in above && key in below && above[key] !== below[key]) return above;
  }
  const merged = { ...below };
  for (const [key, value] of Object.entries(above)) {
    merged[key] = key in merged ? mergeConfigs(merged[key], value) : value;
  }
  return merged;
}

function readMapping(path: string): Mapping {
  const value = parseYaml(readFileSync(path, 'utf8'), path) ?? {};
  if (!isMapping(value)) return refuse(path, 'a mapping of keys to values', show(value));
  return value;
}

const SAFE_NAME = /^[\w+-][\w.+-]*(\/[\w+-][\w.+-]*)*$/;

interface Override {
  readonly text: string;
  readonly adds: boolean;
  readonly path: readonly string[];
  readonly value: unknown;
}

function parseOverride(text: string): Override {
  const [, plus, key, value] = /^(\+?)([^=]+)=(.*)$/s.exec(text) ?? [];
  const path = key?.split('.') ?? [];
  if (key === undefined || path.some(part => !/^[\w@/-]+$/.test(part) || part === '__proto__')) {
    return refuse('command line', 'key=value, +key=value or group=name', show(text));
  }
  return {
    text,
    adds: plus === '+',
    path,
    value: value === '' ? '' : parseYaml(value, `command line (${text})`),
  };
}

/** Finds and merges files; remembers what was chosen. */
class Composer {
  readonly files: string[] = [];
  readonly choices: Record<string, string | null> = {};
  /** Choices that overrides make, by group path. */
  readonly wanted = new Map<string, string | null>();
  private readonly open: string[] = [];

  constructor(private readonly roots: readonly string[]) {}

  /** The file of a name in a folder below any of the roots. */
  find(folder: string, name: string, where: string, field: string): string {
    if (!SAFE_NAME.test(name)) refuse(where, 'the name of a configuration', show(name), { field });
    for (const root of this.roots) {
      const path = join(root, folder, `${name}.yaml`);
      if (existsSync(path)) return path;
    }
    const known = this.names(folder);
    return refuse(
      where,
      known.length > 0 ? `one of ${known.join(', ')}` : `a file ${join(folder, name)}.yaml`,
      show(name),
      {
        field,
        hint: suggestion(name, known),
      },
    );
  }

  names(folder: string): string[] {
    const files = this.roots
      .map(root => join(root, folder))
      .filter(path => existsSync(path) && statSync(path).isDirectory())
      .flatMap(path => readdirSync(path));
    return [...new Set(files.filter(name => name.endsWith('.yaml')).map(name => name.slice(0, -5)))].sort();
  }

  /** The content of a file with its defaults merged. `folder` is where it lies below its root, and the place of its groups. */
  compose(path: string, folder: string): Mapping {
    if (this.open.includes(path)) {
      refuse(
        path,
        'defaults that end',
        `a circle: ${[...this.open, path].map(file => relative(this.roots[0], file)).join(' -> ')}`,
      );
    }
    this.open.push(path);
    const { defaults = [], ...own } = readMapping(path);
    if (!Array.isArray(defaults)) return refuse(path, 'a list', show(defaults), { field: 'defaults' });
    let config: unknown = {};
    let merged = false;
    for (const [i, entry] of defaults.entries()) {
      if (entry === '_self_') {
        config = mergeConfigs(config, own);
        merged = true;
      } else config = mergeConfigs(config, this.fromDefault(entry, folder, path, `defaults[${i}]`));
    }
    if (!merged) config = mergeConfigs(config, own);
    this.open.pop();
    this.files.push(path);
    return config as Mapping;
  }

  private fromDefault(entry: unknown, folder: string, where: string, field: string): Mapping {
    if (typeof entry === 'string') return this.compose(this.find(folder, entry, where, field), folder);
    const pairs = isMapping(entry) ? Object.entries(entry) : [];
    if (pairs.length !== 1) return refuse(where, 'a name, or one group: name', show(entry), { field });
    const [group, name] = pairs[0];
    return this.group(folder === '' ? group : `${folder}/${group}`, group, name, where, `${field}.${group}`);
  }

  /** A group's chosen file under its key. */
  group(groupPath: string, key: string, name: unknown, where: string, field: string): Mapping {
    const chosen = this.wanted.has(groupPath) ? this.wanted.get(groupPath) : name;
    if (chosen !== null && typeof chosen !== 'string')
      return refuse(where, 'a name or null', show(chosen), { field });
    if (!SAFE_NAME.test(groupPath)) refuse(where, 'the name of a group', show(groupPath), { field });
    this.choices[groupPath] = chosen;
    if (chosen === null) return {};
    const source = this.wanted.has(groupPath) ? 'command line' : where;
    const path = this.find(groupPath, chosen, source, source === where ? field : groupPath);
    return { [key]: this.compose(path, groupPath) };
  }
}

/** Sets a value at a path; refuses keys that are not there unless the override adds. */
function applyOverride(config: Mapping, { text, adds, path, value }: Override): Mapping {
  const where = `command line (${text})`;
  const set = (node: unknown, depth: number): unknown => {
    if (depth === path.length) return adds && isMapping(node) ? mergeConfigs(node, value) : value;
    const key = path[depth];
    if (node !== undefined && !isMapping(node)) {
      return refuse(where, 'a mapping', show(node), { field: path.slice(0, depth).join('.') });
    }
    const mapping = node ?? {};
    if (!adds && !(key in mapping)) {
      const known = Object.keys(mapping);
      return refuse(
        where,
        known.length > 0 ? `one of the keys ${known.join(', ')}` : 'no key',
        `the unknown key ${key}`,
        {
          field: path.slice(0, depth + 1).join('.'),
          hint: suggestion(key, known) ?? `Write +${text} to add it.`,
        },
      );
    }
    return { ...mapping, [key]: set(mapping[key], depth + 1) };
  };
  return set(config, 0) as Mapping;
}

interface Preset {
  readonly name: string;
  readonly choices: ReadonlyMap<string, string | null>;
  readonly values: Mapping;
}

/** The preset that a configuration, or the last override of the key, asks for; null where there are none. */
function presetOf(config: Mapping, overrides: readonly Override[], where: string): Preset | null {
  const { presets } = config;
  if (presets === undefined) return null;
  const override = overrides.findLast(({ path }) => path.join('.') === 'preset');
  const name = override ? override.value : config.preset;
  const source = override ? `command line (${override.text})` : where;
  if (!isMapping(presets)) return refuse(where, 'a mapping of presets', show(presets), { field: 'presets' });
  const known = Object.keys(presets);
  if (typeof name !== 'string' || !known.includes(name)) {
    return refuse(source, `one of ${known.join(', ')}`, show(name), {
      field: 'preset',
      hint: typeof name === 'string' ? suggestion(name, known) : undefined,
    });
  }
  const { defaults = [], ...values } = isMapping(presets[name]) ? presets[name] : {};
  const field = `presets.${name}.defaults`;
  if (!Array.isArray(defaults)) return refuse(where, 'a list', show(defaults), { field });
  const choices = defaults.map((entry): [string, string | null] => {
    const [pair, ...more] = isMapping(entry) ? Object.entries(entry) : [];
    if (!pair || more.length > 0 || !(typeof pair[1] === 'string' || pair[1] === null)) {
      return refuse(where, 'one group: name', show(entry), { field });
    }
    return [pair[0], pair[1]];
  });
  return { name, choices: new Map(choices), values };
}

function compose(name: string, { overrides = [], roots = [CONFIGS] }: ComposeOptions): ComposedConfig {
  const isPath = ['.yaml', '.yml'].includes(extname(name));
  const composer = () => new Composer(isPath ? [dirname(resolve(name)), ...roots] : roots);
  const path = isPath ? resolve(name) : composer().find('', name, 'configuration', name);
  const parsed = overrides.map(parseOverride);
  const run = (wanted: ReadonlyMap<string, string | null>) => {
    const result = composer();
    for (const [group, choice] of wanted) result.wanted.set(group, choice);
    return { result, config: result.compose(path, '') };
  };
  // Choosing a file may bring groups of its own, which later overrides may choose in.
  const wanted = new Map<string, string | null>();
  let { result, config } = run(wanted);
  const preset = presetOf(config, parsed, path);
  if (preset) {
    for (const [group, choice] of preset.choices) wanted.set(group, choice);
    ({ result, config } = run(wanted));
  }
  const values: Override[] = [];
  for (const override of parsed) {
    if (preset && override.path.join('.') === 'preset') continue;
    const group = override.path.join('/');
    const isChoice = typeof override.value === 'string' || override.value === null;
    if (isChoice && group in result.choices) {
      wanted.set(group, override.value as string | null);
      ({ result, config } = run(wanted));
    } else values.push(override);
  }
  if (preset) {
    const { presets: _, ...rest } = config;
    config = { ...(mergeConfigs(rest, preset.values) as Mapping), preset: preset.name };
  }
  for (const override of values) {
    const [key] = override.path;
    if (override.path.join('.') === 'backend') {
      takeBackend({ backend: override.value });
      continue;
    }
    const joins =
      override.adds && override.path.length === 1 && typeof override.value === 'string' && !(key in config);
    config =
      joins && result.names(key).length > 0
        ? (mergeConfigs(config, result.group(key, key, override.value, 'command line', key)) as Mapping)
        : applyOverride(config, override);
  }
  return { config: takeBackend(config), files: result.files, choices: result.choices };
}

/** Composes a configuration by name (a file of the roots) or by the path of a .yaml file. @returns a TaskEither: run it with settle() */
export const composeConfig = (
  name: string,
  options: ComposeOptions = {},
): TE.TaskEither<Failure, ComposedConfig> => attempt(name, async () => compose(name, options));

/**
 * Composes and decodes. A failure names the override when the offending field came from one, else the configuration.
 * @returns a TaskEither: run it with settle()
 */
export const loadConfig = <A>(
  codec: t.Decoder<unknown, A>,
  name: string,
  options: ComposeOptions = {},
): TE.TaskEither<Failure, ComposedConfig & { readonly value: A }> =>
  attempt(name, async () => {
    const composed = compose(name, options);
    const decoded = decode(codec, composed.config, name);
    if (E.isRight(decoded)) return { ...composed, value: decoded.right };
    const field = decoded.left.field ?? '';
    const culprit = (options.overrides ?? [])
      .map(parseOverride)
      .findLast(({ path }) => `${field}.`.replaceAll('[', '.').startsWith(`${path.join('.')}.`));
    return orThrow(
      E.left(culprit ? { ...decoded.left, where: `command line (${culprit.text})` } : decoded.left),
    );
  });

/** A configuration as YAML text, as it is printed and saved with a run. */
export const printConfig = (config: unknown): string => stringify(config);
