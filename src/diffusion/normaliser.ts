/** Between real weights and the normalised ones diffusion works on: (w - mean) * sigma_data / std, coordinate by coordinate. */
import { type NcaSpec, weightBlocks } from '../nca/index.ts';
import { tf } from '../tensor/index.ts';

/**
 * What coordinates share a statistic. `coordinate`: none (the default; on a zoo with a common base the mean of each coordinate is
 * information). `orbit`: those that permuting hidden units takes to one another, so that normalising commutes with the
 * permutation. `pooled`: all.
 */
export type Sharing = 'coordinate' | 'orbit' | 'pooled';

export interface NormaliserOptions {
  readonly sigmaData?: number;
  readonly mean?: Sharing;
  readonly std?: Sharing;
}

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

/** Fits a normaliser to training weights [N * D]: means and unbiased deviations, accumulated in float64. */
export function fitNormaliser(
  spec: NcaSpec,
  weights: Float32Array,
  { sigmaData = 0.5, mean: meanOver = 'coordinate', std: stdOver = 'coordinate' }: NormaliserOptions = {},
): Normaliser {
  const size = weightBlocks(spec).reduce((sum, block) => sum + block.size, 0);
  return fitColumns(weights, size, sigmaData, groupsOf(spec, meanOver), groupsOf(spec, stdOver));
}

/** The same for rows of any width; `meanGroups` and `stdGroups` give each coordinate its group, null for one of its own. */
export function fitColumns(
  rows: Float32Array,
  size: number,
  sigmaData = 0.5,
  meanGroups: Int32Array | null = null,
  stdGroups: Int32Array | null = null,
): Normaliser {
  const count = rows.length / size;
  if (!Number.isInteger(count) || count < 2) {
    throw new Error(`a normaliser needs at least two rows of ${size}, not ${rows.length} numbers`);
  }
  const mean = share(
    columnSums(rows, size, x => x),
    meanGroups,
  ).map(sum => sum / count);
  const squares = columnSums(rows, size, (x, i) => (x - mean[i]) ** 2);
  const std = share(squares, stdGroups).map(sum => Math.sqrt(sum / (count - 1)));
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

/** Group of each coordinate under permutations of hidden units, or one group, or null for a group each. */
function groupsOf(spec: NcaSpec, sharing: Sharing): Int32Array | null {
  if (sharing === 'coordinate') return null;
  const blocks = weightBlocks(spec);
  const groups = new Int32Array(blocks.reduce((sum, block) => sum + block.size, 0));
  if (sharing === 'pooled') return groups;
  let first = 0;
  for (const { name, offset, size, shape } of blocks) {
    const columns = shape.at(-1)!;
    for (let i = 0; i < size; i++) {
      // w1 [hidden, inputs] is shared down its columns, w2 [channels, hidden] along its rows, b1 whole, b2 not at all.
      const local =
        name === 'w1' ? i % columns : name === 'w2' ? Math.floor(i / columns) : name === 'b1' ? 0 : i;
      groups[offset + i] = first + local;
    }
    first += name === 'w1' ? columns : name === 'b1' ? 1 : shape[0];
  }
  return groups;
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
