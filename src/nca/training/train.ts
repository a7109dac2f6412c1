/** Trainings from beginning to end, on the GPU where that is the backend, else on the processor. */
import { type Gpu, GpuError } from '../../compute/gpu/index.ts';
import { gpuInUse, tellOnce } from '../../compute/index.ts';
import { UserError } from '../../config/index.ts';
import { onProcessor, type tf } from '../../tensor/index.ts';
import { GpuNcaTrainer } from '../gpu/trainer.ts';
import { isUnfit } from '../gpu/unfit.ts';
import type { NcaSpec } from '../spec.ts';
import {
  checkOptions,
  type NcaTrainingOptions,
  startOf,
  TRAINING_DEFAULTS,
  type Trainer,
  type TrainerState,
  type TrainingReport,
} from './options.ts';
import { NcaTrainer } from './trainer.ts';

/** What differs from the default settings, and how the training is watched, stopped and resumed. */
export interface TrainNcaOptions extends Partial<NcaTrainingOptions> {
  /** Called after every iteration, and waited for. */
  readonly onProgress?: (report: TrainingReport, trainer: Trainer) => void | Promise<void>;
  /** Ends training after the iteration in hand. */
  readonly signal?: AbortSignal;
  /** What the `state` of a trainer gave, to go on from. */
  readonly state?: Readonly<TrainerState>;
  /** The GPU to train on, or null for the processor; default: the one that `startBackend` opened, if it did. */
  readonly gpu?: Gpu | null;
}

/** What a training ended with. */
export interface TrainedNcas {
  /** [N * D] */
  readonly weights: Float32Array;
  /** Texture losses, one row [N] an iteration of this call. */
  readonly losses: readonly Float32Array[];
  /** False when the signal ended it early; `state` then holds what is needed to go on. */
  readonly finished: boolean;
  readonly state: TrainerState;
}

/** The trainer for a GPU; undefined when this training is not for it. */
async function gpuTrainer(
  gpu: Gpu,
  spec: NcaSpec,
  targets: tf.Tensor4D,
  options: NcaTrainingOptions,
): Promise<Trainer | undefined> {
  const { patches } = options.loss;
  if (!patches) {
    tellOnce(
      `the texture loss "${options.loss.name}" has no form for the GPU: this training runs on the processor`,
    );
    return undefined;
  }
  checkOptions(options);
  const [count, height, width] = targets.shape;
  const data = (await targets.data()) as Float32Array;
  try {
    const start = startOf(spec, options, count);
    return await GpuNcaTrainer.create(gpu, spec, { data, count, height, width }, options, patches, start);
  } catch (error) {
    if (!isUnfit(error)) throw error;
    gpu.faults.forgive();
    tellOnce(`${error.message}; the training runs on the processor`);
    return undefined;
  }
}

/** A fault of the GPU as the user is told it: what was saved is still there. */
const asUserError = (error: unknown) =>
  error instanceof GpuError
    ? new UserError(`${error.message}; what was saved last is kept, and the same command goes on from there`)
    : error;

/** One iteration; that of the processor's trainer reads its numbers as it goes. */
const step = (trainer: Trainer) =>
  trainer instanceof NcaTrainer ? onProcessor([], () => trainer.step()) : trainer.step();

/** Trains one NCA on each target [N, H, W, 3] (in [0, 1]) from beginning to end. */
export async function trainNca(
  spec: NcaSpec,
  targets: tf.Tensor4D,
  { onProgress, signal, state, gpu = gpuInUse(), ...options }: TrainNcaOptions = {},
): Promise<TrainedNcas> {
  let trainer: Trainer | undefined;
  try {
    const all = { ...TRAINING_DEFAULTS, ...options };
    trainer = gpu ? await gpuTrainer(gpu, spec, targets, all) : undefined;
    trainer ??= await onProcessor([targets], () => new NcaTrainer(spec, targets, options));
    if (state) trainer.restore(state);
    const losses: Float32Array[] = [];
    while (trainer.iteration < trainer.options.iterations && !signal?.aborted) {
      const report = await step(trainer);
      losses.push(report.losses);
      await onProgress?.(report, trainer);
      // Lets signals and timers in.
      await new Promise(resolve => setImmediate(resolve));
    }
    return {
      weights: await trainer.currentWeights(),
      losses,
      finished: trainer.iteration >= trainer.options.iterations,
      state: await trainer.state(),
    };
  } catch (error) {
    throw asUserError(error);
  } finally {
    trainer?.dispose();
  }
}
