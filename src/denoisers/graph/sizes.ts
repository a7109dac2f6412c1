/** Checks of the sizes in a graph denoiser's configuration. */
import { UserError } from '../../config/index.ts';

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
