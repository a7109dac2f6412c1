/**
 * What goes wrong at the edges (files, config, command line) is a value: one clear sentence that names the file or option, the
 * field, what was expected and what was found.
 */

import { closest, distance } from 'fastest-levenshtein';
import * as E from 'fp-ts/lib/Either.js';

export interface Failure {
  /** File, option or environment variable at fault. */
  readonly where: string;
  /** Path of the field inside it, such as `denoiser.layers` or `w1[3,4]`. */
  readonly field?: string;
  readonly expected: string;
  readonly found: string;
  /** What to do about it, as a sentence. */
  readonly hint?: string;
}

export const failure = (
  where: string,
  expected: string,
  found: string,
  more: { field?: string; hint?: string } = {},
): Failure => ({ where, expected, found, ...more });

/** The sentence shown to the user. */
export const describe = ({ where, field, expected, found, hint }: Failure): string =>
  `${where}: ${field ? `${field}: ` : ''}expected ${expected}, found ${found}.${hint ? ` ${hint}` : ''}`;

/** An error whose message is meant for the user as it stands: the command line prints it without a stack. */
export class UserError extends Error {
  override readonly name = 'UserError';
  constructor(
    message: string | Failure,
    /** 1 for bad input, 2 for bad usage of the command line. */
    readonly exitCode: 1 | 2 = 1,
  ) {
    super(typeof message === 'string' ? message : describe(message));
  }
}

/** Leaves the world of values: the success, or a thrown UserError. */
export function orThrow<A>(result: E.Either<Failure, A>): A {
  if (E.isLeft(result)) throw new UserError(result.left);
  return result.right;
}

/** "Did you mean ...?" for the nearest of `known`, or undefined when nothing is near. */
export function suggestion(found: string, known: readonly string[]): string | undefined {
  if (known.length === 0) return undefined;
  const nearest = closest(found, known);
  return distance(found, nearest) <= Math.max(2, found.length / 2) ? `Did you mean ${nearest}?` : undefined;
}
