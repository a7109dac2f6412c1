/** Points in few dimensions that lie as far apart as a matrix of distances says. */
import { EigenvalueDecomposition, Matrix, SingularValueDecomposition } from 'ml-matrix';
import type { DistanceMatrix } from './pairwise.ts';

/** Points found by `classicalScaling`, and how well they keep the distances. */
export interface Scaled {
  /** [count][dimensions] */
  readonly points: number[][];
  /** The sum of the eigenvalues used over the sum of all positive ones: how much of the distances the points keep. */
  readonly explained: number;
}

/**
 * Classical multidimensional scaling (Torgerson 1952): the leading eigenvectors of -1/2 J D^2 J, each times the root of its eigenvalue, where
 * D^2 holds squared distances and J takes the mean away. Exact for distances of points in that many dimensions.
 */
export function classicalScaling({ count, values }: DistanceMatrix, dimensions = 2): Scaled {
  const squared = Float64Array.from(values, value => value * value);
  const rowMean = Float64Array.from(
    { length: count },
    (_, i) => squared.subarray(i * count, (i + 1) * count).reduce((a, b) => a + b, 0) / count,
  );
  const mean = rowMean.reduce((a, b) => a + b, 0) / count;
  const centred = new Matrix(count, count);
  for (let i = 0; i < count; i++) {
    for (let j = 0; j < count; j++) {
      centred.set(i, j, -0.5 * (squared[i * count + j] - rowMean[i] - rowMean[j] + mean));
    }
  }
  const found = new EigenvalueDecomposition(centred, { assumeSymmetric: true });
  // Rising order.
  const order = found.realEigenvalues
    .map((_, k) => k)
    .sort((a, b) => found.realEigenvalues[b] - found.realEigenvalues[a]);
  const used = order.slice(0, dimensions);
  const sum = (indices: readonly number[]) =>
    indices.reduce((total, k) => total + Math.max(0, found.realEigenvalues[k]), 0);
  return {
    points: Array.from({ length: count }, (_, i) =>
      used.map(k => found.eigenvectorMatrix.get(i, k) * Math.sqrt(Math.max(0, found.realEigenvalues[k]))),
    ),
    explained: sum(order) > 0 ? sum(used) / sum(order) : 1,
  };
}

/** Turns and mirrors centred points so that they lie as near as they can to others (orthogonal Procrustes, Schoenemann 1966). */
export function turnedTo(points: readonly number[][], reference: readonly number[][]): number[][] {
  const ours = new Matrix(points as number[][]);
  const { leftSingularVectors, rightSingularVectors } = new SingularValueDecomposition(
    ours.transpose().mmul(new Matrix(reference as number[][])),
  );
  return ours.mmul(leftSingularVectors.mmul(rightSingularVectors.transpose())).to2DArray();
}
