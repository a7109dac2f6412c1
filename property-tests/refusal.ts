import * as E from 'fp-ts/lib/Either.js';
import type * as TE from 'fp-ts/lib/TaskEither.js';
import * as assert from 'uvu/assert';
import { describe, type Failure, UserError } from '../src/config/index.ts';

/** The sentence an operation is refused with: a UserError, or the test fails. */
export async function refusal(work: () => Promise<unknown>): Promise<string> {
  try {
    await work();
  } catch (error) {
    assert.instance(error, UserError);
    return (error as Error).message;
  }
  throw new Error('nothing was refused');
}

/** The sentence a task fails with. */
export async function sentence(task: TE.TaskEither<Failure, unknown>): Promise<string> {
  const result = await task();
  return E.isLeft(result) ? describe(result.left) : 'no failure';
}
