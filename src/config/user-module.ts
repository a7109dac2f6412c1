/** Loading a TypeScript file from the user's own project, wherever it lies. */
import { existsSync } from 'node:fs';
import { register } from 'node:module';
import { pathToFileURL } from 'node:url';
import { type Failure, failure, UserError } from './failure.ts';
import { trustedPath } from './trust.ts';

/**
 * What such a file may take for granted: it is an ES module whatever its folder's package.json says, 'weightloom' and 'weightloom/...' mean
 * this copy (one registry, one tensor engine), and a package its own project lacks is looked for among ours.
 */
const HOOKS = (home: string, conditions: readonly string[]) => `
const home = ${JSON.stringify(home)};
const more = ${JSON.stringify(conditions)};
export async function resolve(specifier, context, next) {
  if (/^weightloom(?=$|[/])/.test(specifier)) {
    return next(specifier, { ...context, parentURL: home, conditions: [...context.conditions, ...more] });
  }
  let found;
  try {
    found = await next(specifier, context);
  } catch (error) {
    if (error.code !== 'ERR_MODULE_NOT_FOUND' || !/^[a-z@]/i.test(specifier)) throw error;
    return next(specifier, { ...context, parentURL: home });
  }
  const file = /^file:.*?[.]ts(?=$|[?#]|%3F)/.exec(found.url)?.[0];
  return file && !file.includes('/node_modules/') && found.format !== 'module' ? { url: file, format: 'module', shortCircuit: true } : found;
}`;

/** Node reads TypeScript through tsx, which a clone's command has started already; where tsx does not load, by itself if it can. */
async function readTypeScript(file: string): Promise<void> {
  if (import.meta.url.endsWith('.ts') || !/\.[cm]?ts$/.test(file)) return;
  try {
    (await import('tsx/esm/api')).register();
  } catch (error) {
    if ((process.features as { typescript?: unknown }).typescript) return;
    throw new UserError(
      failure(file, 'tsx, which reads TypeScript', `an error: ${reasonOf(error)}`, {
        hint: 'It needs the optional package of esbuild for this machine; Node from 22.18 reads TypeScript itself.',
      }),
    );
  }
}

let [hooked, reads] = [false, false];

/**
 * The exports of a TypeScript or JavaScript file of the user's. Throws a UserError when it is not there, throws while loading, or is named by data
 * alone (see `trusting`).
 */
export const importUserFile = async (file: string): Promise<Readonly<Record<string, unknown>>> =>
  importFile(trustedPath(file), file);

/** The same for a file that nobody has to trust: one of the library's own. */
export async function importFile(path: string, file = path): Promise<Readonly<Record<string, unknown>>> {
  if (!existsSync(path)) throw new UserError(failure(file, 'a TypeScript file', 'no such file'));
  if (!reads) {
    await readTypeScript(path);
    reads = /\.[cm]?ts$/.test(path);
  }
  if (!hooked) {
    hooked = true;
    // The package's exports name the sources under a condition of their own.
    const conditions = import.meta.url.endsWith('.ts') ? ['weightloom-sources'] : [];
    register(`data:text/javascript,${encodeURIComponent(HOOKS(import.meta.url, conditions))}`);
  }
  try {
    return await import(pathToFileURL(path).href);
  } catch (error) {
    throw new UserError(failure(file, 'a file that loads', `an error: ${reasonOf(error)}`));
  }
}

/** The first line of an error's message; the next one too where the first only announces it. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const lines = error.message.split('\n');
  return lines.slice(0, lines[0].endsWith(':') ? 2 : 1).join(' ');
}

/** Whether what the user gave is a path of a file rather than a name. */
export const isPath = (nameOrPath: string): boolean => /[/\\]|\.[mc]?[tj]s$/.test(nameOrPath);

/** The failure of an unknown name, with the file that lies here under that name: paths are told from names by their ./ */
export const beside =
  (name: string) =>
  (unknown: Failure): Failure => {
    const file = ['.ts', '.js'].map(ending => `./${name}${ending}`).find(path => existsSync(path));
    return file ? { ...unknown, hint: `A file is named by its path: ${file}` } : unknown;
  };
