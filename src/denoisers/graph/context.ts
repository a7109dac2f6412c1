/** The global feature vector: what a graph denoiser knows beside the graph, the noise level and the condition. */
import { UserError } from '../../config/index.ts';
import { linear, mlp, type Parameters, silu, tf } from '../../tensor/index.ts';
import type { Condition, DenoiserContext } from '../denoiser.ts';

/** Frequencies of the noise label's embedding, in turns per unit: the label of EDM spans about -1.6 to 1.1. */
const FREQUENCIES = Float32Array.from({ length: 16 }, (_, i) => 0.125 * 2 ** (i / 3));

/** [cos | sin] of 2 pi f x for sixteen frequencies, and x itself. @param x [B]  @returns [B, 33] */
export function fourierFeatures(x: tf.Tensor1D): tf.Tensor2D {
  const angles = tf.outerProduct(x, tf.tensor1d(FREQUENCIES.map(f => 2 * Math.PI * f)));
  return tf.concat([tf.cos(angles), tf.sin(angles), tf.reshape(x, [-1, 1])], 1) as tf.Tensor2D;
}

/** More tokens than this are averaged before they are projected; fewer are put end to end, so that each has weights of its own. */
const MOST_TOKENS = 16;

/** Noise label [B] -> [B, width]. */
export function noiseVector(parameters: Parameters, width: number): (noiseLabel: tf.Tensor1D) => tf.Tensor2D {
  const noise = mlp(parameters, 'noise', [2 * FREQUENCIES.length + 1, width, width], { activation: silu });
  return noiseLabel => noise(fourierFeatures(noiseLabel));
}

/**
 * Condition -> [B, width], or [1, width] for no condition at all. A sample without its condition has a learned vector in the condition's
 * place. Throws a UserError for tokens of another shape.
 */
export function conditionVector(
  parameters: Parameters,
  width: number,
  shape: NonNullable<DenoiserContext['condition']>,
): (condition: Condition | null) => tf.Tensor2D {
  const pooled = shape.tokens > MOST_TOKENS;
  const inputs = pooled ? shape.width : shape.tokens * shape.width;
  const project = linear(parameters, 'condition', inputs, width);
  const absent = parameters.normal<tf.Rank.R2>('absent', [1, width], 0.1);
  return condition => {
    if (!condition) return absent;
    const [batch, tokens, given] = condition.tokens.shape;
    if (tokens !== shape.tokens || given !== shape.width) {
      throw new UserError({
        where: 'condition',
        expected: `${shape.tokens} tokens of ${shape.width} numbers`,
        found: `${tokens} of ${given}`,
      });
    }
    const flat = pooled ? tf.mean(condition.tokens, 1) : tf.reshape(condition.tokens, [batch, inputs]);
    const present = tf.reshape(condition.present, [batch, 1]);
    // `where`, not a product: what stands in an absent condition's place (even NaN) must not matter.
    const there = tf.tile(tf.greater(present, 0.5), [1, inputs]);
    const kept = project(tf.where(there, flat, tf.zerosLike(flat)) as tf.Tensor2D);
    return tf.add(tf.mul(kept, present), tf.mul(absent, tf.sub(1, present)));
  };
}

/** Noise label [B] and condition -> their sum u [B, width]. */
export function globalContext(
  parameters: Parameters,
  width: number,
  shape: DenoiserContext['condition'],
): (noiseLabel: tf.Tensor1D, condition: Condition | null) => tf.Tensor2D {
  const noise = noiseVector(parameters, width);
  if (!shape) return noise;
  const vector = conditionVector(parameters, width, shape);
  return (noiseLabel, condition) => tf.add(noise(noiseLabel), vector(condition));
}
