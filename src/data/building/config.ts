/** What a zoo build is told: spec, textures, base, training. */
import * as t from 'io-ts';
import { type NcaSpec, NcaSpecCodec, SPECS } from '../../nca/index.ts';
import { textureFamilies } from '../textures/index.ts';

const keys = <K extends string>(names: readonly K[]) =>
  t.keyof(Object.fromEntries(names.map(name => [name, null])) as Record<K, null>);

const natural = t.refinement(t.number, n => Number.isInteger(n) && n >= 0, 'a whole number from 0');
const positive = t.refinement(t.number, n => Number.isInteger(n) && n > 0, 'a whole number from 1');
const range = t.tuple([t.number, t.number]);
const ranges = t.record(t.string, range);

const training = t.strict({
  iterations: positive,
  /** Grid cells a side. */
  size: positive,
  pool: positive,
  batch: positive,
  seedEvery: positive,
  /** Steps per iteration, from the first to below the second. */
  steps: range,
  overflow: t.number,
  learningRate: t.number,
  /** Iterations at which the learning rate is multiplied by `decay`. */
  milestones: t.array(positive),
  decay: t.number,
  loss: t.strict({ scales: positive, patch: positive, projections: positive, factor: t.number }),
});

const texture = t.intersection([
  t.strict({
    family: keys(Object.keys(textureFamilies)),
    train: natural,
    heldOut: natural,
  }),
  t.partial({ /** Narrower ranges for some of the family's parameters. */ ranges }),
]);

export const ZooBuildCodec = t.intersection([
  t.strict({
    /** The name of a known spec, or a whole one. */
    spec: t.union([keys(Object.keys(SPECS)), NcaSpecCodec]),
    /** Folder of the zoo, relative to the working directory. */
    out: t.string,
    seed: natural,
    textures: t.array(texture),
    /** Pixels a side: the picture that is kept, and the larger one of the same texture that is trained on. */
    picture: t.strict({ kept: positive, target: positive }),
    base: t.strict({
      /** What the base is trained on: a mosaic of this many textures of each family listed. */
      textures: t.array(
        t.intersection([
          t.strict({ family: keys(Object.keys(textureFamilies)), count: positive }),
          t.partial({ ranges }),
        ]),
      ),
      training,
    }),
    training,
    /** NCAs that train side by side. Changes the speed, not the result. */
    together: positive,
    rendering: t.strict({ steps: positive, seed: natural }),
  }),
  t.partial({
    /** Ranges for the parameters that all families share. */
    ranges,
  }),
]);
export type ZooBuildConfig = t.TypeOf<typeof ZooBuildCodec>;
export type TrainingConfig = t.TypeOf<typeof training>;

export const specOf = ({ spec }: ZooBuildConfig): NcaSpec =>
  typeof spec === 'string' ? SPECS[spec as keyof typeof SPECS] : spec;
