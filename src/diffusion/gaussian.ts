/**
 * Weights given a condition as a Gaussian, N(r(c), S): r ridge regression (or its kernel form), S the covariance of its residuals; without condition N(0, S0). For it the
 * optimal denoiser is known in closed form, D(x; s) = r(c) + S (S + s^2 I)^-1 (x - r(c)). It is the null model of sampling, which any denoiser must
 * beat in every noise bin, and what EDM can be built around: `prior: gaussian` leaves to the network what is not Gaussian.
 */
import { Matrix } from 'ml-matrix';
import { type Rows, rowDotsInPieces, transposed } from '../compute/index.ts';
import type { Condition, Denoiser } from '../denoisers/index.ts';
import type { NcaSpec } from '../nca/index.ts';
import { tf } from '../tensor/index.ts';
import { symmetricEigen } from './eigen.ts';
import { MEANS, type MeanMap, meanFromArrays, type PriorArray, type ReadArray } from './prior-means.ts';

/** S = sum over k of (spectrum[k] - rest) e_k e_k' + rest I, in D dimensions. */
export interface Covariance {
  /** [K] variances along the directions, largest first. */
  readonly spectrum: Float64Array;
  /** [K * D] orthonormal directions. */
  readonly directions: Float32Array;
  /** The variance along every other direction. */
  readonly rest: number;
}

/** N(r(c), S), and N(0, S0) where there is no condition, of normalised weights. */
export interface GaussianPrior {
  /** D, numbers a sample. */
  readonly size: number;
  /** r: F features -> D weights; null when it was fitted without features. */
  readonly map: MeanMap | null;
  /** S */
  readonly conditional: Covariance;
  /** S0 */
  readonly marginal: Covariance;
  /** r(c): features [M * F] -> means [M * D]. */
  means(features: Float32Array): Float32Array;
}

/** Training rows: N samples of D weights and F features. */
export interface GaussianInput {
  /** [N * D] normalised weights. */
  readonly weights: Float32Array;
  /** [N * F]; null for none: then r = 0. */
  readonly features: Float32Array | null;
  readonly size: number;
  /** What r is: ridge regression (`gaussian`, default) or kernel ridge regression. */
  readonly mean?: keyof typeof MEANS;
  /** Parts of the cross-fitting of ridge regression; default 5. */
  readonly folds?: number;
  /** Deals rows to folds; default 0. */
  readonly seed?: number;
  /** When raised, the fit rejects with its reason. */
  readonly signal?: AbortSignal;
  /** Told of the parts that are done: regressions, and what covariances are made of. */
  onProgress?(done: number, total: number): void;
}

/** A prior, and what it says of its own training rows when it has not seen them. */
export interface FittedGaussian {
  readonly prior: GaussianPrior;
  /** [N * D] cross-fitted means: each by a ridge that did not see its row. What a network that learns the remainder must be trained beside. */
  readonly means: Float32Array;
}

/**
 * Fits r on all rows, and S on residuals that are cross-fitted (each by a ridge that did not see its row), shrunk towards a multiple of the
 * identity as Ledoit and Wolf (2004) say.
 * @throws Error for fewer than four rows, or numbers that are no whole rows; the signal's reason when interrupted
 */
export async function fitGaussian(input: GaussianInput): Promise<FittedGaussian> {
  const { weights, features, size, mean = 'gaussian', folds = 5, seed = 0, signal } = input;
  const count = weights.length / size;
  const width = features ? features.length / count : 0;
  const parts = Math.min(folds, count);
  if (!Number.isInteger(count) || count < 4 || !Number.isInteger(width))
    throw new Error(`${weights.length} weights and ${features?.length} features are no four rows`);
  const total = features ? parts + 1 + 2 * COVARIANCE_PARTS : COVARIANCE_PARTS;
  let done = 0;
  const step = () => input.onProgress?.(++done, total);
  input.onProgress?.(0, total);
  const covariance = (data: ArrayLike<number>) =>
    shrunkCovariance({ rows: count, columns: size, data: Float64Array.from(data) }, { signal, onPart: step });
  if (!features) {
    const marginal = await covariance(weights);
    return {
      prior: priorOf({ size, map: null, conditional: marginal, marginal }),
      means: new Float32Array(count * size),
    };
  }
  const given = async () => {
    const { map, unseen } = await MEANS[mean]({
      features: Matrix.from1DArray(count, width, features),
      weights,
      folds: parts,
      seed,
      signal,
      onPart: step,
    });
    return { map, means: unseen, conditional: await covariance(weights.map((w, i) => w - unseen[i])) };
  };
  // Side by side: eigenvectors are found on a thread of their own.
  const [marginal, { map, means, conditional }] = await Promise.all([covariance(weights), given()]);
  return { prior: priorOf({ size, map, conditional, marginal }), means };
}

