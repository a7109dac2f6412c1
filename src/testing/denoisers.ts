/** Equivariance of a denoiser, for the tests of whoever writes one. */
import type { DenoiserKind } from '../denoisers/index.ts';
import { type Verdict, type VerifyOptions, verifyDenoiser } from '../evaluation/index.ts';

/**
 * Checks that a denoiser keeps every symmetry that it claims (or those of `symmetries`): |F(g w) - g F(w)| on random elements, weights, noise levels
 * and conditions, shrunk to the smallest case that fails. Needs `startBackend()` before.
 * @returns the verdicts that were asked for
 * @throws Error with symmetry, error, smallest case, and the seed and path that play it again
 */
export async function checkEquivariance(
  // biome-ignore lint/suspicious/noExplicitAny: kinds of every configuration type
  kind: DenoiserKind<any>,
  options: VerifyOptions,
): Promise<Verdict[]> {
  const verdicts = await verifyDenoiser(kind, options);
  const asked = verdicts.filter(({ symmetry, claimed }) => claimed || options.symmetries?.includes(symmetry));
  const broken = asked.find(({ holds }) => !holds);
  if (broken) {
    const { symmetry, counterexample: found } = broken;
    const replay = found && `; again with { seed: ${found.seed}, path: '${found.path}' }`;
    throw new Error(
      `${kind.name}: ${symmetry} does not hold: relative error ${broken.worst.toExponential(1)}, at its smallest: ${found?.text} (error ${found?.error.toExponential(1)})${replay ?? ''}`,
    );
  }
  return asked;
}
