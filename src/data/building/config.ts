/** What a zoo build is told: spec, textures, base, training. */
import * as t from 'io-ts';
import {
  finite,
  listOf,
  natural,
  notNegative,
  optional,
  positive,
  share,
  whole,
} from '../../config/index.ts';
import { type NcaSpec, NcaSpecCodec, SPECS } from '../../nca/index.ts';
import { textureFamilies } from '../textures/index.ts';

const keys = <K extends string>(names: readonly K[]) =>
  t.keyof(Object.fromEntries(names.map(name => [name, null])) as Record<K, null>);

const ranges = t.record(t.string, t.tuple([finite, finite]));

/** Codec of how an NCA is trained. */
export const trainingCodec = t.strict({
  iterations: natural,
  /** Grid cells a side. */
  size: natural,
  pool: natural,
  batch: natural,
  seedEvery: natural,
  /** Steps per iteration, from the first to below the second. */
  steps: t.tuple([natural, natural]),
  overflow: notNegative,
  learningRate: positive,
  /** Iterations at which the learning rate is multiplied by `decay`. */
  milestones: t.array(natural),
  decay: positive,
  loss: t.intersection([
    t.strict({ scales: natural, patch: natural, projections: natural, factor: positive }),
    t.partial({ /** Filters to choose from; drawn afresh at every iteration without it. */ bank: natural }),
  ]),
});

const family = t.intersection([
  t.strict({
    family: keys(Object.keys(textureFamilies)),
    train: whole,
    heldOut: whole,
  }),
  t.partial({ /** Narrower ranges for some of the family's parameters. */ ranges }),
]);

const pictures = t.intersection([
  t.strict({
    /** A folder (with all below it) or a pattern such as `photos/*.jpg`, relative to the working directory. */
    images: t.string,
    /**
     * Pixels of a picture that make one texel, which is one cell of the NCA; `fit`: as many as bring the shorter side to
     * `picture.target` texels.
     */
    pixelsPerTexel: t.union([positive, t.literal('fit')]),
  }),
  t.partial({
    /** Table of the pictures (tab-separated, first column `name`); default: manifest.tsv in their folder or in the one above. */
    manifest: optional(t.string),
    /** Takes the pictures whose columns of the manifest have these values (`CC0*` for all that begin so). */
    only: t.record(t.string, t.union([t.string, listOf(t.string)])),
    /** As the manifest's column `set` says, or shares by the hash of the group. */
    split: t.union([t.literal('manifest'), t.strict({ heldOut: share, validation: share })]),
    /** Where a picture becomes doubtful, see survey.ts; null: not checked. */
    checks: t.partial({ flat: optional(positive), uneven: optional(positive), similar: optional(share) }),
    /** What happens to doubtful pictures. */
    doubtful: keys(['leave out', 'keep']),
  }),
]);
/** Pictures that a zoo is made from: where they are, and which of them. */
export type PicturesConfig = t.TypeOf<typeof pictures>;

const base = t.strict({
  /**
   * What the base is trained on. Families: a mosaic of so many textures of each. Pictures: those named, side by side, or a mosaic of
   * so many of the training pictures.
   */
  textures: t.union([
    listOf(
      t.intersection([
        t.strict({ family: keys(Object.keys(textureFamilies)), count: natural }),
        t.partial({ ranges }),
      ]),
    ),
    listOf(t.string),
    t.strict({ mosaic: natural }),
  ]),
  training: trainingCodec,
});

/** Codec of a zoo build, such as configs/zoo/photographs-compact.yaml. */
export const ZooBuildCodec = t.intersection([
  t.strict({
    /** The name of a known spec, or a whole one. */
    spec: t.union([keys(Object.keys(SPECS)), NcaSpecCodec]),
    /** Folder of the zoo, relative to the working directory. */
    out: t.string,
    seed: whole,
    textures: t.union([t.array(family), pictures]),
    picture: t.intersection([
      /** Texels a side: the picture that is kept, and the larger one of the same texture that is trained on. */
      t.strict({ kept: natural, target: natural }),
      t.partial({
        /** Format of the pictures that are kept; default png. */ format: keys(['png', 'jpg', 'webp']),
      }),
    ]),
    /** `none`: every NCA starts from random weights of its own. */
    base: t.union([t.literal('none'), base]),
    training: trainingCodec,
    /** NCAs that train side by side. Changes the speed, not the result. */
    together: natural,
    rendering: t.strict({ steps: natural, seed: whole }),
  }),
  t.partial({
    /** Ranges for the parameters that all families share. */
    ranges,
    /**
     * How an NCA comes from the base: all its weights are trained (the default), or each layer is changed by a matrix of low rank
     * (`rank`, default 4).
     */
    adaptation: keys(['full', 'low-rank']),
    rank: natural,
    /** Only the first so many textures of the plan. */
    limit: optional(natural),
    /** What a training that ran away is known by; without it none is looked for. */
    runaways: t.strict({
      /** Texture loss of its picture, after the rendering's steps or four times as many. */
      loss: positive,
      /** Share of its picture's values that lie far outside [0, 1] after four times the steps. */
      saturated: share,
      /** Factor on the learning rate of the second attempt. */
      retry: positive,
    }),
  }),
]);
/** What decides a zoo: spec, textures, base and training. */
export type ZooBuildConfig = t.TypeOf<typeof ZooBuildCodec>;
/** How an NCA is trained: sizes, pool, steps, learning rate, texture loss. */
export type TrainingConfig = t.TypeOf<typeof trainingCodec>;
export type BaseConfig = t.TypeOf<typeof base>;
export type FamilyConfig = t.TypeOf<typeof family>;

/** The spec of a build: the known one of that name, or the one given whole. */
export const specOf = ({ spec }: Pick<ZooBuildConfig, 'spec'>): NcaSpec =>
  typeof spec === 'string' ? SPECS[spec as keyof typeof SPECS] : spec;
