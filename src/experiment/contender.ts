/** One denoiser's part in a comparison: built, trained and sampled under the settings that all contenders share. */
import * as t from 'io-ts';
import { mergeConfigs, natural, notNegative, orThrow, UserError } from '../config/index.ts';
import type { Denoiser } from '../denoisers/index.ts';
import {
  createDiffusion,
  type Diffusion,
  type Normaliser,
  prepareDiffusion,
  SAMPLERS,
  type SamplerName,
  type SampleWeightsOptions,
  sampleCanonicalWeights,
  sampleTrajectory,
  sampleWeights,
  type Trajectory,
} from '../diffusion/index.ts';
import { finiteOrbit, patchSlicedWasserstein, type SymmetryName } from '../nca/index.ts';
import { withBar } from '../runs/index.ts';
import { tf } from '../tensor/index.ts';
import {
  featureOrbit,
  ROLLOUT_DEFAULTS,
  type RolloutSettings,
  rolloutLoss,
  symmetryAugmentation,
  type TrainingSettings,
  trainDenoiser,
} from '../training/index.ts';
import { type CurvePoint, trainingCurve } from './curve.ts';
import type { RunContext } from './experiment.ts';
import { buildDenoiser } from './model/index.ts';
import type { Study, StudySet } from './study.ts';
import { sourceOf, unfinishedTraining } from './unfinished.ts';

const sampler = t.keyof(SAMPLERS as unknown as Record<SamplerName, null>);
/** How weights are sampled: steps, guidance scale (1 for none) and, under EDM, the sampler. */
export const SamplingSettingsCodec = t.intersection([
  t.strict({ steps: natural, guidance: notNegative }),
  /** `draws`: samples a texture for the measures of sampling; `require` makes it an error when a model does not sample. */
  t.partial({ sampler, draws: natural, require: t.boolean }),
]);
/** A way to sample that differs in some of it. */
export const SamplingChangesCodec = t.partial({ steps: natural, guidance: notNegative, sampler });
/** How weights are sampled: steps, guidance scale and, under EDM, the sampler. */
export type SamplingSettings = t.TypeOf<typeof SamplingSettingsCodec>;

/** Everything that makes one contender: denoiser, process, training, augmentation and sampling. */
export interface ContenderSettings {
  /** A registered kind of denoiser, or the path of a TypeScript file. */
  readonly denoiser: string;
  /** How it is called in tables; default: the denoiser's own name. */
  readonly label?: string;
  /** Of the denoiser; what is left out takes its kind's defaults. */
  readonly parameters?: Readonly<Record<string, unknown>>;
  /** `process: edm` or `ddim`, and its parameters. */
  readonly diffusion: Readonly<Record<string, unknown>>;
  /** What differs from `TRAINING_DEFAULTS`. */
  readonly training: Partial<TrainingSettings>;
  /** The loss through the rollout; null for none. */
  readonly rollout: Partial<RolloutSettings> | null;
  /** Exact augmentation by turns and colour swaps, drawn from a cached orbit of features. Default: none. */
  readonly augmentation?: readonly PictureSymmetry[];
  /** Augmentation by symmetries that keep the picture: every batch shows the same NCAs with their hidden units in another order. Default: none. */
  readonly hiddenAugmentation?: readonly HiddenSymmetry[];
  /** Symmetries that share a coordinate's mean and deviation. Default: those of both augmentations but scalings. */
  readonly sharedStatistics?: readonly SymmetryName[];
  /** Whether the denoiser is given the zoo's common base. Default true. */
  readonly anchor?: boolean;
  readonly sampling: SamplingSettings;
  /** Of initial variables, training and sampling. */
  readonly seed: number;
}

/** Symmetries that change the picture, and have finitely many elements. */
export type PictureSymmetry = 'colour' | 'd4';
/** Symmetries that change the weights and not what they compute. */
export type HiddenSymmetry = 'hidden-permutation' | 'hidden-scaling';

