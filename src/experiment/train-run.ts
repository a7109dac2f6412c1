/** A training run from its configuration: prepared, planned, carried out in a run folder, resumed. */
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { type Encoder, fitStandardiser, type Standardiser } from '../conditioning/index.ts';
import { orThrow, settle, UserError } from '../config/index.ts';
import { renderNcas } from '../data/index.ts';
import type { Denoiser } from '../denoisers/index.ts';
import {
  createDiffusion,
  type Diffusion,
  fitNormaliser,
  type Normaliser,
  sampleWeights,
} from '../diffusion/index.ts';
import { renderGallery } from '../evaluation/index.ts';
import { writeAtomically } from '../formats/index.ts';
import {
  finiteOrbit,
  type PatchOptions,
  patchSlicedWasserstein,
  type TextureLoss,
  weightCount,
} from '../nca/index.ts';
import { backendReport, tf } from '../tensor/index.ts';
import {
  type Augmentation,
  batches,
  checkpointSteps,
  featureOrbit,
  type RolloutLoss,
  rolloutLoss,
  type StepRecord,
  symmetryAugmentation,
  Trainer,
  type TrainingData,
  type TrainingResult,
  trainDenoiser,
} from '../training/index.ts';
import type { Progress } from './progress.ts';
import { environment } from './run-folder.ts';
import { openStudy, renderingSteps, type Study, type StudySet, zooFolder } from './study.ts';
import { track } from './tracking.ts';
import { decisive, type TrainConfig } from './train-config.ts';
import { buildDenoiser, buildEncoder, type Model, writeModel } from './train-model.ts';

/** All that a configuration stands for, ready to train. Dispose it when done. */
export interface TrainingJob {
  readonly config: TrainConfig;
  readonly study: Study;
  readonly denoiser: Denoiser;
  /** Null when trained without condition. */
  readonly encoder: Encoder | null;
  readonly diffusion: Diffusion;
  readonly normaliser: Normaliser;
  readonly standardiser: Standardiser | null;
  readonly anchor: Float32Array | null;
  readonly data: TrainingData;
  readonly validation: TrainingData;
  readonly augmentation: Augmentation | undefined;
  readonly rollout: RolloutLoss | undefined;
  /** SHA-256 over everything of the zoo that training sees. */
  readonly dataHash: string;
  dispose(): void;
}

