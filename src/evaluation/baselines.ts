/**
 * What any denoiser has to beat: ways to answer a condition with weights that train nothing, or next to nothing.
 * Every comparison shows all of them.
 */
import { Matrix } from 'ml-matrix';
import {
  applyKernelMap,
  columnMoments,
  fitKernelRidge,
  fitRidge,
  standardiseColumns,
} from '../diffusion/index.ts';
import { initialWeights, type NcaSpec, weightCount } from '../nca/index.ts';
import { randomStream } from '../tensor/index.ts';

/** Training NCAs with their conditions, and the conditions to answer: N training NCAs, M queries, D weights, F features. */
export interface BaselineInput {
  readonly spec: NcaSpec;
  /** [N, D] weights of the training NCAs, N >= 2. */
  readonly trainWeights: Float32Array;
  /** [N, F] their conditions. */
  readonly trainFeatures: Float32Array;
  /** [M, F] the conditions to answer. */
  readonly queryFeatures: Float32Array;
  /** [D] the common NCA that the zoo was fine-tuned from, or null. */
  readonly base: Float32Array | null;
  /** Of `random`, `random-training` and `nearest-noise`. */
  readonly seed: number;
  /** Noise of `nearest-noise` in standard deviations of each coordinate over the training set; default 0.1. */
  readonly noise?: number;
  readonly signal?: AbortSignal;
}

/** What each baseline is, for tables. */
export const BASELINES = {
  random: 'untrained weights, as training starts from: plain grey',
  base: 'the common NCA that the zoo was fine-tuned from',
  mean: 'the mean of the training weights',
  'random-training': 'a training NCA picked at random',
  nearest: 'the training NCA with the nearest condition',
  'interpolated-two': 'the two nearest training NCAs, mixed by inverse distance',
  'nearest-noise': 'the nearest training NCA with noise on its weights',
  ridge: 'ridge regression from condition to weights, penalty by generalised cross-validation',
  'kernel-ridge':
    'kernel ridge regression: training NCAs mixed by how near their conditions are (Laplace kernel)',
} as const;
/** One of `BASELINES`. */
export type BaselineName = keyof typeof BASELINES;

/** Weights [M * D] by baseline; `base` is left out when the zoo has none. Same input, same weights. Throws the signal's reason when interrupted. */
export async function baselines(input: BaselineInput): Promise<Partial<Record<BaselineName, Float32Array>>> {
  const { spec, trainWeights, base, seed, noise = 0.1 } = input;
  const size = weightCount(spec);
  const count = trainWeights.length / size;
  if (!Number.isInteger(count) || count < 2) {
    throw new Error(`${trainWeights.length} training weights are not at least two NCAs of ${size}`);
  }
  const width = input.trainFeatures.length / count;
  const queries = input.queryFeatures.length / width;
  if (!Number.isInteger(width) || !Number.isInteger(queries) || queries < 1) {
    throw new Error(
      `${input.trainFeatures.length} training and ${input.queryFeatures.length} query features do not fit ${count} NCAs`,
    );
  }
  if (base && base.length !== size) throw new Error(`a base of ${base.length} weights, not ${size}`);
  const train = Matrix.from1DArray(count, width, input.trainFeatures);
  const asked = Matrix.from1DArray(queries, width, input.queryFeatures);
  const row = (n: number) => trainWeights.subarray(n * size, (n + 1) * size);
  const each = (weightsOf: (query: number) => ArrayLike<number>): Float32Array => {
    const result = new Float32Array(queries * size);
    for (let q = 0; q < queries; q++) result.set(weightsOf(q), q * size);
    return result;
  };

  const moments = columnMoments(train);
  const near = nearestTwo(standardiseColumns(train, moments), standardiseColumns(asked, moments));
  const { mean, std } = weightMoments(trainWeights, size);
  const stream = (name: BaselineName, query: number) => randomStream(seed, `baseline/${name}/${query}`);
  const ridge = await fitRidge(train, Matrix.from1DArray(count, size, trainWeights), {
    signal: input.signal,
  });

  const { map } = await fitKernelRidge(
    train,
    { rows: count, columns: size, data: Float64Array.from(trainWeights, (x, i) => x - mean[i % size]) },
    { signal: input.signal },
  );
  const kernelled = Float32Array.from(applyKernelMap(map, asked).data);

  return {
    random: each(q => initialWeights(spec, stream('random', q).uint32())),
    ...(base ? { base: each(() => base) } : {}),
    mean: each(() => mean),
    'random-training': each(q => row(stream('random-training', q).integer(0, count))),
    nearest: each(q => row(near[q].first)),
    'interpolated-two': each(q => {
      const { first, second, share } = near[q];
      const [a, b] = [row(first), row(second)];
      return a.map((x, d) => share * x + (1 - share) * b[d]);
    }),
    'nearest-noise': each(q => {
      const random = stream('nearest-noise', q);
      return row(near[q].first).map((x, d) => x + noise * std[d] * random.normal());
    }),
    ridge: Float32Array.from(ridge.predict(asked).to1DArray()),
    'kernel-ridge': kernelled.map((x, i) => x + mean[i % size]),
  };
}

interface Neighbours {
  readonly first: number;
  readonly second: number;
  /** Share of the first in the mix: its inverse distance over the sum of both. */
  readonly share: number;
}

/** The two training rows nearest to each query by Euclidean distance. */
export function nearestTwo(train: Matrix, queries: Matrix): Neighbours[] {
  return Array.from({ length: queries.rows }, (_, q) => {
    const query = queries.getRow(q);
    const distances = Array.from({ length: train.rows }, (_, n) =>
      Math.sqrt(query.reduce((sum, x, f) => sum + (x - train.get(n, f)) ** 2, 0)),
    );
    const [first, second] = distances.map((_, n) => n).sort((a, b) => distances[a] - distances[b] || a - b);
    const total = distances[first] + distances[second];
    return { first, second, share: total > 0 ? distances[second] / total : 0.5 };
  });
}

/** Mean and standard deviation of every coordinate over NCAs [N * D]. */
function weightMoments(weights: Float32Array, size: number) {
  const count = weights.length / size;
  const mean = new Float64Array(size);
  const std = new Float64Array(size);
  for (let i = 0; i < weights.length; i++) mean[i % size] += weights[i] / count;
  for (let i = 0; i < weights.length; i++) std[i % size] += (weights[i] - mean[i % size]) ** 2 / count;
  return { mean, std: std.map(Math.sqrt) };
}
