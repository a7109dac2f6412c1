/** Loading a TypeScript file from the user's own project, wherever it lies. */
import { existsSync } from 'node:fs';
import { register } from 'node:module';
import { resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { failure, UserError } from './failure.ts';

/**
 * What such a file may take for granted: it is an ES module whatever its folder's package.json says, 'weightloom' means this copy (one
 * registry, one tensor engine), and a package its own project lacks is looked for among ours.
 */
const HOOKS = (home: string) => `
const home = ${JSON.stringify(home)};
export async function resolve(specifier, context, next) {
  if (specifier === 'weightloom') return next(home, context);
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

let hooked = false;

/** The exports of a TypeScript or JavaScript file. Throws a UserError when it is not there or throws while loading. */
export async function importUserFile(file: string): Promise<Readonly<Record<string, unknown>>> {
  const path = resolve(file);
  if (!existsSync(path)) throw new UserError(failure(file, 'a TypeScript file', 'no such file'));
  if (!hooked) {
    hooked = true;
    const home = pathToFileURL(resolve(fileURLToPath(import.meta.url), '../../index.ts')).href;
    register(`data:text/javascript,${encodeURIComponent(HOOKS(home))}`);
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