/** A prior from its numbers, such as those of a saved model. */
export const priorOf = (numbers: Omit<GaussianPrior, 'means'>): GaussianPrior => ({
  ...numbers,
  means(features) {
    const { map, size } = numbers;
    if (!map) throw new Error('a prior without a condition has no means');
    const found = map.answer(features);
    const rows = features.length / map.width;
    if (found.length !== rows * size) throw new Error(`means of ${found.length / rows}, not ${size}`);
    return found;
  },
});

const columns = (count: number) => Array.from({ length: count }, (_, i) => i);

/** How often a covariance tells that a part of it is done. */
const COVARIANCE_PARTS = 3;

/**
 * Ledoit and Wolf's covariance of rows of mean zero, [N, D] with any N: (1 - a) S + a m I, with m = tr S / D and
 * a = min(1, b / d), d = |S - m I|^2, b = (sum of |x_n|^4 - N |S|^2) / N^2 in Frobenius norms; in the eigenvectors of X X' / N.
 * Throws the signal's reason when it is raised.
 */
export async function shrunkCovariance(
  rows: Rows,
  { signal, onPart }: { readonly signal?: AbortSignal; onPart?(): void } = {},
): Promise<Covariance> {
  const { rows: count, columns: size } = rows;
  const gram = await rowDotsInPieces(rows, rows, signal);
  gram.data.forEach((value, i) => {
    gram.data[i] = value / count;
  });
  onPart?.();
  const { values, vectors } = await symmetricEigen(gram, signal);
  onPart?.();
  const kept = Math.min(size, values.filter(value => value > 1e-10 * values[0]).length);
  const total = values.reduce((sum, value) => sum + value, 0);
  const squares = values.reduce((sum, value) => sum + value ** 2, 0);
  const even = total / size;
  const distance = squares - total ** 2 / size;
  const fourth = columns(count).reduce((sum, n) => sum + (count * gram.data[n * count + n]) ** 2, 0);
  const noise = (fourth - count * squares) / count ** 2;
  const share = distance > 0 ? Math.min(1, Math.max(0, noise / distance)) : 1;
  const scaled = vectors.data.slice(0, kept * count);
  for (let i = 0; i < scaled.length; i++) scaled[i] /= Math.sqrt(count * values[Math.floor(i / count)]);
  const directions = await rowDotsInPieces(
    { rows: kept, columns: count, data: scaled },
    transposed(rows),
    signal,
  );
  onPart?.();
  return {
    spectrum: values.slice(0, kept).map(value => (1 - share) * value + share * even),
    directions: Float32Array.from(directions.data),
    rest: share * even,
  };
}

/**
 * The optimal estimate of clean weights under the prior, and the standard deviation (rms over coordinates) of what it leaves open: for a covariance of
 * variances v, x -> v / (v + s^2) x along each direction, and the mean of v s^2 / (v + s^2).
 * @param x [B, D] noisy weights
 * @param sigmas [B]
 * @param condition with its `means`; null for none
 * @returns mean [B, D] and deviation [B, 1]
 */
