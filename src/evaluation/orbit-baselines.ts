/**
 * Baselines that know the exact symmetries of NCAs: retrieval over every turned and recoloured copy of the training set, retrieval with the
 * colours mapped, and ridge regression from canonicalised conditions. Nothing is trained; every answer is exact.
 */
import { Matrix } from 'ml-matrix';
import {
  type Encoder,
  encodedPictures,
  fitStandardiser,
  orbitFeatures,
  standardise,
} from '../conditioning/index.ts';
import { fitRidge } from '../diffusion/index.ts';
import {
  actOnWeights,
  type CanonicalCondition,
  canonicalCondition,
  colourChange,
  elementSize,
  finiteOrbit,
  type Grid,
  type NcaSpec,
  SYMMETRIES,
  type SymmetryElement,
  weightCount,
} from '../nca/index.ts';
import { tf } from '../tensor/index.ts';
import { colourMap } from './colour-map.ts';

/** Training NCAs with their pictures, and the pictures to answer: N training NCAs, M queries, D weights. */
export interface OrbitBaselineInput {
  readonly spec: NcaSpec;
  /** [N * D] */
  readonly trainWeights: Float32Array;
  /** [N * S * S * 3] and [M * S * S * 3] in [0, 1]: the pictures conditions are taken from. */
  readonly trainPictures: Float32Array;
  readonly queryPictures: Float32Array;
  /** S */
  readonly size: number;
  /** [N * T * F] frozen features of the training pictures, where they are known; else they are encoded. */
  readonly trainFeatures?: Float32Array;
  /** Its frozen features are compared, standardised over the training set. */
  readonly encoder: Pick<Encoder, 'features' | 'orbit' | 'tokens' | 'featureWidth'>;
  /** Default: the 384 turns and colour maps of `finiteOrbit(spec, ['colour', 'd4'])`. */
  readonly elements?: readonly SymmetryElement[];
  /** When raised, the baselines reject with its reason. */
  readonly signal?: AbortSignal;
  /** Told of the queries that are done. */
  onProgress?(done: number, total: number): void;
}

/** What each baseline that knows the symmetries is, for tables. */
export const ORBIT_BASELINES = {
  'nearest-orbit':
    'the training NCA that comes nearest when turned and recoloured (D4 and colour swaps), turned back',
  'nearest-colour-map':
    'the training NCA of the nearest structure, its colours mapped to the picture by a linear map',
  'ridge-canonical':
    'ridge regression from the condition of the picture in its canonical turn and colours, undone on the weights',
} as const;
/** One of `ORBIT_BASELINES`. */
export type OrbitBaselineName = keyof typeof ORBIT_BASELINES;

/**
 * Weights [M * D] by baseline. `nearest-colour-map` is left out for specs whose clips forbid general colour maps. Throws the signal's
 * reason when interrupted.
 */
export async function orbitBaselines(
  input: OrbitBaselineInput,
): Promise<Partial<Record<OrbitBaselineName, Float32Array>>> {
  const { spec, trainWeights, size, encoder, signal } = input;
  const elements = input.elements ?? finiteOrbit(spec, ['colour', 'd4']);
  const dimension = weightCount(spec);
  const [train, queries] = [input.trainPictures, input.queryPictures].map(data => pictures(data, size));
  if (train.length !== trainWeights.length / dimension) {
    throw new Error(`${trainWeights.length} weights do not fit ${train.length} training pictures`);
  }
  const row = (n: number) => trainWeights.subarray(n * dimension, (n + 1) * dimension);
  const conditions = await standardisedOver(
    encoder,
    input.trainFeatures ?? (await encodedPictures(encoder, train, signal)),
  );
  const width = conditions.reference.length / train.length;
  const ridge = await fitRidge(
    Matrix.from1DArray(train.length, width, conditions.reference),
    Matrix.from1DArray(train.length, dimension, trainWeights),
    { signal },
  );
  const answers: Record<OrbitBaselineName, Float32Array> = {
    'nearest-orbit': new Float32Array(queries.length * dimension),
    'nearest-colour-map': new Float32Array(queries.length * dimension),
    'ridge-canonical': new Float32Array(queries.length * dimension),
  };
  const mapped = SYMMETRIES['colour-basis'].obstacle(spec) === null;
  // Colours whitened, so that only structure is left to compare.
  const structureOf = (grids: readonly Grid[]) => encodedPictures(encoder, grids.map(whitened), signal);
  const structure = mapped ? await standardisedOver(encoder, await structureOf(train)) : null;
  const ownStructure = await structure?.of(await structureOf(queries));

  const canonical: CanonicalCondition[] = [];
  for (const [q, picture] of queries.entries()) {
    input.onProgress?.(q, queries.length);
    const features = await conditions.of(await orbitFeatures(encoder, spec, picture, elements, signal));
    const found = canonicalCondition({ elements, trainFeatures: conditions.reference, features });
    canonical.push(found);
    answers['nearest-orbit'].set(actOnWeights(spec, found.undo, row(found.nearest)), q * dimension);
    if (!structure || !ownStructure) continue;
    const like = nearestRow(structure.reference, ownStructure.subarray(q * width, (q + 1) * width));
    const map = colourMap(train[like].data, picture.data, spec.rgb.offset);
    answers['nearest-colour-map'].set(
      actOnWeights(spec, colourChange(elementSize(spec), map), row(like)),
      q * dimension,
    );
  }
  const predicted = ridge.predict(
    Matrix.from1DArray(
      queries.length,
      width,
      Float32Array.from(canonical.flatMap(({ features }) => [...features])),
    ),
  );
  canonical.forEach(({ undo }, q) => {
    const weights = Float32Array.from(predicted.getRow(q));
    answers['ridge-canonical'].set(actOnWeights(spec, undo, weights), q * dimension);
  });
  input.onProgress?.(queries.length, queries.length);
  const { 'nearest-colour-map': colour, ...others } = answers;
  return mapped ? { ...others, 'nearest-colour-map': colour } : others;
}

