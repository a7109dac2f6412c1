/** Kernels of one's own on tensors: by address, whichever backend runs. */
import * as tf from '@tensorflow/tfjs-core';
import { allocate, f32, i32, release, u8 } from '../compute/index.ts';
import { loomInCharge } from './loom/loom-backend.ts';

type NumberType = 'float32' | 'int32' | 'bool';

/** Shape and type of a tensor that a kernel fills. */
export interface OutputSpec {
  readonly shape: readonly number[];
  /** Default float32. */
  readonly dtype?: NumberType;
}

/** Where a tensor's numbers begin in shared memory. Throws unless the loom backend runs; `onMemory` works on every backend. */
export function addressOf(tensor: tf.TensorInfo): number {
  const backend = loomInCharge();
  if (!backend) throw new Error(`addressOf: the backend is ${tf.getBackend()}, not loom`);
  return backend.address(tensor);
}

/** A tensor whose contents are whatever its memory held (loom), or zeros; fill it through `addressOf`. */
export function uninitialised(shape: readonly number[], dtype: NumberType = 'float32'): tf.Tensor {
  const backend = loomInCharge();
  if (!backend) return tf.zeros([...shape], dtype);
  return tf.engine().makeTensorFromTensorInfo(backend.output([...shape], dtype), backend);
}

const view = (address: number, length: number, dtype: string) =>
  dtype === 'float32' ? f32(address, length) : dtype === 'int32' ? i32(address, length) : u8(address, length);

/**
 * Runs `body` on the addresses of `inputs` and of fresh, uninitialised `outputs`, which it must fill, and returns the outputs as
 * tensors. Nothing is copied when the loom backend runs; on any other the numbers are copied to shared memory and back. Not
 * differentiable by itself: wrap it in tf.customGrad. When `body` throws, the outputs are released.
 */
export function onMemory(
  inputs: readonly tf.Tensor[],
  outputs: readonly OutputSpec[],
  body: (inputs: number[], outputs: number[]) => void,
): tf.Tensor[] {
  if (loomInCharge()) {
    const made: tf.Tensor[] = [];
    try {
      for (const { shape, dtype } of outputs) made.push(uninitialised(shape, dtype));
      body(inputs.map(addressOf), made.map(addressOf));
    } catch (error) {
      tf.dispose(made);
      throw error;
    }
    return made;
  }
  const held: number[] = [];
  const hold = (length: number) => {
    held.push(allocate(length * 4));
    return held[held.length - 1];
  };
  try {
    const from = inputs.map(tensor => {
      const address = hold(tensor.size);
      view(address, tensor.size, tensor.dtype).set(tensor.dataSync());
      return address;
    });
    const sizes = outputs.map(({ shape }) => tf.util.sizeFromShape([...shape]));
    const to = sizes.map(hold);
    body(from, to);
    return outputs.map(({ shape, dtype = 'float32' }, i) =>
      tf.tensor(view(to[i], sizes[i], dtype).slice(), [...shape], dtype),
    );
  } finally {
    held.forEach(release);
  }
}
