/** Work that reads its numbers as it goes: measures of pictures, audits, frozen features. With loom-gpu it runs on loom. */
import * as tf from '@tensorflow/tfjs-core';
import { loomGpuInCharge } from './loom-gpu/start.ts';

/**
 * Runs `work` with a backend whose numbers can be read at once: loom while the backend is loom-gpu, else the one that runs. tfjs moves the tensors
 * that are used; `inputs` are those that may lie on the GPU.
 */
export async function onProcessor<A>(inputs: readonly tf.Tensor[], work: () => A | Promise<A>): Promise<A> {
  if (!loomGpuInCharge()) return work();
  // What has been read is known, and can then be moved at once.
  await Promise.all(inputs.map(x => x.data()));
  await tf.setBackend('loom');
  try {
    return await work();
  } finally {
    await tf.setBackend('loom-gpu');
  }
}

/** `onProcessor` for work that cannot be waited for, and whose tensors are made of numbers of the processor. */
export function onProcessorNow<A>(work: () => A): A {
  if (!loomGpuInCharge()) return work();
  // tfjs changes to a backend that it has before the promise is given.
  void tf.setBackend('loom');
  try {
    return work();
  } finally {
    void tf.setBackend('loom-gpu');
  }
}
