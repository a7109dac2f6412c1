/**
 * Regression as a process: the network is given no weights at all (x = 0, noise label 0) and what it returns is the answer, D = F. Trained by
 * squared error it learns the mean of the weights given the condition: what a diffusion model has to be told apart from. A denoiser that is
 * equivariant and has no anchor sees equal hidden units here and cannot answer. With a prior, D = r(c) + std F(r(c) / sigma_data): ridge regression is where it begins.
 */
import type { ApplyOptions, Condition, Denoiser } from '../denoisers/index.ts';
import { tf } from '../tensor/index.ts';
import type { Diffusion } from './diffusion.ts';
import type { GaussianPrior } from './gaussian.ts';
import { gaussianEstimate } from './gaussian.ts';
import { whole } from './guidance.ts';

/** Parameters of regression. */
export interface RegressionConfig {
  /** Standard deviation of the normalised data. */
  readonly sigmaData: number;
  /** Factor of the squared error in weights; 0 leaves all to the loss through the rollout. Default 1. */
  readonly weightLoss: number;
}

/** So much noise that nothing is seen through it. */
const BLIND = 1e6;

/**
 * Regression behind the interface of a diffusion process: one level, and a sample is the one answer, whatever the noise.
 * @param prior what the answer is added to, in units of the deviation that it leaves; default: none
 */
export function regression(
  { sigmaData = 0.5, weightLoss = 1 }: Partial<RegressionConfig> = {},
  prior: GaussianPrior | null = null,
): Diffusion {
  const answer = (
    denoiser: Denoiser,
    rows: number,
    size: number,
    condition: Condition | null,
    options?: ApplyOptions,
  ): tf.Tensor2D => {
    const blank = tf.zeros<tf.Rank.R2>([rows, size]);
    const label = tf.zeros<tf.Rank.R1>([rows]);
    if (!prior) return denoiser.apply(blank, label, condition, options);
    // Noise without bound leaves nothing of x: the mean, and all of the deviation.
    const { mean, deviation } = gaussianEstimate(
      prior,
      blank,
      new Array<number>(rows).fill(BLIND),
      condition,
    );
    const added = denoiser.apply(tf.div(mean, sigmaData), label, condition, options);
    return tf.add(mean, tf.mul(deviation, added));
  };
  return {
    name: 'regression',
    sigmaData,
    prior,
    drawLevels: (_, batch) => new Float64Array(batch).fill(1),
    binLevels: bins => new Array<number>(bins).fill(1),
    binOf: () => 0,
    signal: () => 0,

    objective(denoiser, clean, _noise, _levels, condition, options) {
      const [rows, size] = clean.shape;
      const denoised = tf.tidy(() => answer(denoiser, rows, size, condition, options));
      const losses = tf.tidy(
        () =>
          tf.mul(
            tf.mean(tf.squaredDifference(denoised, clean), 1),
            weightLoss / sigmaData ** 2,
          ) as tf.Tensor1D,
      );
      return { denoised, losses };
    },

    async sample({ denoiser, condition, shape, onStep, signal }) {
      signal?.throwIfAborted();
      const found = tf.tidy(() => answer(denoiser, shape[0], shape[1], condition && whole(condition)));
      const values = Float64Array.from(await found.data());
      found.dispose();
      onStep?.({ step: 0, steps: 1, sigma: 1, x: new Float64Array(values.length), denoised: values });
      return values;
    },
  };
}
