/** The training loop: batches until the steps or the time are spent, with validation, checkpoints and a way to stop. */
import { GpuError } from '../compute/index.ts';
import type { Encoder } from '../conditioning/index.ts';
import { refuse, UserError } from '../config/index.ts';
import type { Denoiser } from '../denoisers/index.ts';
import type { Diffusion, Normaliser } from '../diffusion/index.ts';
import { weightCount } from '../nca/index.ts';
import { type Augmentation, type Batch, batches, type TrainingData } from './batches.ts';
import { type CheckpointOptions, checkpointSteps, checkpoints } from './checkpoints.ts';
import { learningRateAt } from './learning-rate.ts';
import type { RolloutLoss } from './rollout-loss.ts';
import { TRAINING_DEFAULTS, type TrainingSettings } from './settings.ts';
import { type MadeStep, type StepOutcome, Trainer } from './trainer.ts';
import { type ValidationLoss, validationLoss } from './validation.ts';

/** What one training step gave, and how far the training is. */
export interface StepRecord extends StepOutcome {
  /** Updates made, this one included. */
  readonly step: number;
  readonly steps: number;
  /** Training time so far. */
  readonly seconds: number;
  /** Share of the training done, by steps or time, whichever is further. */
  readonly progress: number;
  readonly learningRate: number;
  /** Mean loss by noise bin over this batch; NaN for bins it has no sample in. */
  binLosses(bins: number): Float64Array;
}

/** What is trained, on what, under which settings, and how it is watched, saved and stopped. */
export interface TrainOptions {
  readonly denoiser: Denoiser;
  /** Null when there are no features. */
  readonly encoder: Encoder | null;
  readonly diffusion: Diffusion;
  readonly normaliser: Normaliser;
  readonly data: TrainingData;
  /** Held-out samples for the validation loss. */
  readonly validation?: TrainingData;
  /** What differs from `TRAINING_DEFAULTS`. */
  readonly settings?: Partial<TrainingSettings>;
  /** Default: none. */
  readonly augmentation?: Augmentation;
  /** A loss through the rollout beside the denoising loss. */
  readonly rollout?: RolloutLoss;
  /** Default: no checkpoints. */
  readonly checkpoint?: CheckpointOptions;
  /** Told of every update, in order; with loom-gpu of some at a time, when their losses have been read. */
  readonly onStep?: (record: StepRecord) => void;
  /** With the final average in place, as when sampling. */
  readonly onValidation?: (loss: ValidationLoss, step: number) => void;
  /** Called every `everySteps` with the final average in the denoiser, to sample on the way. Its time is not counted. */
  readonly preview?: { readonly everySteps: number; readonly show: (step: number) => Promise<void> };
  /** When raised, the step is finished, a checkpoint written (if asked for), and the loop returns. */
  readonly signal?: AbortSignal;
}

/** How a training ended. */
export interface TrainingResult {
  /** Updates made, those before a resumption included. */
  readonly steps: number;
  /** Training time, validation and callbacks not counted. */
  readonly seconds: number;
  /** What ended it: `time` where `seconds` did, `non-finite` where loss or gradient was not finite. */
  readonly stopped: 'steps' | 'time' | 'interrupted' | 'non-finite';
  /** The last one; null without held-out samples. */
  readonly validation: ValidationLoss | null;
  /** Where the batch and state of a non-finite loss were saved. */
  readonly studyFolder?: string;
}

/** A step whose loss has not been read. */
interface Waiting {
  readonly made: MadeStep;
  readonly batch: Batch;
  readonly step: number;
  readonly learningRate: number;
}

/** Steps whose losses lie on a GPU are told of when so much time has passed, at the latest. */
const UNREAD_MS = 200;

/**
 * Trains the denoiser (and the encoder's trained part) in place. At the end their variables hold the moving average
 * `finalAverage`. The same settings and seed give the same weights, whether interrupted and resumed or not (unless time ends it).
 *
 *     const { steps, stopped } = await trainDenoiser({
 *       denoiser, encoder, diffusion, normaliser,
 *       data: { weights: train.weights, features: await train.features.data() },
 *       settings: { steps: 1000, batch: 32 },
 *     });
 *     if (stopped === 'non-finite') throw new UserError(`the loss is not finite at step ${steps + 1}`);
 *
 * @returns how it ended. Neither a raised signal nor a loss or gradient that is not finite throws: `stopped` says `interrupted` or `non-finite`, and
 *   the step at fault is not made.
 * @throws UserError when a checkpoint does not fit or cannot be read or written
 */
