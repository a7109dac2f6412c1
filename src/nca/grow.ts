/** Rollouts whose gradient nobody wants, where they run fastest: on the GPU that is the backend, or on the processor. */
import { breathe, gpuInUse, tellOnce } from '../compute/index.ts';
import { onProcessor, tf } from '../tensor/index.ts';
import { GpuEngine } from './gpu/engine.ts';
import { isUnfit } from './gpu/unfit.ts';
import { type RolloutOptions, rollout } from './rollout.ts';
import { type NcaSpec, weightCount } from './spec.ts';

/** Cell-steps below which the way to the GPU and back (about a millisecond) costs more than the processor's threads: bench/README.md. */
const FEWEST = 2 ** 15;

/** Products of weights and cells between two turns of the event loop: a fraction of a second of a processor. */
const PIECE = 4e9;

/** A rollout that can be stopped. */
export interface GrowOptions extends RolloutOptions {
  /** When raised, the rollout rejects with its reason. */
  readonly signal?: AbortSignal;
}

/** `rollout` on the processor, in pieces that go on from one another: the same numbers as at once, with turns of the event loop in between. */
async function inPieces(
  spec: NcaSpec,
  weights: tf.Tensor2D,
  state: tf.Tensor4D,
  { signal, ...options }: GrowOptions,
): Promise<tf.Tensor4D> {
  const { steps, firstStep = 0 } = options;
  const [batch, height, width] = state.shape;
  const most = Math.max(1, Math.floor(PIECE / (batch * height * width * weightCount(spec))));
  // Masks that are given are those of all steps.
  if (options.masks || !(steps > most)) return rollout(spec, weights, state, options);
  let reached = state;
  for (let done = 0; done < steps; done += most) {
    const some = { ...options, steps: Math.min(most, steps - done), firstStep: firstStep + done };
    const before = reached;
    try {
      await breathe(signal);
      reached = rollout(spec, weights, before, some);
    } finally {
      if (before !== state) before.dispose();
    }
  }
  return reached;
}

/**
 * `rollout`, not differentiable: `steps` steps from `state` on the GPU where that is the backend and the work is worth the way there.
 * @param weights [B, D], one NCA per sample, or [1, D], one for all
 * @param state [B, H, W, C]
 * @returns [B, H, W, C]
 * @throws Error when shapes, seeds or steps do not fit; GpuError when the GPU fails; the signal's reason when it is raised
 */
export async function grow(
  spec: NcaSpec,
  weights: tf.Tensor2D,
  state: tf.Tensor4D,
  options: GrowOptions,
): Promise<tf.Tensor4D> {
  const [batch, height, width] = state.shape;
  const gpu = gpuInUse();
  // With loom-gpu the numbers are there already.
  const worthIt = tf.getBackend() === 'loom-gpu' || batch * height * width * options.steps >= FEWEST;
  const here = () => onProcessor([weights, state], () => inPieces(spec, weights, state, options));
  if (!gpu || !worthIt || weights.rank !== 2) return here();
  const { steps, seeds, firstStep, masks } = options;
  const [numbers, first] = (await Promise.all([weights.data(), state.data()])) as Float32Array[];
  try {
    const task = {
      spec,
      batch,
      height,
      width,
      weights: numbers,
      state: first,
      steps,
      seeds,
      firstStep,
      masks,
    };
    const run = await new GpuEngine(gpu).run(task);
    run.dispose();
    return tf.tensor4d(run.last, state.shape);
  } catch (error) {
    if (!isUnfit(error)) throw error;
    gpu.faults.forgive();
    tellOnce(`${error.message}; such NCAs run on the processor`);
    return here();
  }
}
