/**
 * What an experiment on a zoo starts from: pictures, weights and condition features of the training and of the held-out NCAs, the same
 * for every method that is compared.
 */
import { fileURLToPath } from 'node:url';
import { breathe } from '../compute/index.ts';
import type { Encoder } from '../conditioning/index.ts';
import { cachedFeatures, fitStandardiser, standardised } from '../conditioning/index.ts';
import { settle, UserError } from '../config/index.ts';
import { readZoo, readZooImage, type Zoo, type ZooEntry } from '../data/index.ts';
import { baselines, type Method, ORBIT_BASELINES, orbitBaselines } from '../evaluation/index.ts';
import { type NcaSpec, weightCount } from '../nca/index.ts';
import { onProcessorNow, tf } from '../tensor/index.ts';

/** The n NCAs of one split: weights, pictures and condition features, row by row. */
export interface StudySet {
  readonly names: readonly string[];
  /** [n, D] flattened. */
  readonly weights: Float32Array;
  /** [n, size, size, 3] in [0, 1]: the target textures (the NCA's own rendering where the zoo has no texture). */
  readonly pictures: tf.Tensor4D;
  /** [n, T, C] frozen features of the pictures. */
  readonly features: tf.Tensor3D;
}

/** A zoo ready for experiments: both splits, the encoder, and features standardised over the training set. Dispose of it. */
export interface Study {
  readonly zoo: Zoo;
  readonly spec: NcaSpec;
  /** Side of the pictures. */
  readonly size: number;
  /** What the NCAs were conditioned on: target textures, or their own renderings. */
  readonly pictured: 'texture' | 'rendering';
  readonly train: StudySet;
  readonly heldOut: StudySet;
  /** The encoder, its features standardised by the training set's statistics. */
  readonly encoder: Encoder;
  /** The same encoder with its features as they are. */
  readonly rawEncoder: Encoder;
  /** Puts the trained part of the encoder back to where it began: every contender trains it anew. */
  resetEncoder(): void;
  dispose(): void;
}

/** Which zoo, seen through which encoder, and how much of it. */
export interface StudyOptions {
  /** Folder of the zoo. */
  readonly zoo: string;
  readonly encoder: Encoder;
  /** Side the pictures are resized to; default: that of the zoo's first picture. */
  readonly size?: number;
  /** Condition and target: the texture an NCA was trained on, or its own rendering. Default: the texture where there is one. */
  readonly picture?: 'texture' | 'rendering';
  /** The split whose textures are answered and measured, and stand as `heldOut`: `validation` where settings are being chosen. Default `held-out`. */
  readonly measured?: 'held-out' | 'validation';
  /** Pictures that are answered and measured in place of a split, with NCAs of their own as the bound. */
  readonly answered?: AnsweredPictures;
  /** Takes only so many training NCAs (the first ones) and held-out ones: for trials. */
  readonly limit?: { readonly train?: number; readonly heldOut?: number };
  /** When raised, opening rejects with its reason. */
  readonly signal?: AbortSignal;
  /** Told of the pictures that are encoded. */
  onProgress?(done: number, total: number): void;
}

/** M pictures that are no entries of a zoo. */
export interface AnsweredPictures {
  readonly names: readonly string[];
  /** [M, size, size, 3] in [0, 1], of the study's size. */
  readonly pictures: Float32Array;
  /** [M, D] flattened: an NCA trained for each. */
  readonly weights: Float32Array;
}

/** Zoos that come with the library: of photographs, and a smaller one of procedural textures. */
const OWN_ZOOS = ['embedded', 'procedural'];

/** The folder of a zoo given by the user: a path, or the name of one that comes with the library (`embedded`, `procedural`). */
export const zooFolder = (zoo: string): string =>
  OWN_ZOOS.includes(zoo) ? fileURLToPath(new URL(`../../configs/zoo/${zoo}`, import.meta.url)) : zoo;

/** NCA steps to the pictures of a zoo: those its own renderings took. */
export function renderingSteps({ manifest: { provenance } }: Pick<Zoo, 'manifest'>): number {
  const rendering = (provenance.rendering ?? (provenance.config as Record<string, unknown>)?.rendering) as
    | { steps?: unknown }
    | undefined;
  return typeof rendering?.steps === 'number' ? rendering.steps : DEFAULT_STEPS;
}
const DEFAULT_STEPS = 400;

