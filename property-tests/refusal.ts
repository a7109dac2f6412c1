import * as assert from 'uvu/assert';
import { UserError } from '../src/config/index.ts';

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