/** Pictures [n * S * S * 3] one by one. */
function pictures(data: Float32Array, size: number): Grid<Float32Array>[] {
  const length = size * size * 3;
  if (data.length === 0 || data.length % length !== 0)
    throw new Error(`${data.length} numbers are no pictures of ${size}x${size}`);
  return split(data, length).map(part => ({ height: size, width: size, data: part }));
}

const split = (data: Float32Array, length: number): Float32Array[] =>
  Array.from({ length: data.length / length }, (_, n) => data.subarray(n * length, (n + 1) * length));

/** Frozen features [n * F] of reference pictures in standard units over them, and a way to bring others to the same units. */
async function standardisedOver(
  { tokens, featureWidth }: Pick<Encoder, 'tokens' | 'featureWidth'>,
  raw: Float32Array,
) {
  const tensor = (features: Float32Array) =>
    tf.tensor3d(features, [features.length / (tokens * featureWidth), tokens, featureWidth]);
  const all = tensor(raw);
  const standardiser = await fitStandardiser(all);
  all.dispose();
  /** Raw features [n * F] in standard units. */
  const of = async (features: Float32Array): Promise<Float32Array> => {
    const rows = tf.tidy(() => standardise(tensor(features), standardiser));
    try {
      return (await rows.data()) as Float32Array;
    } finally {
      rows.dispose();
    }
  };
  return { reference: await of(raw), of };
}

/** The picture with colours of mean grey and no covariance: what is left is structure. */
function whitened(picture: Grid): Grid<Float32Array> {
  const { data } = picture;
  const mean = [0, 0, 0];
  for (let i = 0; i < data.length; i += 3) for (let c = 0; c < 3; c++) mean[c] += data[i + c];
  const centred = new Float32Array(data.length);
  for (let i = 0; i < data.length; i += 3)
    for (let c = 0; c < 3; c++) centred[i + c] = data[i + c] - (3 * mean[c]) / data.length + 0.5;
  // A picture of uncorrelated colours of one spread: mapping to it whitens.
  const spread = 0.2;
  const target = [1, -1].flatMap(sign =>
    [0, 1, 2].flatMap(c => [0, 1, 2].map(d => 0.5 + (c === d ? sign * spread * Math.sqrt(3) : 0))),
  );
  const map = colourMap(centred, target);
  const result = new Float32Array(data.length);
  for (let i = 0; i < data.length; i += 3) {
    for (let c = 0; c < 3; c++) {
      let sum = 0.5;
      for (let d = 0; d < 3; d++) sum += map[3 * c + d] * (centred[i + d] - 0.5);
      result[i + c] = sum;
    }
  }
  return { ...picture, data: result };
}

function nearestRow(rows: Float32Array, wanted: Float32Array): number {
  let [nearest, least] = [0, Infinity];
  for (let n = 0; n < rows.length / wanted.length; n++) {
    let sum = 0;
    for (let f = 0; f < wanted.length; f++) sum += (rows[n * wanted.length + f] - wanted[f]) ** 2;
    if (sum < least) [nearest, least] = [n, sum];
  }
  return nearest;
}