export async function trainDenoiser(options: TrainOptions): Promise<TrainingResult> {
  const settings: TrainingSettings = { ...TRAINING_DEFAULTS, ...options.settings };
  const { denoiser, encoder, diffusion, normaliser, data, validation, signal } = options;
  const size = weightCount(denoiser.spec);
  if (diffusion.prior && options.augmentation)
    refuse(
      'training',
      'no augmentation where the process has a prior, which is fitted to the NCAs as they are',
      options.augmentation.name,
      { field: 'augmentation' },
    );
  if (denoiser.conditionOnly && diffusion.name !== 'regression')
    refuse(
      'training',
      `regression for ${denoiser.name}, which answers from its condition alone`,
      diffusion.name,
      { field: 'process' },
    );
  if (diffusion.prior && data.features && !data.means)
    throw new Error('a process with a prior is trained beside its cross-fitted means');
  const trainer = new Trainer({
    denoiser,
    encoder,
    diffusion,
    adam: settings,
    clip: settings.clip ?? Number.POSITIVE_INFINITY,
    averages: settings.averages,
    microBatch: settings.microBatch ?? undefined,
    rollout: options.rollout,
  });
  const final = trainer.averages.find(({ sigmaRel }) => sigmaRel === settings.finalAverage);
  if (settings.finalAverage !== null && !final) {
    throw new Error(`no moving average of width ${settings.finalAverage} is kept`);
  }
  const store = options.checkpoint && checkpoints(trainer, options.checkpoint);
  const batchAt = batches({
    ...settings,
    size,
    data,
    diffusion,
    normaliser,
    augmentation: options.augmentation,
  });
  const validate = () =>
    trainer.withAverage(final, () =>
      validationLoss(trainer, { diffusion, denoiser }, validation!, size, {
        seed: settings.seed,
        bins: settings.validationBins,
        batch: settings.microBatch ?? settings.batch,
        normalise: normaliser.normalise,
      }),
    );

  try {
    let seconds = (await store?.resume()) ?? 0;
    let latest: { step: number; loss: ValidationLoss } | null = null;
    const outcome = (stopped: TrainingResult['stopped'], studyFolder?: string): TrainingResult => ({
      steps: trainer.step,
      seconds,
      stopped,
      validation: latest?.loss ?? null,
      studyFolder,
    });
    const progress = () =>
      Math.max(trainer.step / settings.steps, seconds / (settings.seconds ?? Number.POSITIVE_INFINITY));

    const unread: Waiting[] = [];
    let lastRead = performance.now();
    /** Tells of the steps made since the last time; gives the end of the training when one of them was none. */
    const read = async (): Promise<TrainingResult | undefined> => {
      const started = performance.now();
      const outcomes = await Promise.all(unread.map(({ made }) => made.read()));
      lastRead = performance.now();
      seconds += (lastRead - started) / 1000;
      for (const [i, { batch, step, learningRate }] of unread.splice(0).entries()) {
        const result = outcomes[i];
        if (!result.finite)
          return outcome('non-finite', await store?.saveForStudy(batch, seconds, result.loss));
        options.onStep?.({
          ...result,
          step,
          steps: settings.steps,
          seconds,
          progress: progress(),
          learningRate,
          binLosses: bins => byBin(batch.levels, result.losses, bins, diffusion),
        });
      }
      return undefined;
    };

    while (progress() < 1 && !signal?.aborted) {
      const started = performance.now();
      const batch = batchAt(trainer.step);
      const before = progress();
      const learningRate = learningRateAt(
        { base: settings.learningRate, warmup: settings.warmup, decay: settings.decay },
        trainer.step,
        before,
      );
      const made = await trainer.update(batch, learningRate);
      seconds += (performance.now() - started) / 1000;
      const { step } = trainer;
      unread.push({ made, batch, step, learningRate });
      const validating = validation && settings.validateEvery && step % settings.validateEvery === 0;
      const showing = options.preview && step % options.preview.everySteps === 0;
      const saving = store?.due();
      const enough = unread.length >= trainer.unread || performance.now() - lastRead > UNREAD_MS;
      if (enough || validating || showing || saving || progress() >= 1) {
        const lost = await read();
        if (lost) return lost;
      }
      if (validating) {
        latest = { step, loss: await validate() };
        options.onValidation?.(latest.loss, step);
      }
      if (showing) await trainer.withAverage(final, () => options.preview!.show(step));
      if (saving) await store?.save(seconds);
      // Lets Ctrl-C and other events in.
      await new Promise(resolve => setImmediate(resolve));
    }

    const lost = await read();
    if (lost) return lost;
    await store?.save(seconds);
    if (progress() < 1) return outcome('interrupted');
    if (validation && latest?.step !== trainer.step) {
      latest = { step: trainer.step, loss: await validate() };
      options.onValidation?.(latest.loss, trainer.step);
    }
    final?.swap();
    return outcome(trainer.step >= settings.steps ? 'steps' : 'time');
  } catch (error) {
    throw withCheckpoint(error, options.checkpoint);
  } finally {
    trainer.dispose();
  }
}

/** A fault of the GPU as a user is told it: with what is left of the training. */
function withCheckpoint(error: unknown, checkpoint?: CheckpointOptions): unknown {
  if (!(error instanceof GpuError) || !checkpoint) return error;
  const step = checkpointSteps(checkpoint.folder).at(-1);
  const left =
    step === undefined ? 'no checkpoint had been written' : `its checkpoint of step ${step} is kept`;
  return new UserError(`${error.message}; the training ends, ${left}`);
}

function byBin(levels: Float64Array, losses: Float32Array, bins: number, diffusion: Diffusion): Float64Array {
  const sums = new Float64Array(bins);
  const counts = new Float64Array(bins);
  levels.forEach((level, row) => {
    const bin = diffusion.binOf(level, bins);
    sums[bin] += losses[row];
    counts[bin]++;
  });
  return sums.map((sum, bin) => sum / counts[bin]);
}
