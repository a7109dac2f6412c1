/** What a block of edges hears, in one operator with its own gradient. */
import * as tf from '@tensorflow/tfjs-core';
import { fusedInCharge } from './run-kernel.ts';

/**
 * relu(edges W + outer + inner), each edge between a node of the outer and one of the inner axis: the linear layer on the joined features
 * of an edge and its ends (Battaglia et al. 2018), the ends' share computed once per node. Only the result is kept for the backward
 * pass; the plain form keeps three tensors of its size.
 * @param edges [B, O, I, F]  @param weight [F, H]
 * @param outer [B or 1, O, H] or null  @param inner [B or 1, I, H] or null
 * @returns [B, O, I, H]
 */
export function edgeMessage(
  edges: tf.Tensor4D,
  weight: tf.Tensor2D,
  outer: tf.Tensor3D | null,
  inner: tf.Tensor3D | null,
): tf.Tensor4D {
  const [batch, outers, inners, features] = edges.shape;
  const width = weight.shape[1];
  const fits = (end: tf.Tensor3D | null, count: number) =>
    !end ||
    ((end.shape[0] === batch || end.shape[0] === 1) && end.shape[1] === count && end.shape[2] === width);
  if (weight.shape[0] !== features || !fits(outer, outers) || !fits(inner, inners)) {
    throw new RangeError(
      `edgeMessage: edges [${edges.shape}], weight [${weight.shape}] and ends [${outer?.shape}], [${inner?.shape}] do not fit`,
    );
  }
  if (fusedInCharge('LoomEdgeMessage', 'LoomEdgeMessageGradient', 'LoomLinearInput', 'LoomLinearWeight')) {
    const inputs = { edges, weight, ...(outer && { outer }), ...(inner && { inner }) };
    const attributes = { outerBatch: outer?.shape[0] ?? 0, innerBatch: inner?.shape[0] ?? 0 };
    return tf.engine().runKernel('LoomEdgeMessage', inputs as tf.NamedTensorMap, attributes) as tf.Tensor4D;
  }
  let sum: tf.Tensor = tf.reshape(tf.matMul(tf.reshape(edges, [-1, features]), weight), [
    batch,
    outers,
    inners,
    width,
  ]);
  if (outer) sum = tf.add(sum, tf.expandDims(outer, 2));
  if (inner) sum = tf.add(sum, tf.expandDims(inner, 1));
  return tf.relu(sum) as tf.Tensor4D;
}

tf.registerGradient({
  kernelName: 'LoomEdgeMessage',
  inputsToSave: ['edges', 'weight'],
  outputsToSave: [true],
  gradFunc: (dy, saved, attributes) => {
    const [edges, weight, y] = saved as tf.Tensor[];
    const run = (name: string, inputs: tf.NamedTensorMap, attrs: tf.NamedAttrMap = {}) =>
      tf.engine().runKernel(name, inputs, attrs);
    const [g, outer, inner] = run(
      'LoomEdgeMessageGradient',
      { dy: dy as tf.Tensor, y },
      attributes,
    ) as unknown as tf.Tensor[];
    return {
      edges: () => run('LoomLinearInput', { dy: g, weight }) as tf.Tensor,
      weight: () => run('LoomLinearWeight', { x: edges, dy: g }) as tf.Tensor,
      outer: () => outer,
      inner: () => inner,
    };
  },
});