/** How many pictures are encoded at once. */
const BATCH = 64;

const KINDS = { texture: 'image', rendering: 'rendering' } as const;

/** Pictures of the entries `rows`, every one checked against its hash. */
async function readPictures(
  zoo: Zoo,
  rows: readonly number[],
  picture: 'texture' | 'rendering',
  size: number,
): Promise<tf.Tensor4D> {
  const data = new Float32Array(rows.length * size * size * 3);
  for (const [i, row] of rows.entries()) {
    const { data: pixels } = await settle(readZooImage(zoo, row, KINDS[picture], { size }));
    data.set(pixels, i * size * size * 3);
  }
  return tf.tensor4d(data, [rows.length, size, size, 3]);
}

/** How long work on pictures is watched and stopped. */
interface Watched {
  /** When raised, the work rejects with its reason. */
  readonly signal?: AbortSignal;
  /** Told of the pictures that are encoded. */
  onProgress?(done: number, total: number): void;
}

/** Frozen features [n, T, C] of pictures, a batch at a time; those of a costly encoder are kept on disk. */
export async function encodePictures(
  encoder: Encoder,
  pictures: tf.Tensor4D,
  { signal, onProgress }: Watched = {},
): Promise<tf.Tensor3D> {
  if (encoder.costly) return settle(cachedFeatures(encoder, pictures, { signal, onProgress }));
  // What features are taken of is at hand there.
  await pictures.data();
  const [count] = pictures.shape;
  const parts: tf.Tensor3D[] = [];
  try {
    for (let start = 0; start < count; start += BATCH) {
      await breathe(signal);
      const rows = Math.min(BATCH, count - start);
      parts.push(
        onProcessorNow(() =>
          tf.tidy(() => encoder.features(tf.slice(pictures, [start, 0, 0, 0], [rows, -1, -1, -1]))),
        ),
      );
      onProgress?.(start + rows, count);
    }
    return onProcessorNow(() => tf.concat(parts, 0));
  } finally {
    tf.dispose(parts);
  }
}

/** The entries of a split, the first `limit` of them. */
function rowsOf(zoo: Zoo, split: ZooEntry['split'], limit = Number.POSITIVE_INFINITY): number[] {
  const rows = zoo.entries.flatMap((entry, i) => (entry.split === split ? [i] : [])).slice(0, limit);
  if (rows.length < 2) {
    throw new UserError(`${zoo.folder}: expected at least 2 ${split} NCAs, found ${rows.length}.`);
  }
  return rows;
}

/** What a set is made of before its pictures are encoded. */
type Unencoded = Omit<StudySet, 'features'>;

async function readSet(
  zoo: Zoo,
  rows: readonly number[],
  picture: 'texture' | 'rendering',
  size: number,
): Promise<Unencoded> {
  const dimension = weightCount(zoo.spec);
  const weights = new Float32Array(rows.length * dimension);
  rows.forEach((row, i) => {
    weights.set(zoo.weights.subarray(row * dimension, (row + 1) * dimension), i * dimension);
  });
  return {
    names: rows.map(row => zoo.entries[row].name),
    weights,
    pictures: await readPictures(zoo, rows, picture, size),
  };
}

const answeredSet = ({ names, pictures, weights }: AnsweredPictures, size: number): Unencoded => ({
  names,
  weights,
  pictures: tf.tensor4d(pictures, [names.length, size, size, 3]),
});

/**
 * Reads a zoo and encodes its pictures. Dispose of it, and of the encoder, when done.
 *
 *     const encoder = await createEncoder('random-gram', {}, { seed: 0 });
 *     const study = await openStudy({ zoo: zooFolder('embedded'), encoder, limit: { train: 24, heldOut: 6 } });
 *     const { names, weights, features } = study.heldOut;
 *
 * @throws UserError when the zoo cannot be read, an entry lacks the pictures asked for, or a split has fewer than two NCAs; the signal's reason when interrupted
 */
