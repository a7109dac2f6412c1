/**
 * Attention with its projections, and the MLP, each as one operator for training: gradients are summed where they arise, GELU and its
 * slope come of one pass. Elsewhere (no gradient wanted, frozen weights, another backend) they are their parts.
 */
import * as tf from '@tensorflow/tfjs-core';
import { attention, gelu, linear } from './fused.ts';
import { fusedInCharge, operator, runMany } from './run-kernel.ts';

/** Weight [in, out] and bias [out] of a linear layer. */
export interface LinearWeights {
  readonly weight: tf.Tensor2D;
  readonly bias: tf.Tensor1D | null;
}

const apply = <T extends tf.Tensor>(x: T, { weight, bias }: LinearWeights): T => linear(x, weight, bias);

/** Is a gradient being recorded, and one to all of these layers wanted, by a backend that has the kernel and its gradient? */
function training(layers: readonly LinearWeights[], name: string): boolean {
  const frozen = (t: tf.Tensor | null) => t instanceof tf.Variable && !t.trainable;
  return (
    fusedInCharge(name, `${name}Gradient`) &&
    tf.engine().state.gradientDepth > 0 &&
    !layers.some(({ weight, bias }) => frozen(weight) || frozen(bias))
  );
}

/**
 * second(gelu(first(x))) on the last axis.
 * @param x [..., in]  @returns [..., out]
 */
export function mlp<T extends tf.Tensor>(x: T, first: LinearWeights, second: LinearWeights): T {
  const [w1, b1, w2, b2] = [first.weight, first.bias, second.weight, second.bias];
  if (!b1 || !b2 || !training([first, second], 'LoomMlp')) return apply(gelu(apply(x, first)), second);
  return operator(
    [x, w1, b1, w2, b2],
    () => {
      const [y, active, slope] = runMany('LoomMlp', { x, w1, b1, w2, b2 });
      return [y, x, w1, w2, active, slope];
    },
    (dy, [x, w1, w2, active, slope]) => runMany('LoomMlpGradient', { dy, x, w1, w2, active, slope }),
  ) as T;
}

/** Projections of an attention: queries from the tokens, keys (without a bias) and values from the memory, and the way out. */
export interface AttentionWeights {
  readonly q: LinearWeights;
  readonly k: LinearWeights;
  readonly v: LinearWeights;
  readonly out: LinearWeights;
}

/**
 * Multi-head attention from tokens to a memory with all its projections; `memory` may be the tokens themselves.
 * @param tokens [B, T, C]  @param memory [B, S, C]  @returns [B, T, C]
 */
export function attentionBlock(
  tokens: tf.Tensor3D,
  memory: tf.Tensor3D,
  { q: queries, k: keys, v: values, out }: AttentionWeights,
  heads: number,
): tf.Tensor3D {
  const [bq, bv, bo] = [queries.bias, values.bias, out.bias];
  if (!bq || keys.bias || !bv || !bo || !training([queries, keys, values, out], 'LoomAttentionBlock')) {
    const [q, k, v] = [apply(tokens, queries), apply(memory, keys), apply(memory, values)];
    return apply(attention(q, k, v, heads), out);
  }
  const [wq, wk, wv, wo] = [queries.weight, keys.weight, values.weight, out.weight];
  const sources: tf.NamedTensorMap = memory === tokens ? { tokens } : { tokens, memory };
  return operator(
    [...Object.values(sources), wq, bq, wk, wv, bv, wo, bo],
    () => {
      const inputs = { ...sources, wq, bq, wk, wv, bv, wo, bo };
      const [y, q, k, v, seen] = runMany('LoomAttentionBlock', inputs, { heads });
      return [y, wq, wk, wv, wo, q, k, v, seen, ...Object.values(sources)];
    },
    (dy, [wq, wk, wv, wo, q, k, v, seen, tokens, memory]) => {
      const kept = { dy, wq, wk, wv, wo, q, k, v, seen, tokens, ...(memory && { memory }) };
      return runMany('LoomAttentionBlockGradient', kept, { heads });
    },
  ) as tf.Tensor3D;
}
