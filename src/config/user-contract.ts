/** What a file of the user's own has to export: checked clause by clause, so that a mistake is told where it was made. */
import { resolve } from 'node:path';
import { show } from './decode.ts';
import { failure, UserError } from './failure.ts';
import { importUserFile } from './user-module.ts';

/** The fields of a thing, with the type of each. */
export type Clauses<T> = {
  readonly [K in keyof T]?: 'string' | 'number' | 'boolean' | 'object' | 'function';
};

const article = (type: string) => `${type === 'object' ? 'an' : 'a'} ${type}`;

/**
 * Checks that a value is an object with the fields of `clauses`.
 * @param file the user's file
 * @param subject what is checked, such as `default export`
 * @param what what it should be, in words
 * @throws UserError naming file and field
 */
export function checkClauses<T>(
  file: string,
  subject: string,
  what: string,
  value: unknown,
  clauses: Clauses<T>,
): asserts value is T {
  const fields = Object.entries(clauses) as [string, string][];
  if (typeof value !== 'object' || value === null) {
    const expected = `${what} { ${fields.map(([field]) => field).join(', ')} }`;
    throw new UserError(failure(file, expected, found(value), { field: subject }));
  }
  for (const [field, type] of fields) {
    const given = (value as Record<string, unknown>)[field];
    if (typeof given !== type || given === null) {
      throw new UserError(failure(file, article(type), found(given), { field: `${subject}: ${field}` }));
    }
  }
}

/** What kinds of denoisers and of encoders have in common. */
interface Kind {
  readonly name: string;
  readonly summary: string;
  readonly config: { readonly decode: unknown; readonly is: unknown };
  readonly defaults: unknown;
  readonly build: unknown;
}

/**
 * The kind that a file of the user's own exports by default.
 * @param what what it should be, in words
 * @throws UserError naming the file and the clause it breaks
 */
export async function importKind<K extends Kind>(file: string, what: string): Promise<K> {
  const kind = (await importUserFile(file)).default;
  checkClauses<K>(file, 'default export', what, kind, {
    name: 'string',
    summary: 'string',
    config: 'object',
    defaults: 'object',
    build: 'function',
  } as Clauses<K>);
  checkClauses<K['config']>(file, 'default export: config', 'an io-ts codec', kind.config, {
    decode: 'function',
    is: 'function',
  } as Clauses<K['config']>);
  return kind;
}

const found = (value: unknown): string =>
  value === undefined || typeof value === 'function' ? typeof value : show(value);

/** Runs a part of a user's file; what it throws is told with the file, the part and the line, unless it is a sentence already. */
export function inUserFile<A>(file: string, part: string, work: () => A): A {
  try {
    return work();
  } catch (error) {
    if (error instanceof UserError) throw error;
    const reason = error instanceof Error ? error.message.split('\n')[0] : String(error);
    const trace = error instanceof Error ? (error.stack ?? '').split('\n') : [];
    const path = resolve(file);
    const line = trace.map(entry => entry.split(`${path}:`)[1]).find(Boolean);
    const where = line ? ` (line ${Number.parseInt(line, 10)})` : '';
    throw new UserError(failure(file, 'no error', `"${reason}"${where}`, { field: part }));
  }
}

/** Gives up on a file of the user. @throws UserError saying which clause of a file is broken */
export function breaksClause(file: string, field: string, expected: string, found: string): never {
  throw new UserError(failure(file, expected, found, { field }));
}