/** Another way to sample a contender than its settings have. */
export interface ContenderSampleOptions {
  /** Samples each in the frame of the group element that brings it nearest to a training picture, and undoes that on the weights. */
  readonly canonical?: readonly PictureSymmetry[];
  /** Another sampler, number of steps or guidance scale. */
  readonly sampling?: Partial<SamplingSettings>;
  /** False samples without condition. Default true. */
  readonly conditional?: boolean;
  /** Another seed of the sampler's noise; default that of the training. */
  readonly seed?: number;
  onProgress?(done: number, total: number): void;
}

/** What a contender was and what it cost: plain data, which stays when the contender is gone. */
export interface ContenderRecord {
  /** How it is called in tables. */
  readonly label: string;
  /** What the denoiser claims to respect. */
  readonly symmetries: readonly SymmetryName[];
  /** The training loss along the way. */
  readonly curve: readonly CurvePoint[];
  readonly trainingSeconds: number;
  /** Of the denoiser; the encoder's are not counted. */
  readonly parameterCount: number;
}

/** A trained denoiser with all that sampling needs. Dispose of it. */
export interface Contender extends ContenderRecord {
  readonly denoiser: Denoiser;
  readonly diffusion: Diffusion;
  readonly normaliser: Normaliser;
  /** Samples weights [n * D] for the pictures of a set: before another contender of the study is trained, where the encoder has a trained part. */
  sample(set: StudySet, options?: ContenderSampleOptions): Promise<Float32Array>;
  /** How the samples that `sample` gives for the first `count` pictures of a set came into being. */
  trajectory(set: StudySet, count: number): Promise<Trajectory>;
  dispose(): void;
}

const anchorOf = (study: Study, normaliser: Normaliser): Float32Array | null =>
  study.zoo.base && normaliser.normalise(study.zoo.base);

type SampleSettings = Omit<SampleWeightsOptions, 'features'>;

/** The process that samples: the trained one, with another sampler where that is asked for. */
function samplingProcess(
  trained: Readonly<Record<string, unknown>>,
  diffusion: Diffusion,
  sampler?: SamplerName,
): Diffusion {
  if (!sampler) return diffusion;
  if (diffusion.name !== 'edm') {
    throw new UserError(
      `sampling.sampler: expected EDM, whose samplers these are, found the process ${diffusion.name}.`,
    );
  }
  return orThrow(
    createDiffusion(mergeConfigs(trained, { sampling: { sampler } }), undefined, diffusion.prior),
  );
}

async function sampleInFrame(
  { spec, encoder, train, size }: Study,
  set: StudySet,
  canonical: readonly PictureSymmetry[],
  settings: SampleSettings,
): Promise<Float32Array> {
  const { weights } = await sampleCanonicalWeights({
    ...settings,
    encoder,
    pictures: (await set.pictures.data()) as Float32Array,
    pictureSize: size,
    trainFeatures: (await train.features.data()) as Float32Array,
    elements: finiteOrbit(spec, canonical),
  });
  return weights;
}

/**
 * Builds and trains one denoiser on a study.
 * @throws UserError for an unknown denoiser or parameters, or a loss that is not finite; the signal's reason when interrupted
 */
