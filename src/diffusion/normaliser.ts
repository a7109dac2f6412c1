/** Between real weights and the normalised ones diffusion works on: (w - mean) * sigma_data / std, coordinate by coordinate. */
import { type NcaSpec, type SymmetryName, weightCount, weightOrbits } from '../nca/index.ts';
import { tf } from '../tensor/index.ts';

/** Over which coordinates statistics are shared, and the spread that normalised weights have. */
export interface NormaliserOptions {
  /** Standard deviation of the normalised weights. Default 0.5. */
  readonly sigmaData?: number;
  /**
   * Symmetries over whose orbits the mean is shared, so that normalising commutes with them. Default none: each coordinate has its own
   * (on a zoo with a common base the mean of each coordinate is information).
   */
  readonly mean?: readonly SymmetryName[];
  /** The same for the deviation; `pooled` shares it over all coordinates. */
  readonly std?: readonly SymmetryName[] | 'pooled';
}

/** The affine map between weights as NCAs have them and the ones diffusion works on, coordinate by coordinate. */
export interface Normaliser {
  /** [D] each: normalised = (w - mean) * scale. A coordinate that never varied has scale 0 and comes back as its mean. */
  readonly mean: Float32Array;
  readonly scale: Float32Array;
  /** Weights [N * D] or [N, D], real to normalised. */
  normalise(weights: Float32Array): Float32Array;
  /** The inverse, on values. */
  restore(normalised: ArrayLike<number>): Float32Array;
  /** The inverse, on a tensor [B, D]; differentiable. */
  restoreTensor(normalised: tf.Tensor2D): tf.Tensor2D;
}

const EPSILON = 1e-8;

/**
 * Fits a normaliser to training weights: means and unbiased deviations, accumulated in float64.
 *
 *     const normaliser = fitNormaliser(spec, train.weights);
 *     const normalised = normaliser.normalise(train.weights); // deviation 0.5 in every coordinate that varies
 *
 * @param weights [N * D]
 * @throws Error for fewer than two rows, or numbers that are no whole rows
 */
export function fitNormaliser(
  spec: NcaSpec,
  weights: Float32Array,
  { sigmaData = 0.5, mean = [], std = [] }: NormaliserOptions = {},
): Normaliser {
  const size = weightCount(spec);
  const means = mean.length > 0 ? weightOrbits(spec, mean) : null;
  const spreads =
    std === 'pooled' ? new Int32Array(size) : std.length > 0 ? weightOrbits(spec, std).label : null;
  return fitColumns(weights, size, sigmaData, means, spreads);
}

/**
 * The same for rows of any width. `means` and `spreads` give each coordinate the group it shares its statistic with, null for one of its
 * own; coordinates that are `centred` have mean 0.
 */
export function fitColumns(
  rows: Float32Array,
  size: number,
  sigmaData = 0.5,
  means: { readonly label: Int32Array; readonly centred: Uint8Array } | null = null,
  spreads: Int32Array | null = null,
): Normaliser {
  const count = rows.length / size;
  if (!Number.isInteger(count) || count < 2) {
    throw new Error(`a normaliser needs at least two rows of ${size}, not ${rows.length} numbers`);
  }
  const sums = columnSums(rows, size, x => x);
  const mean = share(sums, means?.label ?? null).map((sum, i) => (means?.centred[i] ? 0 : sum / count));
  const squares = columnSums(rows, size, (x, i) => (x - mean[i]) ** 2);
  const std = share(squares, spreads).map(sum => Math.sqrt(sum / (count - 1)));
  return normaliserOf(
    Float32Array.from(mean),
    Float32Array.from(std, s => (s <= EPSILON ? 0 : sigmaData / (s + EPSILON))),
  );
}

/** The normaliser with these statistics, such as those of a checkpoint. */
export function normaliserOf(mean: Float32Array, scale: Float32Array): Normaliser {
  const size = mean.length;
  const inverse = scale.map(s => (s === 0 ? 0 : 1 / s));
  return {
    mean,
    scale,
    normalise: weights => weights.map((w, i) => (w - mean[i % size]) * scale[i % size]),
    restore: normalised => Float32Array.from(normalised, (x, i) => x * inverse[i % size] + mean[i % size]),
    restoreTensor: normalised =>
      tf.tidy(() => tf.add(tf.mul(normalised, tf.tensor1d(inverse)), tf.tensor1d(mean))),
  };
}

function columnSums(
  rows: Float32Array,
  size: number,
  of: (x: number, column: number) => number,
): Float64Array {
  const sums = new Float64Array(size);
  for (let offset = 0; offset < rows.length; offset += size) {
    for (let i = 0; i < size; i++) sums[i] += of(rows[offset + i], i);
  }
  return sums;
}

/** Replaces each coordinate's figure by the mean over its group. */
function share(values: Float64Array, groups: Int32Array | null): Float64Array {
  if (!groups) return values;
  const sums = new Map<number, { sum: number; count: number }>();
  groups.forEach((group, i) => {
    const entry = sums.get(group) ?? { sum: 0, count: 0 };
    sums.set(group, { sum: entry.sum + values[i], count: entry.count + 1 });
  });
  return values.map((_, i) => {
    const { sum, count } = sums.get(groups[i])!;
    return sum / count;
  });
}
