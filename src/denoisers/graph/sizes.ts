/** Codecs and checks of the sizes in a graph denoiser's configuration. */
import * as t from 'io-ts';
import { UserError } from '../../config/index.ts';

export const natural = t.refinement(
  t.number,
  x => Number.isSafeInteger(x) && x >= 1,
  'a whole number from 1',
);
export const whole = t.refinement(t.number, x => Number.isSafeInteger(x) && x >= 0, 'a whole number from 0');

/** `where` names the denoiser. */
export function checkHeads(where: string, { hidden, heads }: { hidden: number; heads: number }): void {
  if (hidden % heads === 0) return;
  throw new UserError({
    where,
    field: 'heads',
    expected: `a divisor of hidden, ${hidden}`,
    found: `${heads}`,
  });
}
