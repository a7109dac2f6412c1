/** How far what NCAs grow is from their textures, differentiable with respect to their weights, on whichever engine runs. */
import { gpuInUse, tellOnce } from '../compute/index.ts';
import { onGpu, onProcessor, type RandomStream, tf } from '../tensor/index.ts';
import { GpuGrown } from './gpu/grown.ts';
import { isUnfit } from './gpu/unfit.ts';
import { rollout, seedState, toRgb } from './rollout.ts';
import type { NcaSpec } from './spec.ts';
import type { TextureLoss } from './texture-loss.ts';

/** NCAs that grow from the seed state, one towards each target. */
export interface GrownTextureTask {
  readonly spec: NcaSpec;
  readonly texture: TextureLoss;
  /** [rows, size, size, 3] */
  readonly targets: Float32Array;
  readonly rows: number;
  readonly size: number;
  readonly steps: number;
  /** Mask seeds, one a row. */
  readonly seeds: readonly number[];
  /** Factor of mean |x - clip(x, -1, 1)| over a final state in the total. */
  readonly overflow: number;
  /** Makes the stream of what the texture loss draws; every call gives the same. */
  readonly random: () => RandomStream;
}

/** A measurement that is ready to be made, once. */
export interface GrownTexture {
  /**
   * @param weights [rows, D], those that `grownTexture` was shown
   * @returns [2, rows]: totals, which are differentiable, and the texture losses in them
   */
  measure(weights: tf.Tensor2D): tf.Tensor2D;
  /** When the gradient has been taken. */
  release(): void;
}

/** As tensors of any backend that has numbers at hand. */
function onTensors({ spec, texture, targets, rows, size, ...task }: GrownTextureTask): GrownTexture {
  const { steps, seeds, overflow, random } = task;
  const pictures = tf.tensor4d(targets, [rows, size, size, 3]);
  const prepared = texture.prepare(pictures);
  pictures.dispose();
  return {
    measure(weights) {
      const state = rollout(spec, weights, seedState(spec, rows, size, size), { steps, seeds });
      const losses = prepared.loss(toRgb(spec, state), random());
      const beyond = tf.mean(tf.relu(tf.sub(tf.abs(state), 1)), [1, 2, 3]) as tf.Tensor1D;
      return tf.stack([tf.add(losses, tf.mul(overflow, beyond)), losses]) as tf.Tensor2D;
    },
    release: () => prepared.dispose(),
  };
}

/** The operator of what is measured together with its gradient: [2, rows] and [rows, D]. */
function operator(measured: (weights: tf.Tensor2D) => [numbers: tf.Tensor2D, gradient: tf.Tensor2D]) {
  return (weights: tf.Tensor2D): tf.Tensor2D =>
    tf.customGrad((...inputs) => {
      const save = inputs.pop() as unknown as tf.GradSaveFunc;
      const [value, slope] = measured(inputs[0] as tf.Tensor2D);
      save([slope]);
      return {
        value,
        gradFunc: (dy: tf.Tensor, [kept]: tf.Tensor[]) =>
          tf.mul(kept, tf.reshape(tf.slice(dy, [0, 0], [1, -1]), [-1, 1])),
      };
    })(weights) as tf.Tensor2D;
}

/** On the tensors of loom-gpu, without leaving the GPU. */
const onDevice = (grown: GpuGrown, { rows, overflow, random }: GrownTextureTask): GrownTexture => ({
  measure: operator(weights => {
    const shapes = [[rows], [rows], weights.shape];
    const [losses, beyond, gradient] = onGpu([weights], shapes, ([from], to) => {
      const { gpu } = grown;
      const made = grown.measure(from, random());
      const blocks = [made.texture, made.overflow, made.gradient];
      for (const [i, block] of blocks.entries()) gpu.copy(block, to[i], to[i].bytes);
      gpu.release(...blocks);
    });
    const totals = tf.add(losses, tf.mul(overflow, beyond));
    return [tf.stack([totals, losses]) as tf.Tensor2D, gradient as tf.Tensor2D];
  }),
  release: () => grown.dispose(),
});

/** Of numbers [2, rows] and their gradient [rows, D] that are known already. */
const known = (numbers: Float32Array, gradient: Float32Array, rows: number): GrownTexture => ({
  measure: operator(weights => [tf.tensor2d(numbers, [2, rows]), tf.tensor2d(gradient, weights.shape)]),
  release() {},
});

/** Measured on the GPU, whose numbers can only be waited for. */
async function waited(grown: GpuGrown, task: GrownTextureTask, weights: Float32Array): Promise<GrownTexture> {
  const { gpu } = grown;
  const flat = gpu.upload(weights, 'NCA weights');
  const made = grown.measure(flat, task.random());
  try {
    const { rows, overflow } = task;
    const losses = await gpu.numbers(made.texture, rows);
    const beyond = await gpu.numbers(made.overflow, rows);
    const numbers = new Float32Array(2 * rows);
    numbers.set(losses, rows);
    for (let row = 0; row < rows; row++) numbers[row] = losses[row] + overflow * beyond[row];
    return known(numbers, await gpu.numbers(made.gradient, weights.length), rows);
  } finally {
    gpu.release(flat, made.texture, made.overflow, made.gradient);
    grown.dispose();
  }
}

/** Measured on the processor while tensors are on the GPU. */
async function onLoom(task: GrownTextureTask, weights: tf.Tensor2D): Promise<GrownTexture> {
  return onProcessor([weights], async () => {
    const ready = onTensors(task);
    let numbers = new Float32Array();
    const gradient = tf.tidy(() =>
      Float32Array.from(
        tf
          .grad(w => {
            const measured = ready.measure(w as tf.Tensor2D);
            numbers = Float32Array.from(measured.dataSync());
            return tf.sum(tf.slice(measured, [0, 0], [1, -1]));
          })(weights)
          .dataSync(),
      ),
    );
    ready.release();
    return known(numbers, gradient, task.rows);
  });
}

/**
 * Makes ready: compiles, and where numbers have to be waited for (NCAs on a GPU, all else on the processor) measures. The GPU that is the backend
 * runs the NCAs and their texture loss, forward and backward; where it cannot, that is said once and the processor does.
 * @param weights gives the weights [rows, D] that will be measured, when they are wanted beforehand; they are disposed of
 * @throws GpuError when the GPU fails
 */
export async function grownTexture(
  task: GrownTextureTask,
  weights: () => tf.Tensor2D,
): Promise<GrownTexture> {
  const gpu = gpuInUse();
  if (!gpu) return onTensors(task);
  const { spec, texture, targets, rows, size, steps, seeds, overflow } = task;
  const tensorsThere = tf.getBackend() === 'loom-gpu';
  const { patches } = texture;
  if (!patches) {
    tellOnce(
      `the texture loss "${texture.name}" has no form for the GPU: rollouts under it run on the processor`,
    );
  } else {
    try {
      const sizes = { rows, height: size, width: size, steps, seeds, overflow };
      const grown = await GpuGrown.prepare(gpu, { spec, patches, targets, ...sizes });
      if (tensorsThere) return onDevice(grown, task);
      const given = weights();
      const numbers = (await given.data()) as Float32Array;
      given.dispose();
      return await waited(grown, task, numbers);
    } catch (error) {
      if (!isUnfit(error)) throw error;
      gpu.faults.forgive();
      tellOnce(`${error.message}; the loss through the rollout runs on the processor`);
    }
  }
  if (!tensorsThere) return onTensors(task);
  const given = weights();
  try {
    return await onLoom(task, given);
  } finally {
    given.dispose();
  }
}
