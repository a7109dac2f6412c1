/** Work that reads its numbers as it goes: measures of pictures, audits. With loom-gpu it runs on loom. */
import * as tf from '@tensorflow/tfjs-core';
import { loomGpuInCharge } from './loom-gpu/start.ts';

/**
 * Runs `work` with a backend whose numbers can be read at once: loom while the backend is loom-gpu, else the one that runs. tfjs moves the tensors
 * that are used; `inputs` are those that may lie on the GPU.
 */
export async function onProcessor<A>(inputs: readonly tf.Tensor[], work: () => Promise<A>): Promise<A> {
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
