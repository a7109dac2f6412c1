/** A training from its configuration: zoo, pictures and models made ready, and what it would take. */
import { type Encoder, fitStandardiser, type Standardiser } from '../../conditioning/index.ts';
import { zooHash } from '../../data/index.ts';
import type { Denoiser } from '../../denoisers/index.ts';
import { type Diffusion, type Normaliser, prepareDiffusion } from '../../diffusion/index.ts';
import {
  finiteOrbit,
  type PatchOptions,
  patchSlicedWasserstein,
  type TextureLoss,
  weightCount,
} from '../../nca/index.ts';
import { type Progress, withBar } from '../../runs/index.ts';
import { tf } from '../../tensor/index.ts';
import {
  type Augmentation,
  batches,
  featureOrbit,
  type RolloutLoss,
  rolloutLoss,
  symmetryAugmentation,
  Trainer,
  type TrainingData,
} from '../../training/index.ts';
import { openStudy, type Study, type StudySet, zooFolder } from '../study.ts';
import type { TrainConfig } from './config.ts';
import { buildDenoiser, buildEncoder } from './model.ts';

/** All that a configuration stands for, ready to train. Dispose it when done. */
export interface TrainingJob {
  readonly config: TrainConfig;
  /** The zoo it trains on. Disposed of with the job. */
  readonly study: Study;
  readonly denoiser: Denoiser;
  /** Null when trained without condition. */
  readonly encoder: Encoder | null;
  readonly diffusion: Diffusion;
  readonly normaliser: Normaliser;
  /** Of the features; null when trained without condition. */
  readonly standardiser: Standardiser | null;
  /** [D] normalised weights of the zoo's base; null when it has none. */
  readonly anchor: Float32Array | null;
  /** The training set, and the held-out one for the validation loss. */
  readonly data: TrainingData;
  readonly validation: TrainingData;
  readonly augmentation: Augmentation | undefined;
  readonly rollout: RolloutLoss | undefined;
  /** SHA-256 over everything of the zoo that training sees. */
  readonly dataHash: string;
  dispose(): void;
}

/** How the making ready is watched and stopped. */
export interface PrepareTrainingOptions {
  readonly signal?: AbortSignal;
  readonly progress?: (label: string, total: number) => Progress;
}

/**
 * Opens the zoo, encodes its pictures, fits the prior where there is one and builds the models. `where` names the configuration in failures. Throws the
 * signal's reason when interrupted.
 */
export async function prepareTraining(
  config: TrainConfig,
  where: string,
  { signal, progress = () => ({ update() {}, stop() {} }) }: PrepareTrainingOptions = {},
): Promise<TrainingJob> {
  const { seed } = config;
  const built = await buildEncoder(config.encoder ?? { kind: 'random-gram' }, seed);
  const study = await withBar(progress, 'encode pictures', onProgress =>
    openStudy({
      signal,
      onProgress,
      zoo: zooFolder(config.zoo),
      encoder: built,
      size: config.pictureSize ?? undefined,
      picture: config.picture ?? undefined,
      limit: { train: config.limit.train ?? undefined, heldOut: config.limit.heldOut ?? undefined },
    }),
  );
  const { spec, train, heldOut, zoo, size } = study;
  const encoder = config.encoder ? study.encoder : null;
  const {
    diffusion,
    normaliser,
    config: process,
    means,
  } = await withBar(progress, 'fit the prior', async onProgress =>
    prepareDiffusion(
      config.diffusion,
      spec,
      train.weights,
      encoder && ((await train.features.data()) as Float32Array),
      { shared: config.normaliser, where: `${where}: diffusion`, signal, onProgress },
    ),
  );
  const anchor = zoo.base && normaliser.normalise(zoo.base);
  const denoiser = await buildDenoiser(config.denoiser, spec, encoder, anchor, seed);
  const dataOf = async (set: StudySet) => ({
    weights: set.weights,
    features: encoder && ((await set.features.data()) as Float32Array),
    images: (await set.pictures.data()) as Float32Array,
  });
  const data: TrainingData = { ...(await dataOf(train)), means };
  const unseen = await dataOf(heldOut);
  return {
    config: { ...config, diffusion: process },
    study,
    denoiser,
    encoder,
    diffusion,
    normaliser,
    standardiser: encoder && (await fitStandardiser(train.features)),
    anchor,
    data,
    validation: {
      ...unseen,
      means: unseen.features && diffusion.prior ? diffusion.prior.means(unseen.features) : null,
    },
    augmentation: augmentationOf(config, study, encoder, data),
    rollout: config.rollout
      ? rolloutLoss({
          ...config.rollout,
          spec,
          texture: textureLossFor(size),
          normaliser,
          diffusion,
          seed,
          imageSize: size,
          from: Math.round(config.rollout.from * config.training.steps),
          rows: config.rollout.rows ?? undefined,
          clip: config.rollout.clip ?? Number.POSITIVE_INFINITY,
        })
      : undefined,
    dataHash: zooHash(zoo),
    dispose() {
      denoiser.dispose();
      built.dispose();
      study.dispose();
    },
  };
}

