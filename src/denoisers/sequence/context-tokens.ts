/** What a sequence model knows beside the weights, as tokens of the model's width: the noise level and the condition. */
import { UserError } from '../../config/index.ts';
import { mlp, type Parameters, sinusoidalEmbedding, tf } from '../../tensor/index.ts';
import type { Condition, DenoiserContext } from '../denoiser.ts';

export interface NoiseOptions {
  /** Width of the sinusoidal embedding. */
  readonly noiseWidth: number;
  /** Factor on the noise label, which under EDM spans about -1.6 to 1.1 and would leave most frequencies idle. */
  readonly noiseScale: number;
}

/** Noise label [B] -> sinusoids -> two-layer MLP -> [B, width]. */
export function noiseEmbedding(parameters: Parameters, width: number, options: NoiseOptions) {
  const project = mlp(parameters, 'noise', [options.noiseWidth, 2 * width, width]);
  return (noiseLabel: tf.Tensor1D): tf.Tensor2D =>
    project(sinusoidalEmbedding(tf.mul(noiseLabel, options.noiseScale), options.noiseWidth));
}

/**
 * Condition tokens [B, T, C] -> two-layer MLP -> [B, T, width]. A sample without its condition gets learned null tokens instead, so
 * that absence is something the model can tell from every condition.
 */
export function conditionEmbedding(
  parameters: Parameters,
  width: number,
  shape: NonNullable<DenoiserContext['condition']>,
) {
  const project = mlp(parameters, 'condition', [shape.width, 2 * width, width]);
  const absent = parameters.normal<tf.Rank.R3>('condition/absent', [1, shape.tokens, width], 0.02);
  return (condition: Condition | null, batch: number): tf.Tensor3D => {
    if (condition === null) return tf.tile(absent, [batch, 1, 1]);
    const [, tokens, given] = condition.tokens.shape;
    if (tokens !== shape.tokens || given !== shape.width) {
      throw new UserError({
        where: 'condition',
        expected: `${shape.tokens} tokens of ${shape.width} numbers`,
        found: `${tokens} of ${given}`,
      });
    }
    const present = tf.reshape(condition.present, [-1, 1, 1]);
    const kept = tf.mul(project(condition.tokens), present);
    return tf.add(kept, tf.mul(absent, tf.sub(1, present))) as tf.Tensor3D;
  };
}

/**
 * The memory of a cross-attention: the condition tokens with their learned positions and one learned token more. Over a single key a
 * softmax is constant and queries mean nothing; with the extra one every block can choose how much of even a lone token to take.
 */
export function conditionMemory(parameters: Parameters, width: number, tokens: number) {
  const position = parameters.normal<tf.Rank.R3>('condition/position', [1, tokens, width], 0.02);
  const rest = parameters.normal<tf.Rank.R3>('condition/rest', [1, 1, width], 0.02);
  return (embedded: tf.Tensor3D): tf.Tensor3D =>
    tf.concat([tf.add(embedded, position), tf.tile(rest, [embedded.shape[0], 1, 1])], 1) as tf.Tensor3D;
}

/** Condition tokens as members of the sequence: with their learned positions. */
export function conditionInSequence(parameters: Parameters, width: number, tokens: number) {
  const position = parameters.normal<tf.Rank.R3>('condition/position', [1, tokens, width], 0.02);
  return (embedded: tf.Tensor3D): tf.Tensor3D => tf.add(embedded, position);
}
