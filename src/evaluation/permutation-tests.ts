/** Do labels, or another distance, have to do with how things lie? Each answer stands beside what chance alone gives. */
import { randomStream } from '../tensor/index.ts';
import type { DistanceMatrix } from './pairwise.ts';

/** How many random orders a value is held against, and their seed. */
export interface PermutationOptions {
  /** Random permutations; default 999. */
  readonly permutations?: number;
  /** Default 0. */
  readonly seed?: number;
}

/** A value, beside what it is when the order is random. */
export interface Association {
  /** The statistic for the order as it is. */
  readonly value: number;
  /** Its mean under permutations. */
  readonly chance: number;
  /** Share of permutations, the given order counted as one, with a value at least as large. */
  readonly p: number;
}

/** One-sided permutation test: `statistic` gets an order of 0 ... count - 1. */
function permutationTest(
  count: number,
  statistic: (order: ArrayLike<number>) => number,
  { permutations = 999, seed = 0 }: PermutationOptions,
): Association {
  const value = statistic(Uint32Array.from({ length: count }, (_, i) => i));
  const random = randomStream(seed, 'permutation test');
  let sum = 0;
  let atLeast = 1;
  for (let k = 0; k < permutations; k++) {
    const other = statistic(random.permutation(count));
    sum += other;
    // Equal sums in another order differ by rounding.
    if (other >= value - 1e-12 * Math.abs(value)) atLeast++;
  }
  return { value, chance: sum / permutations, p: atLeast / (permutations + 1) };
}

/** Ranks from 0, ties sharing their mean rank. */
export function ranks(values: ArrayLike<number>): Float64Array {
  const order = Array.from(values, (_, i) => i).sort((a, b) => values[a] - values[b]);
  const found = new Float64Array(values.length);
  for (let start = 0; start < order.length; ) {
    let end = start + 1;
    while (end < order.length && values[order[end]] === values[order[start]]) end++;
    for (let k = start; k < end; k++) found[order[k]] = (start + end - 1) / 2;
    start = end;
  }
  return found;
}

/**
 * Mantel's test (1967) with Spearman's rank correlation: how far two distances over the same things agree. Rows and columns of the second are
 * permuted together, for distances of one thing depend on each other.
 */
export function mantel(a: DistanceMatrix, b: DistanceMatrix, options: PermutationOptions = {}): Association {
  if (a.count !== b.count) throw new Error(`distances between ${a.count} and ${b.count} things`);
  const { count } = a;
  const ranked = ({ values }: DistanceMatrix) => {
    const upper: number[] = [];
    for (let i = 0; i < count; i++) for (let j = i + 1; j < count; j++) upper.push(values[i * count + j]);
    const rank = ranks(upper);
    const mean = (upper.length - 1) / 2;
    const norm = Math.sqrt(rank.reduce((sum, x) => sum + (x - mean) ** 2, 0)) || 1;
    const square = new Float64Array(count * count);
    let next = 0;
    for (let i = 0; i < count; i++) {
      for (let j = i + 1; j < count; j++) {
        const value = (rank[next++] - mean) / norm;
        square[i * count + j] = value;
        square[j * count + i] = value;
      }
    }
    return square;
  };
  const [x, y] = [ranked(a), ranked(b)];
  return permutationTest(
    count,
    order => {
      let sum = 0;
      for (let i = 0; i < count; i++) {
        const from = order[i] * count;
        for (let j = i + 1; j < count; j++) sum += x[i * count + j] * y[from + order[j]];
      }
      return sum;
    },
    options,
  );
}

/** The share of things whose nearest other one has the same label. */
export function neighbourPurity(
  { count, values }: DistanceMatrix,
  labels: readonly string[],
  options: PermutationOptions = {},
): Association {
  const nearest = Array.from({ length: count }, (_, i) => {
    let best = -1;
    for (let j = 0; j < count; j++) {
      if (j !== i && (best < 0 || values[i * count + j] < values[i * count + best])) best = j;
    }
    return best;
  });
  return permutationTest(
    count,
    order => nearest.filter((j, i) => labels[order[j]] === labels[order[i]]).length / count,
    options,
  );
}

/** The correlation ratio eta squared: the share of a figure's variance that lies between labels, 0 where all are equal. */
export function correlationRatio(
  values: ArrayLike<number>,
  labels: readonly string[],
  options: PermutationOptions = {},
): Association {
  const count = values.length;
  const mean = Array.from(values).reduce((a, b) => a + b, 0) / count;
  const total = Array.from(values).reduce((sum, x) => sum + (x - mean) ** 2, 0);
  const kinds = [...new Set(labels)];
  const kind = labels.map(label => kinds.indexOf(label));
  const sizes = kinds.map((_, k) => kind.filter(other => other === k).length);
  return permutationTest(
    count,
    order => {
      const sums = new Float64Array(kinds.length);
      for (let i = 0; i < count; i++) sums[kind[order[i]]] += values[i] - mean;
      return total > 0 ? sums.reduce((sum, x, k) => sum + x ** 2 / sizes[k], 0) / total : 0;
    },
    options,
  );
}
