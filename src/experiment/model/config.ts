/** What `weightloom train` is told: one configuration for everything that decides a training run. */
import * as E from 'fp-ts/lib/Either.js';
import { pipe } from 'fp-ts/lib/function.js';
import * as t from 'io-ts';
import { encoderKind } from '../../conditioning/index.ts';
import { decode, type Failure, natural, notNegative, optional, positive, whole } from '../../config/index.ts';
import { denoiserKind } from '../../denoisers/index.ts';
import { SYMMETRIES } from '../../nca/index.ts';
import {
  ROLLOUT_DEFAULTS,
  RolloutSettingsCodec,
  TRAINING_DEFAULTS,
  TrainingSettingsCodec,
} from '../../training/index.ts';

/** The live record: a symmetry of the user's own may be registered by the time it is decoded. */
const symmetries = t.array(t.keyof(SYMMETRIES));

/** A registered kind and any of its parameters, decoded when it is built. */
const kind = t.intersection([t.strict({ kind: t.string }), t.UnknownRecord], 'a mapping with kind');

const TrainConfigCodec = t.strict({
  seed: whole,
  /** Folder of the zoo; `embedded` is the one that comes with the library. */
  zoo: t.string,
  /** What NCAs are conditioned on: the texture they were trained on, or their own picture; null takes textures where all have one. */
  picture: optional(t.keyof({ texture: null, rendering: null })),
  /** Side the pictures are resized to; null for that of the zoo's first. */
  pictureSize: optional(natural),
  /** For trials: only so many NCAs of each split. */
  limit: t.strict({ train: optional(natural), heldOut: optional(natural) }),
  denoiser: kind,
  /** Null trains without condition. `width` is that of the tokens its trained part gives. */
  encoder: optional(kind),
  /** `process: edm` or `process: ddim`, and its parameters. */
  diffusion: t.UnknownRecord,
  /** Scale of guidance in previews, and of samples unless another is asked for; 1 for none. */
  guidance: notNegative,
  normaliser: t.strict({ mean: symmetries, std: t.union([symmetries, t.literal('pooled')]) }),
  training: TrainingSettingsCodec,
  /** The loss through the rollout; null for none. */
  rollout: optional(RolloutSettingsCodec),
  /** Exact augmentation: a random element of each group; those of `cached` are drawn from an orbit encoded beforehand. */
  augmentation: optional(
    t.strict({ groups: symmetries, cached: t.array(t.keyof({ colour: null, d4: null })) }),
  ),
  checkpoint: t.strict({
    everySteps: natural,
    everySeconds: positive,
    keep: natural,
    keepAverages: t.boolean,
  }),
  /** Pictures of samples for the first held-out textures, on the way; null for none. */
  preview: optional(t.strict({ everySteps: natural, textures: natural, ncaSteps: optional(natural) })),
  /** Steps between records of metrics. */
  logEvery: natural,
});
/** Everything that decides a training, as `weightloom train` takes it and keeps it with the run. */
export type TrainConfig = t.TypeOf<typeof TrainConfigCodec>;

const { seed: _, ...training } = TRAINING_DEFAULTS;

/** What `trainConfig` fills in; parameters of denoiser, encoder and diffusion have defaults of their own. */
export const TRAIN_CONFIG_DEFAULTS = {
  seed: 1,
  zoo: 'embedded',
  picture: null,
  pictureSize: null,
  limit: { train: null, heldOut: null },
  denoiser: { kind: 'transformer' },
  encoder: { kind: 'random-gram' },
  diffusion: { process: 'edm' },
  guidance: 1,
  normaliser: { mean: [], std: [] },
  training,
  rollout: null,
  augmentation: null,
  checkpoint: { everySteps: 1000, everySeconds: 300, keep: 2, keepAverages: false },
  preview: { everySteps: 1000, textures: 6, ncaSteps: null },
  logEvery: 10,
};

/** Sections whose missing fields are filled in; denoiser, encoder and diffusion know their own defaults. */
const SECTIONS = {
  limit: TRAIN_CONFIG_DEFAULTS.limit,
  normaliser: TRAIN_CONFIG_DEFAULTS.normaliser,
  training,
  rollout: ROLLOUT_DEFAULTS,
  augmentation: { groups: [], cached: [] },
  checkpoint: TRAIN_CONFIG_DEFAULTS.checkpoint,
  preview: TRAIN_CONFIG_DEFAULTS.preview,
};

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Fills in what a configuration leaves out and checks it. `where` names the file. */
export function trainConfig(given: unknown, where: string): E.Either<Failure, TrainConfig> {
  if (!isRecord(given)) return decode(TrainConfigCodec, given, where);
  const filled: Record<string, unknown> = { ...TRAIN_CONFIG_DEFAULTS, ...given };
  for (const [name, defaults] of Object.entries(SECTIONS)) {
    const section = filled[name];
    if (isRecord(section)) filled[name] = { ...defaults, ...section };
  }
  return pipe(decode(TrainConfigCodec, filled, where), E.map(completed));
}

/** With the defaults of its kinds, so that what is saved with a run says everything. */
function completed(config: TrainConfig): TrainConfig {
  const fill = <K extends { kind: string }>(given: K, found: E.Either<unknown, { defaults: unknown }>): K =>
    E.isRight(found) ? { ...given, ...(found.right.defaults as object), ...given } : given;
  const { denoiser, encoder } = config;
  return {
    ...config,
    denoiser: fill(denoiser, denoiserKind(denoiser.kind)),
    encoder: encoder && fill(encoder, encoderKind(encoder.kind)),
  };
}

/** The part of a configuration that decides the weights: what a checkpoint must agree on. */
export function decisive(config: TrainConfig): Record<string, unknown> {
  const { zoo, guidance, checkpoint, preview, logEvery, ...rest } = config;
  return rest;
}