export function gaussianEstimate(
  { size, conditional, marginal }: GaussianPrior,
  x: tf.Tensor2D,
  sigmas: ArrayLike<number>,
  condition: Condition | null,
): { mean: tf.Tensor2D; deviation: tf.Tensor2D } {
  return tf.tidy(() => {
    const free = () => wienerFilter(marginal, size, x, sigmas);
    if (!condition) return free();
    const { means, present, complete } = condition;
    if (!means) throw new Error('a process with a prior needs the means of the condition');
    const given = wienerFilter(conditional, size, tf.sub(x, means) as tf.Tensor2D, sigmas);
    const bound = { mean: tf.add(means, given.mean) as tf.Tensor2D, deviation: given.deviation };
    if (complete) return bound;
    const without = free();
    const there = tf.reshape(present, [-1, 1]);
    const mixed = (a: tf.Tensor2D, b: tf.Tensor2D) => tf.add(b, tf.mul(there, tf.sub(a, b))) as tf.Tensor2D;
    return {
      mean: mixed(bound.mean, without.mean),
      deviation: mixed(bound.deviation, without.deviation),
    };
  });
}

/** S (S + s^2 I)^-1 x for rows x [B, D], each at its own level. */
function wienerFilter(
  { spectrum, directions, rest }: Covariance,
  size: number,
  x: tf.Tensor2D,
  sigmas: ArrayLike<number>,
): { mean: tf.Tensor2D; deviation: tf.Tensor2D } {
  const rows = sigmas.length;
  // Few numbers, and worked out in float64.
  const column = (of: (sigma: number) => number) =>
    tf.tensor2d(
      Float32Array.from({ length: rows }, (_, n) => of(sigmas[n])),
      [rows, 1],
    );
  const kept = (variance: number, sigma: number) => variance / (variance + sigma ** 2);
  const gains = new Float32Array(rows * spectrum.length);
  for (let n = 0; n < rows; n++) {
    for (let k = 0; k < spectrum.length; k++)
      gains[n * spectrum.length + k] = kept(spectrum[k], sigmas[n]) - kept(rest, sigmas[n]);
  }
  const basis = tf.tensor2d(directions, [spectrum.length, size]);
  const along = tf.mul(tf.matMul(x, basis, false, true), tf.tensor2d(gains, [rows, spectrum.length]));
  return {
    mean: tf.add(
      tf.mul(
        x,
        column(sigma => kept(rest, sigma)),
      ),
      tf.matMul(along as tf.Tensor2D, basis),
    ) as tf.Tensor2D,
    deviation: column(sigma => {
      let open = (size - spectrum.length) * kept(rest, sigma);
      for (const variance of spectrum) open += kept(variance, sigma);
      return sigma * Math.sqrt(open / size);
    }),
  };
}

/** The null model as a denoiser: it adds nothing to the prior of its process, so that D is the prior's own estimate. */
export const nothingAdded = (spec: NcaSpec, { map }: Pick<GaussianPrior, 'map'>): Denoiser => ({
  name: `${map?.name ?? 'mean'} + residual`,
  spec,
  variables: {},
  symmetries: [],
  apply: weights => tf.zerosLike(weights),
  dispose: () => {},
});

/** A prior's numbers as arrays to keep in a file, by name. */
export function priorArrays({ map, conditional, marginal }: GaussianPrior): Record<string, PriorArray> {
  const arrays: Record<string, PriorArray> = {};
  const vector = (name: string, values: ArrayLike<number>) => {
    arrays[name] = { shape: [values.length], data: Float32Array.from(values) };
  };
  for (const [name, { spectrum, directions, rest }] of Object.entries({ conditional, marginal })) {
    vector(`${name}/spectrum`, spectrum);
    arrays[`${name}/directions`] = {
      shape: [spectrum.length, directions.length / Math.max(1, spectrum.length)],
      data: directions,
    };
    vector(`${name}/rest`, [rest]);
  }
  return { ...arrays, ...map?.arrays() };
}

/** The prior of `priorArrays`; `read` gives an array by name (or refuses), null where the mean's are not there. @param size D */
export function priorFromArrays(size: number, read: ReadArray): GaussianPrior {
  const take = (name: string) => read(name)!.data;
  const covariance = (name: string): Covariance => ({
    spectrum: Float64Array.from(take(`${name}/spectrum`)),
    directions: take(`${name}/directions`),
    rest: take(`${name}/rest`)[0],
  });
  return priorOf({
    size,
    conditional: covariance('conditional'),
    marginal: covariance('marginal'),
    map: meanFromArrays(read),
  });
}
