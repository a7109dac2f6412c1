/** Guidance: the sampler's denoiser as a combination of two estimates, D = D_ref + scale (D_main - D_ref). */
import type { Condition, Denoiser, Given } from '../denoisers/index.ts';
import { tf } from '../tensor/index.ts';

/** Guided sampling: how far past the reference estimate, against what, and at which noise levels. */
export interface Guidance {
  /** 1 is no guidance. */
  readonly scale: number;
  /** Guide only at noise levels in (low, high]; elsewhere the scale is 1 (Kynkaanniemi et al. 2024). */
  readonly interval?: readonly [low: number, high: number];
  /**
   * The reference estimate's model: without it, the same denoiser with its condition dropped (classifier-free guidance, Ho and
   * Salimans 2022); with it, this weaker model under the same condition (autoguidance, Karras et al. 2024).
   */
  readonly weaker?: Denoiser;
}

/** An estimate of the denoiser at one noise level: (denoiser, x [B, D], condition) -> [B, D]. */
export type Estimate = (denoiser: Denoiser, x: tf.Tensor2D, condition: Condition | null) => tf.Tensor2D;

/** The two estimates guidance combines; `reference` is null where nothing guides. */
export interface Guided {
  readonly main: tf.Tensor2D;
  readonly reference: tf.Tensor2D | null;
}

/** Whether guidance acts at a noise level, for a condition that is there or not. */
export function guides(guidance: Guidance | undefined, sigma: number, conditional: boolean): boolean {
  if (!guidance || guidance.scale === 1) return false;
  const [low, high] = guidance.interval ?? [0, Number.POSITIVE_INFINITY];
  return sigma > low && sigma <= high && (conditional || guidance.weaker !== undefined);
}

/** Evaluates what guidance needs: the same model's two estimates go through it as one batch of 2B. */
export function guidedEstimates(
  estimate: Estimate,
  denoiser: Denoiser,
  x: tf.Tensor2D,
  given: Given | null,
  guidance: Guidance | undefined,
  sigma: number,
): Guided {
  const batch = x.shape[0];
  const condition = given && whole(given);
  if (!guides(guidance, sigma, given !== null)) {
    return { main: estimate(denoiser, x, condition), reference: null };
  }
  if (guidance!.weaker) {
    return { main: estimate(denoiser, x, condition), reference: estimate(guidance!.weaker, x, condition) };
  }
  const both = estimate(denoiser, tf.concat([x, x]), {
    tokens: tf.concat([given!.tokens, given!.tokens]),
    means: given!.means && tf.concat([given!.means, given!.means]),
    present: tf.concat([tf.ones([batch]), tf.zeros([batch])]) as tf.Tensor1D,
  });
  const [main, reference] = tf.split(both, 2) as tf.Tensor2D[];
  return { main, reference };
}

/** The condition of samples that all have it. */
export const whole = (given: Given): Condition => ({
  ...given,
  present: tf.ones([given.tokens.shape[0]]),
  complete: true,
});

/** D_ref + scale (D_main - D_ref). */
export const combineEstimates = ({ main, reference }: Guided, scale: number): tf.Tensor2D =>
  reference ? tf.add(reference, tf.mul(scale, tf.sub(main, reference))) : main;