/** Opens the zoo, encodes its pictures and builds the models. `where` names the configuration in failures. */
export async function prepareTraining(config: TrainConfig, where: string): Promise<TrainingJob> {
  const { seed } = config;
  const diffusion = orThrow(createDiffusion(config.diffusion, `${where}: diffusion`));
  const built = await buildEncoder(config.encoder ?? { kind: 'random-gram' }, seed);
  const study = await openStudy({
    zoo: zooFolder(config.zoo),
    encoder: built,
    size: config.pictureSize ?? undefined,
    picture: config.picture ?? undefined,
    limit: { train: config.limit.train ?? undefined, heldOut: config.limit.heldOut ?? undefined },
  });
  const { spec, train, heldOut, zoo, size } = study;
  const encoder = config.encoder ? study.encoder : null;
  const normaliser = fitNormaliser(spec, train.weights, {
    ...config.normaliser,
    sigmaData: diffusion.sigmaData,
  });
  const anchor = zoo.base && normaliser.normalise(zoo.base);
  const denoiser = await buildDenoiser(config.denoiser, spec, encoder, anchor, seed);
  const dataOf = async (set: StudySet): Promise<TrainingData> => ({
    weights: set.weights,
    features: encoder && ((await set.features.data()) as Float32Array),
    images: (await set.pictures.data()) as Float32Array,
  });
  const data = await dataOf(train);
  return {
    config,
    study,
    denoiser,
    encoder,
    diffusion,
    normaliser,
    standardiser: encoder && fitStandardiser(train.features),
    anchor,
    data,
    validation: await dataOf(heldOut),
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
    dataHash: createHash('sha256')
      .update(JSON.stringify([zoo.manifest.spec, zoo.manifest.entries, zoo.manifest.files]))
      .digest('hex'),
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

export interface TrainingPlan {
  readonly parameters: { readonly denoiser: number; readonly encoder: number };
  readonly weights: number;
  readonly train: number;
  readonly heldOut: number;
  readonly steps: number;
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
    tf.dispose(trainer.gradients({ ...batchAt(step), step: late * (config.rollout?.every ?? 1) }).gradients);
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

export interface RunTrainingOptions {
  /** The run folder, with its configuration already in it. */
  readonly folder: string;
  /** Goes on from the latest checkpoint. */
  readonly resume: boolean;
  readonly signal?: AbortSignal;
  readonly progress: (label: string, total: number, from?: number) => Progress;
}

export const checkpointFolder = (run: string) => join(run, 'checkpoints');

/**
 * Trains in a run folder: metrics, event files, previews, checkpoints, and at the end `model.safetensors`.
 * @throws UserError when the loss is not finite, or a file cannot be read or written
 */
export async function runTraining(job: TrainingJob, options: RunTrainingOptions): Promise<TrainingResult> {
  const { config } = job;
  const { folder, resume, signal } = options;
  const { steps } = config.training;
  const resumedAt = resume ? (checkpointSteps(checkpointFolder(folder)).at(-1) ?? 0) : undefined;
  const tracker = track(folder, { resumedAt });
  const bar = options.progress('training', steps, resumedAt);
  const log = recorder(config, tracker.log);
  try {
    const result = await trainDenoiser({
      ...job,
      settings: { ...config.training, seed: config.seed },
      checkpoint: {
        ...config.checkpoint,
        folder: checkpointFolder(folder),
        identity: { config: decisive(config), dataHash: job.dataHash },
        environment: environment({ backend: backendReport() }),
        resume,
      },
      onStep(record) {
        log(record);
        const rollout =
          record.rolloutLoss === undefined ? '' : ` rollout ${record.rolloutLoss.toPrecision(3)}`;
        bar.update(record.step, `loss ${record.loss.toPrecision(3)}${rollout}`);
      },
      onValidation: ({ loss, bins }, step) =>
        tracker.log(step, {
          validation: { loss, bins: Object.fromEntries(bins.map((bin, i) => [binName(i), bin.loss])) },
        }),
      preview: config.preview
        ? {
            everySteps: config.preview.everySteps,
            async show(step) {
              const { png, width, height } = await preview(job);
              await settle(
                writeAtomically(join(folder, 'samples', `step-${String(step).padStart(8, '0')}.png`), png),
              );
              tracker.image(step, 'samples', png, { width, height });
            },
          }
        : undefined,
      signal,
    });
    if (result.stopped === 'non-finite') {
      throw new UserError(
        `The loss at step ${result.steps + 1} is not finite. Its batch and the state before it are in ${result.studyFolder}.`,
      );
    }
    if (result.stopped !== 'interrupted') await writeModel(folder, modelOf(job), result.steps);
    return result;
  } finally {
    bar.stop();
    tracker.close();
  }
}

/** The job's models as they are now. */
export const modelOf = (job: TrainingJob): Model => ({
  ...job,
  spec: job.study.spec,
  pictureSize: job.study.size,
  ncaSteps: renderingSteps(job.study.zoo),
  trainFeatures: job.data.features,
});

/** With a letter, so that no JSON reader takes them for numbers and sorts them apart. */
const binName = (bin: number) => `b${String(bin).padStart(2, '0')}`;

/** Gathers steps into records: means since the last record, the loss also by noise bin. */
function recorder(
  { logEvery, training }: TrainConfig,
  write: (step: number, record: Record<string, unknown>) => void,
) {
  const bins = training.validationBins;
  let records: StepRecord[] = [];
  const mean = (values: readonly number[]) => values.reduce((a, b) => a + b, 0) / values.length;
  return (record: StepRecord) => {
    records.push(record);
    if (record.step % logEvery !== 0 && record.progress < 1) return;
    const byBin = records.map(r => r.binLosses(bins));
    const binned = Array.from({ length: bins }, (_, bin): [string, number] => {
      const values = byBin.map(losses => losses[bin]).filter(loss => !Number.isNaN(loss));
      return [binName(bin), mean(values)];
    }).filter(([, loss]) => !Number.isNaN(loss));
    const rollouts = records.flatMap(r => r.rolloutLoss ?? []);
    const norms = records.map(r => r.gradientNorm);
    write(record.step, {
      loss: mean(records.map(r => r.loss)),
      ...(rollouts.length > 0 && { rolloutLoss: mean(rollouts) }),
      learningRate: record.learningRate,
      gradientNorm: mean(norms),
      clippedNorm: mean(records.map(r => r.gradientNorm * r.clipFactor)),
      seconds: record.seconds,
      samplesPerSecond: (record.step * training.batch) / record.seconds,
      bins: Object.fromEntries(binned),
    });
    records = [];
  };
}

/** Targets above the pictures of NCAs sampled for them. */
async function preview(job: TrainingJob) {
  const { study, encoder, config } = job;
  const { heldOut, size, spec } = study;
  const count = Math.min(config.preview!.textures, heldOut.names.length);
  const condition =
    encoder && tf.tidy(() => encoder.project(tf.slice(heldOut.features, [0, 0, 0], [count, -1, -1])));
  const weights = await sampleWeights({
    ...job,
    condition,
    count: encoder ? 1 : count,
    seed: config.seed,
    guidance: { scale: config.guidance },
  });
  condition?.dispose();
  const steps = config.preview!.ncaSteps ?? renderingSteps(study.zoo);
  const grown = await renderNcas(spec, weights, { steps, size, seed: config.seed });
  const targets = (await heldOut.pictures.data()) as Float32Array;
  const pixels = size * size * 3;
  const rows = [
    Array.from({ length: count }, (_, i) => ({
      width: size,
      height: size,
      data: targets.slice(i * pixels, (i + 1) * pixels),
    })),
    grown,
  ];
  const png = Buffer.from(
    await renderGallery({ columns: heldOut.names.slice(0, count), rows: ['target', 'sample'], cells: rows }),
  );
  return { png, ...pngSize(png) };
}

/** Width and height from a PNG's first chunk. */
const pngSize = (png: Buffer) => ({ width: png.readUInt32BE(16), height: png.readUInt32BE(20) });
