/**
 * What goes wrong at the edges (files, config, command line) is a value: one clear sentence that names the file or option, the
 * field, what was expected and what was found.
 */

import { closest, distance } from 'fastest-levenshtein';
import * as E from 'fp-ts/lib/Either.js';
import type * as TE from 'fp-ts/lib/TaskEither.js';

/** What was wrong with something given from outside, as a value: `describe` makes the sentence of it. */
export interface Failure {
  /** File, option or environment variable at fault. */
  readonly where: string;
  /** Path of the field inside it, such as `denoiser.layers` or `w1[3,4]`. */
  readonly field?: string;
  /** Noun phrases that complete "expected ..., found ...". */
  readonly expected: string;
  readonly found: string;
  /** What to do about it, as a sentence. */
  readonly hint?: string;
}

/** A failure from its parts: where it is, what was expected there and what was found; in `more` the field and a hint. */
export const failure = (
  where: string,
  expected: string,
  found: string,
  more: { field?: string; hint?: string } = {},
): Failure => ({ where, expected, found, ...more });

/** Escape sequences and invisible signs that would change what a terminal shows: control characters, marks of writing direction. */
const CONTROLS = /[\p{Cc}\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu;

/** Text of unknown origin made fit for the terminal: one line, no control characters, `most` characters at most. */
export function printable(text: string, most = Number.POSITIVE_INFINITY): string {
  // Twice as much as is shown, so that a text of megabytes is not gone through for nothing.
  const start = text.length > 2 * most ? text.slice(0, 2 * most) : text;
  const clean = start.replace(/[\t\r\n]+/g, ' ').replace(CONTROLS, '\ufffd');
  return clean.length > most ? `${clean.slice(0, most - 3)}...` : clean;
}

/** Characters of a value that a sentence shows. */
const VALUE = 200;

/** The sentence shown to the user: one line, whatever the file at fault holds. */
export const describe = ({ where, field, expected, found, hint }: Failure): string =>
  printable(
    `${where}: ${field ? `${printable(field, VALUE)}: ` : ''}expected ${printable(expected, 5 * VALUE)}, `,
  ) + printable(`found ${printable(found, VALUE)}.${hint ? ` ${hint}` : ''}`);

/** An error whose message is meant for the user as it stands: the command line prints it without a stack. */
export class UserError extends Error {
  override readonly name = 'UserError';
  /** The failure behind the message, when there is one. */
  readonly failure: Failure | undefined;
  constructor(
    message: string | Failure,
    /** 1 for bad input, 2 for bad usage of the command line. */
    readonly exitCode: 1 | 2 = 1,
  ) {
    super(typeof message === 'string' ? message : describe(message));
    this.failure = typeof message === 'string' ? undefined : message;
  }
}

/** Leaves the world of values: the success, or a thrown UserError. */
export function orThrow<A>(result: E.Either<Failure, A>): A {
  if (E.isLeft(result)) throw new UserError(result.left);
  return result.right;
}

/** Runs a task and leaves the world of values: the success, or a rejection with a UserError. */
export const settle = async <A>(task: TE.TaskEither<Failure, A>): Promise<A> => orThrow(await task());

/** A call that returns a TaskEither as one that returns a promise, and rejects with a UserError: the form for scripts. */
export const plain =
  <A extends unknown[], B>(call: (...given: A) => TE.TaskEither<Failure, B>) =>
  (...given: A): Promise<B> =>
    settle(call(...given));

/** Inside `attempt`: gives up with a failure. */
export function refuse(...details: Parameters<typeof failure>): never {
  throw new UserError(failure(...details));
}

const SYSTEM_ERRORS: Record<string, [expected: string, found: string]> = {
  ENOENT: ['a file or folder that exists', 'nothing there'],
  EACCES: ['permission to use it', 'permission denied'],
  EPERM: ['permission to use it', 'permission denied'],
  EROFS: ['a place that can be written', 'a read-only file system'],
  EISDIR: ['a file', 'a folder'],
  ENOTDIR: ['a folder', 'a file where the path needs a folder'],
  EEXIST: ['a free name', 'a file of that name'],
  ENOTEMPTY: ['an empty folder', 'a folder with files in it'],
  ENOSPC: ['room on the disk', 'a full disk'],
  EDQUOT: ['room in the disk quota', 'a full quota'],
  EMFILE: ['a free file handle', 'too many open files'],
};

/** A failure for an error of the operating system; undefined for any other error, which is a bug. */
export function systemFailure(where: string, error: unknown): Failure | undefined {
  const code = (error as NodeJS.ErrnoException)?.code;
  if (typeof code !== 'string' || (error as NodeJS.ErrnoException).syscall === undefined) return undefined;
  const [expected, found] = SYSTEM_ERRORS[code] ?? [
    'a readable and writable place',
    `the system error ${code}`,
  ];
  return failure(where, expected, found);
}

/** An error of the operating system as the UserError it is told by; any other, which is a bug, as it is. To be thrown. */
export function systemError(where: string, error: unknown): unknown {
  const known = systemFailure(where, error);
  return known ? new UserError(known) : error;
}

/**
 * Work that touches the outside, as a TaskEither: what `refuse` gave up with and errors of the operating system (laid to `where`) become
 * failures; any other exception is a bug and rejects.
 *
 *     const read = (path) => attempt(path, async () => {
 *       const text = await readFile(path, 'utf8');
 *       if (text === '') throw new UserError({ where: path, expected: 'some text', found: 'nothing' });
 *       return text;
 *     });
 *     const text = await settle(read('notes.txt'));
 */
export const attempt =
  <A>(where: string, work: () => Promise<A>): TE.TaskEither<Failure, A> =>
  async () => {
    try {
      return E.right(await work());
    } catch (error) {
      const known = error instanceof UserError ? error.failure : systemFailure(where, error);
      if (known) return E.left(known);
      throw error;
    }
  };

/** "Did you mean ...?" for the nearest of `known`, or undefined when nothing is near. */
export function suggestion(found: string, known: readonly string[]): string | undefined {
  if (known.length === 0) return undefined;
  const nearest = closest(found, known);
  return distance(found, nearest) <= Math.max(2, found.length / 2) ? `Did you mean ${nearest}?` : undefined;
}
