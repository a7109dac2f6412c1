/** What a Gaussian prior foretells from a condition: r(c), by ridge regression or by kernel ridge regression, as numbers to fit, ask and keep. */
import { Matrix } from 'ml-matrix';
import { breathe, type Rows } from '../compute/index.ts';
import { randomStream } from '../tensor/index.ts';
import { applyKernelMap, fitKernelRidge, type KernelMap } from './kernel-ridge.ts';
import { applyMap, fitRidge, type LinearMap } from './ridge.ts';

/** r: F features -> D normalised weights. */
export interface MeanMap {
  /** What it is called in tables. */
  readonly name: string;
  /** F */
  readonly width: number;
  /** [M * F] -> [M * D] */
  answer(features: Float32Array): Float32Array;
  /** What it is made of, by name. */
  arrays(): Record<string, PriorArray>;
}

/** A float32 array and its shape. */
export interface PriorArray {
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

/** Reads an array by name; `optional` ones may be null. */
export type ReadArray = (name: string, optional?: boolean) => PriorArray | null;

/** Training rows of a mean. */
export interface MeanInput {
  /** [N, F] */
  readonly features: Matrix;
  /** [N * D] normalised weights. */
  readonly weights: Float32Array;
  /** Parts of the cross-fitting of `linear`. */
  readonly folds: number;
  /** Deals rows to folds. */
  readonly seed: number;
  readonly signal?: AbortSignal;
  /** Told `folds` + 1 times. */
  onPart(): void;
}

/** A mean, and what it says of its own training rows when it has not seen them: [N * D]. */
export interface FittedMean {
  readonly map: MeanMap;
  readonly unseen: Float32Array;
}

/** How the mean of a prior may be fitted. */
export const MEANS: Readonly<Record<'gaussian' | 'kernel', (input: MeanInput) => Promise<FittedMean>>> = {
  gaussian: linear,
  kernel,
};

const columns = (count: number) => Array.from({ length: count }, (_, i) => i);

/** Ridge regression; what it says of rows it has not seen by folds. */
async function linear({ features, weights, folds, seed, signal, onPart }: MeanInput): Promise<FittedMean> {
  const { rows: count, columns: width } = features;
  const size = weights.length / count;
  const y = Matrix.from1DArray(count, size, weights);
  const unseen = new Float32Array(weights.length);
  const order = randomStream(seed, 'gaussian/folds').permutation(count);
  for (let fold = 0; fold < folds; fold++) {
    await breathe(signal);
    const out = [...order].filter((_, i) => i % folds === fold);
    const kept = [...order].filter((_, i) => i % folds !== fold);
    const [seen, others] = [kept, out].map(rows => features.selection(rows, columns(width)));
    const ridge = await fitRidge(seen, y.selection(kept, columns(size)), { signal });
    const found = ridge.predict(others);
    out.forEach((row, i) => {
      unseen.set(found.getRow(i), row * size);
    });
    onPart();
  }
  await breathe(signal);
  const { map } = await fitRidge(features, y, { signal });
  onPart();
  return { map: linearMean(map), unseen };
}

/** Kernel ridge regression; what it says of rows it has not seen in closed form, each left out by itself. */
async function kernel({ features, weights, folds, signal, onPart }: MeanInput): Promise<FittedMean> {
  const count = features.rows;
  const targets: Rows = {
    rows: count,
    columns: weights.length / count,
    data: Float64Array.from(weights),
  };
  const { map, leftOut } = await fitKernelRidge(features, targets, { signal });
  for (let part = 0; part <= folds; part++) onPart();
  return { map: kernelMean(map), unseen: leftOut };
}

const asRows = (features: Float32Array, width: number) =>
  Matrix.from1DArray(features.length / width, width, features);
const vector = (values: ArrayLike<number>): PriorArray => ({
  shape: [values.length],
  data: Float32Array.from(values),
});
const matrix = ({ rows, columns, data }: { rows: number; columns: number; data: ArrayLike<number> }) => ({
  shape: [rows, columns],
  data: Float32Array.from(data),
});

function linearMean(map: LinearMap): MeanMap {
  const { coefficients, moments, offset } = map;
  return {
    name: 'ridge',
    width: coefficients.rows,
    answer: features => Float32Array.from(applyMap(map, asRows(features, coefficients.rows)).to1DArray()),
    arrays: () => ({
      'map/mean': vector(moments.mean),
      'map/std': vector(moments.std),
      'map/offset': vector(offset),
      'map/coefficients': matrix({
        rows: coefficients.rows,
        columns: coefficients.columns,
        data: coefficients.to1DArray(),
      }),
    }),
  };
}

function kernelMean(map: KernelMap): MeanMap {
  const { moments, bandwidth, rows, coefficients } = map;
  return {
    name: 'kernel-ridge',
    width: rows.columns,
    answer: features => Float32Array.from(applyKernelMap(map, asRows(features, rows.columns)).data),
    arrays: () => ({
      'kernel/mean': vector(moments.mean),
      'kernel/std': vector(moments.std),
      'kernel/bandwidth': vector([bandwidth]),
      'kernel/rows': matrix(rows),
      'kernel/coefficients': matrix(coefficients),
    }),
  };
}

/** The mean whose arrays they are; null where there are none. */
export function meanFromArrays(read: ReadArray): MeanMap | null {
  const values = (name: string) => [...read(name)!.data];
  const whole = ({ shape, data }: PriorArray): Rows => ({
    rows: shape[0],
    columns: shape[1],
    data: Float64Array.from(data),
  });
  const moments = (of: string) => ({ mean: values(`${of}/mean`), std: values(`${of}/std`) });
  const linearly = read('map/coefficients', true);
  if (linearly)
    return linearMean({
      moments: moments('map'),
      coefficients: Matrix.from1DArray(linearly.shape[0], linearly.shape[1], linearly.data),
      offset: values('map/offset'),
    });
  const kernelled = read('kernel/coefficients', true);
  if (!kernelled) return null;
  return kernelMean({
    moments: moments('kernel'),
    bandwidth: values('kernel/bandwidth')[0],
    rows: whole(read('kernel/rows')!),
    coefficients: whole(kernelled),
  });
}
