/**
 * Operators whose plain form wastes time or memory, with their own gradients. On the loom backend each is a kernel of ours;
 * on any other the same formula in tfjs operators.
 */
import * as tf from '@tensorflow/tfjs-core';
import './gradients.ts';
import { fusedInCharge, type Named, operator, run, runMany } from './run-kernel.ts';

export * from './optimiser-steps.ts';

/**
 * y = x W + b on the last axis.
 * @param x [..., in]  @param weight [in, out]  @param bias [out], or null for none  @returns [..., out]
 */
export function linear<T extends tf.Tensor>(x: T, weight: tf.Tensor2D, bias: tf.Tensor1D | null): T {
  const [inputs, outputs] = weight.shape;
  if (x.shape.at(-1) !== inputs || (bias && bias.size !== outputs)) {
    throw new RangeError(
      `linear: x [${x.shape}] does not fit weight [${weight.shape}]${bias ? ` and bias [${bias.shape}]` : ''}`,
    );
  }
  if (fusedInCharge('LoomLinear', 'LoomLinearInput', 'LoomLinearWeight', 'LoomLinearBias'))
    return run('LoomLinear', bias ? { x, weight, bias } : { x, weight }) as T;
  const rows = tf.matMul(tf.reshape(x, [-1, inputs]) as tf.Tensor2D, weight);
  return tf.reshape(bias ? tf.add(rows, bias) : rows, [...x.shape.slice(0, -1), outputs]) as T;
}

tf.registerGradient({
  kernelName: 'LoomLinear',
  inputsToSave: ['x', 'weight'],
  gradFunc: (dy, saved) => {
    const [x, weight] = saved as tf.Tensor[];
    const d = dy as tf.Tensor;
    return {
      x: () => run('LoomLinearInput', { dy: d, weight }),
      weight: () => run('LoomLinearWeight', { x, dy: d }),
      bias: () => run('LoomLinearBias', { dy: d }),
    };
  },
});

/**
 * Layer normalisation (Ba, Kiros and Hinton 2016): (x - mean) / sqrt(variance + epsilon) * gain + bias over the last axis.
 * @param gain [C]  @param bias [C]
 */
export function layerNorm<T extends tf.Tensor>(
  x: T,
  gain: tf.Tensor1D,
  bias: tf.Tensor1D,
  epsilon = 1e-5,
): T {
  const width = x.shape.at(-1);
  if (gain.size !== width || bias.size !== width) {
    throw new RangeError(
      `layerNorm: x [${x.shape}], gain [${gain.shape}] and bias [${bias.shape}] do not fit`,
    );
  }
  if (fusedInCharge('LoomLayerNorm', 'LoomLayerNormGradient')) {
    return operator(
      [x, gain, bias],
      () => {
        const [y, moments] = runMany('LoomLayerNorm', { x, gain, bias }, { epsilon });
        return [y, x, gain, moments];
      },
      (dy, [x, gain, moments]) => runMany('LoomLayerNormGradient', { dy, x, gain, moments }),
    ) as T;
  }
  const centred = tf.sub(x, tf.mean(x, -1, true));
  const variance = tf.mean(tf.square(centred), -1, true);
  return tf.add(tf.mul(tf.mul(centred, tf.rsqrt(tf.add(variance, epsilon))), gain), bias) as T;
}

/** Gaussian error linear unit, exact: x / 2 (1 + erf(x / sqrt 2)). */
export function gelu<T extends tf.Tensor>(x: T): T {
  if (fusedInCharge('Gelu', 'GeluSlope')) return run('Gelu', { x }) as T;
  return tf.mul(tf.mul(x, 0.5), tf.add(tf.erf(tf.mul(x, Math.SQRT1_2)), 1)) as T;
}

tf.registerGradient({
  kernelName: 'Gelu',
  inputsToSave: ['x'],
  gradFunc: (dy, saved) => ({
    x: () => run('GeluSlope', { a: dy as tf.Tensor, b: (saved as tf.Tensor[])[0] }),
  }),
});

/** Gradients of activations in one pass over dy and what was saved (relu's input, the others' output) instead of several. */
for (const [kernelName, slope] of [
  ['Relu', 'ReluSlope'],
  ['Tanh', 'TanhSlope'],
  ['Sigmoid', 'SigmoidSlope'],
]) {
  const theirs = tf.getGradient(kernelName);
  tf.registerGradient({
    ...theirs,
    gradFunc: (dy, saved, attributes) =>
      fusedInCharge(slope)
        ? { x: () => run(slope, { a: dy as tf.Tensor, b: (saved as tf.Tensor[])[0] }) }
        : theirs.gradFunc(dy, saved, attributes),
  });
}

/**
 * Multi-head attention, softmax(Q K^T / sqrt d) V for each head (Vaswani et al. 2017), without the projections. Heads lie side by
 * side in the last axis, d = C / heads.
 * @param q [B, T, C]  @param k [B, S, C]  @param v [B, S, C]
 * @param mask [B, S] bool: keys that may be seen; a sample that may see none gives zeros
 * @returns [B, T, C]
 */
export function attention(
  q: tf.Tensor3D,
  k: tf.Tensor3D,
  v: tf.Tensor3D,
  heads: number,
  mask?: tf.Tensor2D,
): tf.Tensor3D {
  const [batch, t, c] = q.shape;
  const [kBatch, s, kWidth] = k.shape;
  if (c % heads !== 0) throw new RangeError(`attention: width ${c} is not a multiple of ${heads} heads`);
  if (kBatch !== batch || kWidth !== c || !tf.util.arraysEqual(k.shape, v.shape)) {
    throw new RangeError(
      `attention: queries [${q.shape}], keys [${k.shape}] and values [${v.shape}] do not fit`,
    );
  }
  if (mask && !tf.util.arraysEqual(mask.shape, [batch, s])) {
    throw new RangeError(`attention: the mask is [${mask.shape}], not [${[batch, s]}]`);
  }
  if (fusedInCharge('LoomAttention', 'LoomAttentionGradient')) {
    const list = mask ? [q, k, v, mask] : [q, k, v];
    return run('LoomAttention', list as unknown as Named, { heads }) as tf.Tensor3D;
  }
  const split = (x: tf.Tensor3D) =>
    tf.transpose(tf.reshape(x, [batch, x.shape[1], heads, c / heads]), [0, 2, 1, 3]);
  let scores: tf.Tensor = tf.mul(tf.matMul(split(q), split(k), false, true), 1 / Math.sqrt(c / heads));
  let weights: tf.Tensor;
  if (mask) {
    const open = tf.reshape(mask, [batch, 1, 1, s]);
    const seen = tf.tile(open, [1, heads, t, 1]);
    scores = tf.where(seen, scores, tf.fill(scores.shape, -1e30));
    weights = tf.mul(tf.softmax(scores), tf.cast(tf.any(open, -1, true), 'float32'));
  } else {
    weights = tf.softmax(scores);
  }
  return tf.reshape(tf.transpose(tf.matMul(weights, split(v)), [0, 2, 1, 3]), [batch, t, c]);
}

tf.registerGradient({
  kernelName: 'LoomAttention',
  saveAllInputs: true,
  gradFunc: (dy, saved, attributes) => {
    const list = [dy as tf.Tensor, ...(saved as tf.Tensor[])];
    const [dq, dk, dv] = runMany('LoomAttentionGradient', list, { heads: attributes.heads as number });
    return { 0: () => dq, 1: () => dk, 2: () => dv };
  },
});
