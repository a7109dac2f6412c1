/** Kernels of one's own on tensors that lie on the GPU, beside `onMemory` for those in shared memory. */
import * as tf from '@tensorflow/tfjs-core';
import type { GpuBlock } from '../compute/index.ts';
import { loomGpuInCharge } from './loom-gpu/start.ts';

/**
 * Runs `body`, which encodes commands of the GPU, on the blocks of float32 `inputs` and of fresh `outputs`, which it must fill, and returns the
 * outputs as tensors. Nothing is copied or read. Not differentiable by itself: wrap it in tf.customGrad.
 * @throws Error unless the backend is loom-gpu
 */
export function onGpu(
  inputs: readonly tf.Tensor[],
  shapes: readonly (readonly number[])[],
  body: (inputs: GpuBlock[], outputs: GpuBlock[]) => void,
): tf.Tensor[] {
  const backend = loomGpuInCharge();
  if (!backend) throw new Error(`onGpu: the backend is ${tf.getBackend()}, not loom-gpu`);
  const made = shapes.map(shape => backend.output(shape));
  const tensors = made.map(info => tf.engine().makeTensorFromTensorInfo(info, backend as never));
  try {
    const blocks = backend.share([...inputs, ...made]);
    body(blocks.slice(0, inputs.length), blocks.slice(inputs.length));
    backend.gpu.flush();
  } catch (error) {
    tf.dispose(tensors);
    throw error;
  }
  return tensors;
}
