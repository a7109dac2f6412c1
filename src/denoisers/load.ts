/** Denoisers from anywhere: a registered name, or the path of a TypeScript file in the user's own project. */
import { failure, importUserFile, isPath, orThrow, UserError } from '../config/index.ts';
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

/** A denoiser's kind by name or by the path of a file whose default export is one. Throws a UserError that says what is missing. */
export async function loadDenoiser(nameOrPath: string): Promise<AnyKind> {
  if (!isPath(nameOrPath)) return orThrow(denoiserKind(nameOrPath));
  const kind = (await importUserFile(nameOrPath)).default as Record<string, unknown> | undefined;
  if (typeof kind !== 'object' || kind === null) {
    throw new UserError(
      failure(nameOrPath, 'a denoiser kind { name, summary, config, defaults, build }', typeof kind, {
        field: 'default export',
      }),
    );
  }
  for (const [field, type] of Object.entries(CLAUSES)) {
    if (typeof kind[field] !== type || kind[field] === null) {
      throw new UserError(
        failure(nameOrPath, type === 'object' ? 'an object' : `a ${type}`, typeof kind[field], {
          field: `default export: ${field}`,
        }),
      );
    }
  }
  return kind as unknown as AnyKind;
}
