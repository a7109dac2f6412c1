/**
 * Data never names code. A configuration that was read from a run or a zoo folder may come from a stranger: while it is worked with, a
 * TypeScript file loads only when the person has named it too, and only with the content the data was made with.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { refuse } from './failure.ts';

/** What may load while data is worked with. */
export interface Trust {
  /** The file whose content names modules. */
  readonly where: string;
  /** The files that the person named. */
  readonly modules: readonly string[];
  /** SHA-256 of the modules that the data was made with, by the names the data has for them. */
  readonly recorded?: Readonly<Record<string, string>>;
  /** Loads what the data names, and says so. Default false. */
  readonly all?: boolean;
  /** What to type to name a module: put before its path. */
  readonly option: string;
}

/** Which code the content of a folder may load: nothing that the folder alone names. */
export interface Trusted {
  /** TypeScript files that the person names: of the experiment, of denoisers, of encoders. */
  readonly modules?: readonly string[];
  /** Loads whatever the folder names, and says so. Default false. */
  readonly trust?: boolean;
}

const scope = new AsyncLocalStorage<Trust>();
/** SHA-256 of what was loaded, by the path it was asked for. */
const loaded = new Map<string, string>();

const hashOf = (path: string) => createHash('sha256').update(readFileSync(path)).digest('hex');

/** Runs `work`, in which files load only as `trust` allows, however deep the call that loads them. */
export const trusting = <A>(trust: Trust, work: () => Promise<A>): Promise<A> => scope.run(trust, work);

/**
 * The path that is loaded when a file is asked for: itself, or the one the person named in its place (of the same file name: runs move).
 * @throws UserError when only data names the file, or it is not the one that the data was made with
 */
export function trustedPath(file: string): string {
  const trust = scope.getStore();
  const named =
    trust?.modules.find(module => resolve(module) === resolve(file)) ??
    trust?.modules.find(module => basename(module) === basename(file));
  const path = resolve(named ?? file);
  if (trust && !named && !trust.all) {
    return refuse(
      trust.where,
      'modules that are named on the command line',
      `${file}, which this file alone names`,
      { hint: `It is code and was not run. If you trust it, name it: ${trust.option} ${file}` },
    );
  }
  if (!existsSync(path)) return path;
  const hash = hashOf(path);
  const recorded = trust?.recorded?.[file];
  if (trust && !trust.all && recorded !== undefined && recorded !== hash) {
    return refuse(
      path,
      `the module that ${trust.where} was made with (SHA-256 ${recorded.slice(0, 12)}...)`,
      `another one (${hash.slice(0, 12)}...)`,
      { hint: 'Give the file as it was, or --trust to take it as it is.' },
    );
  }
  if (trust?.all) console.error(`trusted: ${path} (SHA-256 ${hash})`);
  loaded.set(resolve(file), hash);
  return path;
}

/** The user modules that a configuration names, each with its SHA-256: kept with what is made with them. */
export function userModules(config: unknown): Record<string, string> {
  if (typeof config === 'string') {
    if (!/\.[mc]?[tj]s$/.test(config)) return {};
    const path = resolve(config);
    const hash = loaded.get(path) ?? (existsSync(path) && statSync(path).isFile() ? hashOf(path) : undefined);
    return hash === undefined ? {} : { [config]: hash };
  }
  if (typeof config !== 'object' || config === null) return {};
  return Object.assign({}, ...Object.values(config).map(userModules));
}

/** Whether a file lies in a run or a zoo folder: its content is data, whoever names it. */
export function isInData(file: string): boolean {
  for (let folder = dirname(resolve(file)); ; folder = dirname(folder)) {
    const has = (name: string) => existsSync(join(folder, name));
    if (has('zoo.json') || (has('environment.json') && has('config.yaml'))) return true;
    if (folder === dirname(folder)) return false;
  }
}
