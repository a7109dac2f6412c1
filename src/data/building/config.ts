/** What a zoo build is told: spec, textures, base, training. */
import * as t from 'io-ts';
import { finite, natural, notNegative, positive, whole } from '../../config/index.ts';
import { type NcaSpec, NcaSpecCodec, SPECS } from '../../nca/index.ts';
import { textureFamilies } from '../textures/index.ts';

const keys = <K extends string>(names: readonly K[]) =>
  t.keyof(Object.fromEntries(names.map(name => [name, null])) as Record<K, null>);

const ranges = t.record(t.string, t.tuple([finite, finite]));

const training = t.strict({
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
  loss: t.strict({ scales: natural, patch: natural, projections: natural, factor: positive }),
});

const texture = t.intersection([
  t.strict({
    family: keys(Object.keys(textureFamilies)),
    train: whole,
    heldOut: whole,
  }),
  t.partial({ /** Narrower ranges for some of the family's parameters. */ ranges }),
]);

/** Codec of a zoo build, such as configs/zoo/embedded.yaml. */
export const ZooBuildCodec = t.intersection([
  t.strict({
    /** The name of a known spec, or a whole one. */
    spec: t.union([keys(Object.keys(SPECS)), NcaSpecCodec]),
    /** Folder of the zoo, relative to the working directory. */
    out: t.string,
    seed: whole,
    textures: t.array(texture),
    /** Pixels a side: the picture that is kept, and the larger one of the same texture that is trained on. */
    picture: t.strict({ kept: natural, target: natural }),
    base: t.strict({
      /** What the base is trained on: a mosaic of this many textures of each family listed. */
      textures: t.array(
        t.intersection([
          t.strict({ family: keys(Object.keys(textureFamilies)), count: natural }),
          t.partial({ ranges }),
        ]),
      ),
      training,
    }),
    training,
    /** NCAs that train side by side. Changes the speed, not the result. */
    together: natural,
    rendering: t.strict({ steps: natural, seed: whole }),
  }),
  t.partial({
    /** Ranges for the parameters that all families share. */
    ranges,
  }),
]);
/** What decides a zoo: spec, textures, base and training. */
export type ZooBuildConfig = t.TypeOf<typeof ZooBuildCodec>;
export type TrainingConfig = t.TypeOf<typeof training>;

/** The spec of a build: the known one of that name, or the one given whole. */
export const specOf = ({ spec }: ZooBuildConfig): NcaSpec =>
  typeof spec === 'string' ? SPECS[spec as keyof typeof SPECS] : spec;
