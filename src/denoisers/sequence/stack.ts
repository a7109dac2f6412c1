/** The transformer that the token denoisers share: everything between the weight tokens' embedding and their last representation. */
import * as t from 'io-ts';
import { finite, natural, positive, UserError } from '../../config/index.ts';
import { encoderLayer, layerNorm, type Parameters, tf } from '../../tensor/index.ts';
import type { Condition, DenoiserContext } from '../denoiser.ts';
import {
  conditionEmbedding,
  conditionInSequence,
  conditionMemory,
  noiseEmbedding,
} from './context-tokens.ts';

/** Parameters that all token denoisers share. */
export const StackConfig = t.strict({
  /** Width of the tokens inside the model. */
  width: natural,
  layers: natural,
  /** Must divide `width`. */
  heads: natural,
  /** The MLPs are this many times wider than the tokens. */
  mlpRatio: positive,
  /** How the condition enters: as tokens of the sequence, or by cross-attention in every block. */
  conditioning: t.union([t.literal('tokens'), t.literal('cross-attention')]),
  /** Width of the sinusoidal embedding of the noise label. */
  noiseWidth: natural,
  /** Factor on the noise label before its embedding. */
  noiseScale: finite,
});
export type StackConfig = t.TypeOf<typeof StackConfig>;

/** Small enough to train in minutes on two cores. The published baseline is width 256, 8 layers, 4 heads. */
export const STACK_DEFAULTS: StackConfig = {
  width: 128,
  layers: 4,
  heads: 4,
  mlpRatio: 4,
  conditioning: 'tokens',
  noiseWidth: 64,
  noiseScale: 16,
};

/** Throws a UserError when the sizes do not fit together. `where` names the denoiser. */
export function checkSizes(where: string, config: { width: number; heads: number }): void {
  if (config.width % config.heads !== 0) {
    throw new UserError({
      where,
      field: 'heads',
      expected: `a divisor of the width ${config.width}`,
      found: `${config.heads}`,
    });
  }
}

/**
 * @returns a function of embedded weight tokens [B, T, width], noise label [B] and condition that gives the weight tokens'
 * representation after the last block, normalised, [B, T, width]
 */
export function transformerStack(
  parameters: Parameters,
  config: StackConfig,
  condition: DenoiserContext['condition'],
  /** How embedded condition tokens are placed; by default as the configuration says. */
  place = config.conditioning === 'cross-attention' ? conditionMemory : conditionInSequence,
) {
  const { width, layers, heads, mlpRatio } = config;
  const embedNoise = noiseEmbedding(parameters, width, config);
  const noisePosition = parameters.normal<tf.Rank.R3>('noise/position', [1, 1, width], 0.02);
  const embedCondition = condition ? conditionEmbedding(parameters, width, condition) : null;
  const cross = config.conditioning === 'cross-attention' && condition !== null;
  const placeCondition = condition ? place(parameters, width, condition.tokens) : null;
  const normIn = layerNorm(parameters, 'norm-in', width);
  const blocks = Array.from({ length: layers }, (_, i) =>
    encoderLayer(parameters, `block/${i}`, {
      width,
      heads,
      hidden: Math.round(mlpRatio * width),
      cross,
      residualScale: 1 / Math.sqrt(2 * layers),
    }),
  );
  const normOut = layerNorm(parameters, 'norm-out', width);

  return (tokens: tf.Tensor3D, noiseLabel: tf.Tensor1D, given: Condition | null): tf.Tensor3D => {
    const [batch, count] = tokens.shape;
    const sequence = [tokens, tf.add(tf.expandDims(embedNoise(noiseLabel), 1), noisePosition)];
    const memory = embedCondition ? placeCondition!(embedCondition(given, batch)) : undefined;
    if (memory && !cross) sequence.push(memory);
    let x = normIn(tf.concat(sequence, 1) as tf.Tensor3D);
    for (const block of blocks) x = block(x, cross ? memory : undefined);
    return normOut(tf.slice(x, [0, 0, 0], [-1, count, -1]));
  };
}
