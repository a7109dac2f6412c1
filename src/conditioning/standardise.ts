/**
 * Standardised features: each number of each token minus its mean over the training images, divided by its standard deviation.
 * Statistics of different units (colours, log amplitudes, correlations) then enter a denoiser or a regression at one size.
 */
import { tf } from '../tensor/index.ts';
import type { Encoder } from './encoder.ts';

/** Mean and standard deviation of every number of the features [T, C], over the training images. */
export interface Standardiser {
  /** [T * C] */
  readonly mean: Float32Array;
  /** [T * C], never 0. */
  readonly std: Float32Array;
}

/** Values are held within this many standard deviations: an outlier must not push a model where it never trained. */
export const OUTLIER = 5;

/** A standard deviation to divide by: 1 for a number that does not vary beyond its rounding, so that it becomes 0. */
export const safeDeviation = (deviation: number, mean: number): number =>
  deviation > 1e-5 * (1 + Math.abs(mean)) ? deviation : 1;

/**
 * Mean and standard deviation (n - 1) of every number of the features.
 * @param features [N, T, C] of the training images
 * Features that do not vary keep std 1 and so become 0.
 */
export async function fitStandardiser(features: tf.Tensor3D): Promise<Standardiser> {
  const [count, tokens, width] = features.shape;
  const data = await features.data();
  const size = tokens * width;
  const mean = new Float64Array(size);
  const square = new Float64Array(size);
  for (let n = 0; n < count; n++) for (let i = 0; i < size; i++) mean[i] += data[n * size + i] / count;
  for (let n = 0; n < count; n++) {
    for (let i = 0; i < size; i++) square[i] += (data[n * size + i] - mean[i]) ** 2 / Math.max(1, count - 1);
  }
  const std = Float32Array.from(square, (s, i) => safeDeviation(Math.sqrt(s), mean[i]));
  return { mean: Float32Array.from(mean), std };
}

/** (features - mean) / std, number by number. @param features [B, T, C]  @returns [B, T, C], clipped to five standard deviations */
export function standardise(features: tf.Tensor3D, { mean, std }: Standardiser): tf.Tensor3D {
  const [, tokens, width] = features.shape;
  return tf.tidy(() => {
    const scaled = tf.div(
      tf.sub(features, tf.tensor3d(mean, [1, tokens, width])),
      tf.tensor3d(std, [1, tokens, width]),
    );
    return tf.clipByValue(scaled, -OUTLIER, OUTLIER) as tf.Tensor3D;
  });
}

/**
 * The encoder with its features standardised on their way into `project`: the frozen features, and so the cache, stay as they are.
 * An encoder whose features have a scale of their own is left alone.
 */
export function standardised(encoder: Encoder, standardiser: Standardiser): Encoder {
  if (encoder.ownScale) return encoder;
  return {
    ...encoder,
    project: features => tf.tidy(() => encoder.project(standardise(features, standardiser))),
  };
}
