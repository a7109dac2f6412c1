/** Denoisers from anywhere: a registered name, or the path of a TypeScript file in the user's own project. */
import { existsSync } from 'node:fs';
import { register } from 'node:module';
import { resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { failure, orThrow, UserError } from '../config/index.ts';
import { type DenoiserKind, denoiserKind } from './denoiser.ts';

// biome-ignore lint/suspicious/noExplicitAny: kinds of every configuration type
type AnyKind = DenoiserKind<any>;

/** What a kind must have, with the type of each. */
const CLAUSES: Record<keyof DenoiserKind, 'string' | 'object' | 'function'> = {
  name: 'string',
  summary: 'string',
  config: 'object',
  defaults: 'object',
  build: 'function',
};

let resolvable = false;

/** Lets a file anywhere import 'weightloom' and mean this copy of it, so that both share one registry and one tensor engine. */
function makeSelfResolvable(): void {
  if (resolvable) return;
  resolvable = true;
  const home = pathToFileURL(resolve(fileURLToPath(import.meta.url), '../../index.ts')).href;
  const hook = `export const resolve = (specifier, context, next) =>
    next(specifier === 'weightloom' ? ${JSON.stringify(home)} : specifier, context);`;
  register(`data:text/javascript,${encodeURIComponent(hook)}`);
}

/**
 * A denoiser's kind by name or by the path of a file whose default export is one. Throws a UserError that names what is missing.
 */
export async function loadDenoiser(nameOrPath: string): Promise<AnyKind> {
  if (!/[/\\]|\.[mc]?[tj]s$/.test(nameOrPath)) return orThrow(denoiserKind(nameOrPath));
  const path = resolve(nameOrPath);
  if (!existsSync(path)) throw new UserError(failure(nameOrPath, 'a TypeScript file', 'no such file'));
  makeSelfResolvable();
  let loaded: { default?: unknown };
  try {
    loaded = await import(pathToFileURL(path).href);
  } catch (error) {
    throw new UserError(failure(nameOrPath, 'a file that loads', `an error: ${(error as Error).message}`));
  }
  const kind = loaded.default as Record<string, unknown> | undefined;
  const hint = 'See "weightloom new denoiser" for a file that works.';
  if (typeof kind !== 'object' || kind === null) {
    throw new UserError(failure(nameOrPath, 'a denoiser kind as default export', typeof kind, { hint }));
  }
  for (const [field, type] of Object.entries(CLAUSES)) {
    if (typeof kind[field] !== type || kind[field] === null) {
      throw new UserError(
        failure(nameOrPath, `a ${type}`, typeof kind[field], { field: `default export: ${field}`, hint }),
      );
    }
  }
  return kind as unknown as AnyKind;
}