export async function openStudy(options: StudyOptions): Promise<Study> {
  const { encoder } = options;
  const zoo = await settle(readZoo(options.zoo));
  const picture = options.picture ?? (zoo.entries.every(entry => entry.image) ? 'texture' : 'rendering');
  const size = options.size ?? (await settle(readZooImage(zoo, 0, KINDS[picture]))).height;
  const trainRows = rowsOf(zoo, 'train', options.limit?.train);
  const given = options.answered
    ? answeredSet(options.answered, size)
    : await readSet(zoo, rowsOf(zoo, options.measured ?? 'held-out', options.limit?.heldOut), picture, size);
  const known = await readSet(zoo, trainRows, picture, size);
  const total = known.names.length + given.names.length;
  const encoded = async (set: Unencoded, before: number): Promise<StudySet> => ({
    ...set,
    features: await encodePictures(encoder, set.pictures, {
      signal: options.signal,
      onProgress: done => options.onProgress?.(before + done, total),
    }),
  });
  options.onProgress?.(0, total);
  const train = await encoded(known, 0);
  const heldOut = await encoded(given, known.names.length);
  const initial = Object.values(encoder.variables).map(variable => [variable, variable.clone()] as const);
  return {
    zoo,
    spec: zoo.spec,
    size,
    pictured: picture,
    train,
    heldOut,
    encoder: standardised(encoder, await fitStandardiser(train.features)),
    rawEncoder: encoder,
    resetEncoder: () => {
      for (const [variable, value] of initial) variable.assign(value);
    },
    dispose: () => {
      tf.dispose([train.pictures, train.features, heldOut.pictures, heldOut.features]);
      tf.dispose(initial.map(([, value]) => value));
    },
  };
}

/** What any denoiser has to beat on this study, without the symmetries. */
async function plainMethods(study: Study, seed: number, signal?: AbortSignal): Promise<Method[]> {
  const { spec, train, heldOut, zoo } = study;
  const [trainFeatures, queryFeatures] = (await Promise.all([
    train.features.data(),
    heldOut.features.data(),
  ])) as [Float32Array, Float32Array];
  const found = await baselines({
    spec,
    trainWeights: train.weights,
    trainFeatures,
    queryFeatures,
    base: zoo.base,
    seed,
    signal,
  });
  return Object.entries(found).map(([name, weights]): Method => ({ name, kind: 'baseline', weights }));
}

/** The baselines that may turn and recolour: every group element of every held-out picture is encoded. */
async function orbitMethods(
  { spec, train, heldOut, size, encoder }: Study,
  options: BaselineOptions,
): Promise<Method[]> {
  const [trainPictures, queryPictures, trainFeatures] = (await Promise.all([
    train.pictures.data(),
    heldOut.pictures.data(),
    train.features.data(),
  ])) as [Float32Array, Float32Array, Float32Array];
  const found = await orbitBaselines({
    spec,
    trainWeights: train.weights,
    trainPictures,
    queryPictures,
    trainFeatures,
    size,
    encoder,
    ...options,
  });
  return Object.entries(found).map(([name, weights]): Method => ({ name, kind: 'baseline', weights }));
}

export interface BaselineOptions {
  /** Only those with these names; default all. */
  readonly only?: readonly string[];
  readonly signal?: AbortSignal;
  onProgress?(done: number, total: number): void;
}

/**
 * Everything any denoiser has to beat on this study, plain and over the orbits of the symmetries, and the bound: the held-out NCAs' own
 * weights, run with other masks than those of their stored pictures. Throws the signal's reason when interrupted.
 */
export async function baselineMethods(
  study: Study,
  seed: number,
  options: BaselineOptions = {},
): Promise<Method[]> {
  const { only } = options;
  const wanted = (name: string) => only?.includes(name) ?? true;
  const methods: Method[] = [
    ...(await plainMethods(study, seed, options.signal)),
    ...(Object.keys(ORBIT_BASELINES).some(wanted) ? await orbitMethods(study, options) : []),
    { name: BOUND, kind: 'bound', weights: study.heldOut.weights },
  ];
  return methods.filter(({ name }) => wanted(name));
}
/** What the bound is called: the target NCA itself, run again. */
export const BOUND = 'own NCA, second rendering';
