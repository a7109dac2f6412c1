/**
 * Regression as a process: the network is given no weights at all (x = 0, noise label 0) and what it returns is the answer, D = F. Trained by
 * squared error it learns the mean of the weights given the condition: what a diffusion model has to be told apart from. A denoiser that is
 * equivariant and has no anchor sees equal hidden units here and cannot answer.
 */
import { tf } from '../tensor/index.ts';
import type { Diffusion } from './diffusion.ts';

/** Parameters of regression. */
export interface RegressionConfig {
  /** Standard deviation of the normalised data. */
  readonly sigmaData: number;
}

/** Regression behind the interface of a diffusion process: one level, and a sample is the one answer, whatever the noise. */
export function regression({ sigmaData = 0.5 }: Partial<RegressionConfig> = {}): Diffusion {
  return {
    name: 'regression',
    sigmaData,
    drawLevels: (_, batch) => new Float64Array(batch).fill(1),
    binLevels: bins => new Array<number>(bins).fill(1),
    binOf: () => 0,
    signal: () => 0,

    objective(denoiser, clean, _noise, levels, condition, options) {
      const denoised = tf.tidy(() =>
        denoiser.apply(tf.zerosLike(clean), tf.zeros([levels.length]), condition, options),
      );
      const losses = tf.tidy(
        () => tf.div(tf.mean(tf.squaredDifference(denoised, clean), 1), sigmaData ** 2) as tf.Tensor1D,
      );
      return { denoised, losses };
    },

    async sample({ denoiser, condition, shape, onStep, signal }) {
      signal?.throwIfAborted();
      const answer = tf.tidy(() =>
        denoiser.apply(
          tf.zeros([...shape]),
          tf.zeros([shape[0]]),
          condition && { tokens: condition, present: tf.ones([shape[0]]) },
        ),
      );
      const values = Float64Array.from(await answer.data());
      answer.dispose();
      onStep?.({ step: 0, steps: 1, sigma: 1, x: new Float64Array(values.length), denoised: values });
      return values;
    },
  };
}
