/** How operators of ours reach kernels of ours. */
import * as tf from '@tensorflow/tfjs-core';
import { loomInCharge } from './loom/loom-backend.ts';
import { loomGpuWith } from './loom-gpu/start.ts';

export type Named = tf.NamedTensorMap;

/** Whether the backend has these kernels of ours: those of an operator and of its gradient. */
export const fusedInCharge = (...names: readonly string[]): boolean =>
  loomInCharge() !== undefined || loomGpuWith(...names) !== undefined;

/** Runs a kernel of one output. */
export const run = (name: string, inputs: Named, attributes: tf.NamedAttrMap = {}): tf.Tensor =>
  tf.engine().runKernel(name, inputs, attributes);

/** Runs a kernel of several outputs. In a gradient function it runs at once for all inputs; what nobody asks for goes with the scope. */
export const runMany = (
  name: string,
  inputs: Named | tf.Tensor[],
  attributes: tf.NamedAttrMap = {},
): tf.Tensor[] => tf.engine().runKernel(name, inputs as Named, attributes) as unknown as tf.Tensor[];

/**
 * An operator that keeps tensors for its gradient without giving them out: for an output that nobody uses, tfjs makes a gradient of zeros.
 * @param run gives the result and what is to be kept  @param gradient gives the gradients to all inputs from dy and what was kept
 */
export function operator(
  inputs: readonly tf.Tensor[],
  run: () => [result: tf.Tensor, ...kept: tf.Tensor[]],
  gradient: (dy: tf.Tensor, kept: tf.Tensor[]) => tf.Tensor[],
): tf.Tensor {
  return tf.customGrad((...args) => {
    const [value, ...kept] = run();
    (args.at(-1) as unknown as tf.GradSaveFunc)(kept);
    return { value, gradFunc: gradient };
  })(...inputs);
}