/** The texture loss for pictures of this side: as many scales, up to 3, as leave room for a patch of 5 pixels. */
export const textureLossFor = (size: number, options: Partial<PatchOptions> = {}): TextureLoss =>
  patchSlicedWasserstein({
    ...options,
    scales: Math.min(3, Math.max(1, 1 + Math.floor(Math.log2(size / 5)))),
  });

function augmentationOf(
  { augmentation }: TrainConfig,
  { spec, size }: Study,
  encoder: Encoder | null,
  { images }: TrainingData,
): Augmentation | undefined {
  if (!augmentation) return undefined;
  const { groups, cached } = augmentation;
  const orbit =
    cached.length > 0 && encoder
      ? featureOrbit(spec, finiteOrbit(spec, cached), images!, size, encoder)
      : undefined;
  return symmetryAugmentation({ spec, groups, condition: orbit ?? encoder ?? undefined });
}

/** The sizes of a training, and the time it would take here. */
export interface TrainingPlan {
  /** Numbers that are trained. */
  readonly parameters: { readonly denoiser: number; readonly encoder: number };
  /** D, weights of an NCA. */
  readonly weights: number;
  /** NCAs of each split. */
  readonly train: number;
  readonly heldOut: number;
  readonly steps: number;
  /** How often each training NCA is seen. */
  readonly epochs: number;
  /** Measured on this machine over a few steps that are then undone. */
  readonly secondsPerStep: number;
  /** The whole training, without validation and previews. */
  readonly seconds: number;
}

/** What the training would be: sizes, and the time it would take. The variables stay as they are. */
export async function planTraining(job: TrainingJob): Promise<TrainingPlan> {
  const { config, denoiser, encoder, study, data } = job;
  const { training } = config;
  const size = weightCount(study.spec);
  const trainer = new Trainer({
    ...job,
    clip: 1,
    averages: training.averages,
    microBatch: training.microBatch ?? undefined,
  });
  const batchAt = batches({ ...job, ...training, seed: config.seed, size });
  // Most of the training runs with the rollout loss once it has begun: time a step that has it, if there is one.
  const late = Math.round((config.rollout?.from ?? 0) * training.steps);
  const times: number[] = [];
  for (let step = 0; step < 2; step++) {
    const started = performance.now();
    const batch = { ...batchAt(step), step: late * (config.rollout?.every ?? 1) };
    tf.dispose((await trainer.gradients(batch)).gradients);
    times.push((performance.now() - started) / 1000);
  }
  trainer.dispose();
  // The first one warms up.
  const secondsPerStep = times[1];
  const sizes = (variables: Denoiser['variables']) =>
    Object.values(variables).reduce((sum, v) => sum + v.size, 0);
  return {
    parameters: { denoiser: sizes(denoiser.variables), encoder: encoder ? sizes(encoder.variables) : 0 },
    weights: size,
    train: data.weights.length / size,
    heldOut: job.validation.weights.length / size,
    steps: training.steps,
    epochs: (training.steps * training.batch * size) / data.weights.length,
    secondsPerStep,
    seconds: Math.min(secondsPerStep * training.steps, training.seconds ?? Number.POSITIVE_INFINITY),
  };
}