export async function trainContender(
  context: RunContext,
  study: Study,
  settings: ContenderSettings,
): Promise<Contender> {
  const { seed, rollout, sampling } = settings;
  study.resetEncoder();
  const { spec, train, encoder } = study;
  // Weights that symmetries move about must be normalised by statistics the symmetries share.
  const { augmentation = [], hiddenAugmentation = [] } = settings;
  // A rescaled weight has no deviation to share: only groups that move weights about do.
  const moving = hiddenAugmentation.filter(name => name !== 'hidden-scaling');
  const shared = settings.sharedStatistics ?? [...augmentation, ...moving];
  const images = await train.pictures.data();
  const features = (await train.features.data()) as Float32Array;
  const { diffusion, normaliser, config, means } = await withBar(
    context.progress,
    'fit the prior',
    onProgress =>
      prepareDiffusion(settings.diffusion, spec, train.weights, features, {
        shared: { mean: shared, std: shared },
        signal: context.signal,
        onProgress,
      }),
  );
  const denoiser = await buildDenoiser(
    { ...settings.parameters, kind: settings.denoiser },
    spec,
    encoder,
    settings.anchor === false ? null : anchorOf(study, normaliser),
    seed,
  );
  const label = settings.label ?? denoiser.name;
  const steps = settings.training.steps ?? 1000;
  const unfinished = await unfinishedTraining(context.run, [
    settings,
    sourceOf(settings.denoiser),
    train.weights,
    features,
    images,
  ]);
  const curve = trainingCurve(Math.max(1, Math.round(steps / 100)), point =>
    context.run.log({ denoiser: label, ...point }),
  );
  const bar = context.progress(`train ${label}`, steps);
  try {
    const result = await trainDenoiser({
      denoiser,
      encoder,
      diffusion,
      normaliser,
      data: { weights: train.weights, features, images: images as Float32Array, means },
      settings: { ...settings.training, seed },
      checkpoint: { ...unfinished.checkpoint, beside: curve.beside },
      rollout: rollout
        ? rolloutLoss({
            ...ROLLOUT_DEFAULTS,
            ...rollout,
            spec,
            texture: patchSlicedWasserstein(),
            normaliser,
            diffusion,
            seed,
            imageSize: study.size,
            from: Math.round((rollout.from ?? ROLLOUT_DEFAULTS.from) * steps),
            rows: rollout.rows ?? undefined,
            clip: rollout.clip === null ? Number.POSITIVE_INFINITY : rollout.clip,
          })
        : undefined,
      augmentation:
        augmentation.length + hiddenAugmentation.length > 0
          ? symmetryAugmentation({
              spec,
              groups: hiddenAugmentation,
              condition:
                augmentation.length > 0
                  ? featureOrbit(
                      spec,
                      finiteOrbit(spec, augmentation),
                      images as Float32Array,
                      study.size,
                      encoder,
                    )
                  : undefined,
            })
          : undefined,
      onStep: step => {
        curve.record(step);
        bar.update(
          step.step,
          `loss ${step.loss.toFixed(3)}${step.rolloutLoss === undefined ? '' : ` rollout ${step.rolloutLoss.toFixed(3)}`}`,
        );
      },
      signal: context.signal,
    });
    if (result.stopped === 'non-finite')
      throw new UserError(`${label}: the training loss is not finite at step ${result.steps + 1}.`);
    context.signal.throwIfAborted();
    const settingsOf = (options: ContenderSampleOptions): SampleSettings => {
      const { steps, guidance, sampler } = { ...sampling, ...options.sampling };
      return {
        denoiser,
        encoder,
        diffusion: samplingProcess(config, diffusion, sampler),
        normaliser,
        seed: options.seed ?? seed,
        steps,
        guidance: guidance === 1 ? undefined : { scale: guidance },
        onProgress: options.onProgress,
        signal: context.signal,
      };
    };
    return {
      label,
      symmetries: denoiser.symmetries,
      denoiser,
      diffusion,
      normaliser,
      curve: curve.points,
      trainingSeconds: result.seconds,
      parameterCount: Object.values(denoiser.variables).reduce((sum, { size }) => sum + size, 0),
      sample: (set, options = {}) => {
        const { canonical, conditional = true } = options;
        const common = settingsOf(options);
        if (!conditional) return sampleWeights({ ...common, features: null, count: set.names.length });
        return canonical
          ? sampleInFrame(study, set, canonical, common)
          : sampleWeights({ ...common, features: set.features });
      },
      trajectory: async ({ features, names }, count) => {
        const first = tf.slice(features, 0, Math.min(count, names.length));
        return sampleTrajectory({ ...settingsOf({}), features: first }).finally(() => first.dispose());
      },
      dispose: () => {
        denoiser.dispose();
        // What it gave is kept as a part of the run; a run that is being stopped may not have come so far.
        if (!context.signal.aborted) unfinished.remove();
      },
    };
  } catch (error) {
    denoiser.dispose();
    throw error;
  } finally {
    bar.stop();
  }
}
