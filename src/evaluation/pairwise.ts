/** Distances between all pairs of NCAs: by their weights modulo symmetry, and by their pictures. */
import {
  distanceInPlace,
  distanceOfUnits,
  type HiddenUnits,
  hiddenUnits,
  type NcaSpec,
  weightCount,
} from '../nca/index.ts';
import { onProcessor, tf } from '../tensor/index.ts';
import { patchDistance, type TextureDistance } from './metrics/index.ts';

/** Symmetric, zero on the diagonal. */
export interface DistanceMatrix {
  readonly count: number;
  /** [count * count] */
  readonly values: Float64Array;
}

/** How the computing of a distance matrix is watched and stopped. */
export interface PairwiseOptions {
  /** When raised, the computing rejects with its reason. */
  readonly signal?: AbortSignal;
  /** Pairs done. */
  onProgress?(done: number, total: number): void;
}

/** Fills a matrix row by row: `row(i)` gives the distances of i to i + 1, i + 2, ... Throws the signal's reason when interrupted. */
async function fill(
  count: number,
  row: (i: number) => ArrayLike<number> | Promise<ArrayLike<number>>,
  { signal, onProgress }: PairwiseOptions,
): Promise<DistanceMatrix> {
  const values = new Float64Array(count * count);
  let done = 0;
  for (let i = 0; i + 1 < count; i++) {
    signal?.throwIfAborted();
    const distances = await row(i);
    for (let k = 0; k < distances.length; k++) {
      const j = i + 1 + k;
      values[i * count + j] = distances[k];
      values[j * count + i] = distances[k];
    }
    done += distances.length;
    onProgress?.(done, (count * (count - 1)) / 2);
    // Lets signals and timers in.
    await new Promise(resolve => setImmediate(resolve));
  }
  return { count, values };
}

/** A distance of every pair of NCAs [n * D] by their hidden units. */
function unitDistances(
  spec: NcaSpec,
  weights: Float32Array,
  between: (a: HiddenUnits, b: HiddenUnits) => number,
  options: PairwiseOptions,
): Promise<DistanceMatrix> {
  const size = weightCount(spec);
  const count = weights.length / size;
  const units = Array.from({ length: count }, (_, i) =>
    hiddenUnits(spec, weights.subarray(i * size, (i + 1) * size)),
  );
  return fill(
    count,
    i => Array.from({ length: count - 1 - i }, (_, k) => between(units[i], units[i + 1 + k])),
    options,
  );
}

/**
 * Distances of NCAs by their weights modulo hidden permutation and scaling.
 * @param weights [n * D] @returns `symmetricDistance` of every pair
 */
export const weightDistances = (spec: NcaSpec, weights: Float32Array, options: PairwiseOptions = {}) =>
  unitDistances(spec, weights, (a, b) => distanceOfUnits(a, b), options);

/**
 * The same without matching hidden units: the root mean square difference of the balanced weights as they stand. Never below
 * `weightDistances`; equal to it for a pair whose units are in the same order already.
 */
export const unmatchedDistances = (spec: NcaSpec, weights: Float32Array, options: PairwiseOptions = {}) =>
  unitDistances(spec, weights, distanceInPlace, options);

/**
 * Distances of pictures.
 * @param pictures [n, H, W, 3] in [0, 1] @returns the distance of every pair, which has to be symmetric; by default the patch
 * sliced-Wasserstein distance
 */
export function pictureDistances(
  pictures: tf.Tensor4D,
  options: PairwiseOptions & { readonly distance?: TextureDistance } = {},
): Promise<DistanceMatrix> {
  const { distance = patchDistance() } = options;
  const [count] = pictures.shape;
  const row = async (i: number) => {
    const rest = count - 1 - i;
    const result = tf.tidy(() => distance(tf.slice(pictures, i + 1, rest), tf.slice(pictures, i, 1)));
    const values = await result.data();
    result.dispose();
    return values;
  };
  return onProcessor([pictures], () => fill(count, row, options));
}
