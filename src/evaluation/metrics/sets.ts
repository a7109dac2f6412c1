/**
 * Distances between two sets of pictures by their features: Frechet (FID) and kernel (KID) distance. Features are gathered over any
 * number of batches and compared once, over the whole set.
 */
import { Matrix, QrDecomposition, SingularValueDecomposition } from 'ml-matrix';
import { randomStream } from '../../tensor/index.ts';
import { quantile } from '../statistics.ts';

/** Rows [N, F] of features that come in parts. */
export class FeatureSet {
  private readonly parts: Float32Array[] = [];
  private rows = 0;

  constructor(readonly width: number) {}

  /** N, rows so far. */
  get count(): number {
    return this.rows;
  }

  /** Adds [n * F] features, copied. Throws on a number that is not finite. */
  add(features: ArrayLike<number>): void {
    if (features.length % this.width !== 0)
      throw new Error(`${features.length} numbers are no rows of ${this.width}`);
    const part = Float32Array.from(features);
    const bad = part.findIndex(x => !Number.isFinite(x));
    if (bad >= 0)
      throw new Error(
        `feature ${bad % this.width} of picture ${this.rows + Math.floor(bad / this.width)} is ${part[bad]}`,
      );
    this.parts.push(part);
    this.rows += part.length / this.width;
  }

  /** [N, F] in float64, or the given rows of it. */
  matrix(rows?: ArrayLike<number>): Matrix {
    const all = this.flat();
    const chosen = rows ?? Array.from({ length: this.rows }, (_, i) => i);
    const result = new Matrix(chosen.length, this.width);
    for (let i = 0; i < chosen.length; i++) {
      for (let f = 0; f < this.width; f++) result.set(i, f, all[chosen[i] * this.width + f]);
    }
    return result;
  }

  private flat(): Float32Array {
    if (this.parts.length !== 1) {
      const whole = new Float32Array(this.rows * this.width);
      let at = 0;
      for (const part of this.parts) {
        whole.set(part, at);
        at += part.length;
      }
      this.parts.splice(0, this.parts.length, whole);
    }
    return this.parts[0];
  }
}

/** Fewest pictures in a set for which a distance is given at all. */
export const FEWEST = 10;

function enough(metric: string, ...counts: number[]): void {
  const least = Math.min(...counts);
  if (least < FEWEST)
    throw new Error(`${metric} needs at least ${FEWEST} pictures in each set, found ${least}`);
}

/** The Frechet distance of two Gaussians, in the terms of its formula. */
export interface Frechet {
  /** |mean difference|^2, tr S1, tr S2, tr sqrt(S1 S2). */
  readonly parts: readonly [number, number, number, number];
  /** parts[0] + parts[1] + parts[2] - 2 parts[3]. */
  readonly distance: number;
}

/** R' with R'R the covariance (n - 1) of rows x, in the fewest rows: x centred and scaled, or the R of its QR decomposition. */
function covarianceFactor(x: Matrix, mean: number[]): Matrix {
  const centred = Matrix.sub(x, Matrix.zeros(x.rows, x.columns))
    .subRowVector(mean)
    .div(Math.sqrt(x.rows - 1));
  return x.rows > x.columns ? new QrDecomposition(centred).upperTriangularMatrix : centred;
}

/**
 * Frechet distance of two Gaussians fitted to rows x [N, F] and y [M, F] (Heusel et al. 2017). With S1 = A'A and S2 = B'B,
 * tr sqrt(S1 S2) is the sum of the singular values of A B', so nothing larger than min(N, F) x min(M, F) is decomposed, and singular
 * covariances are no trouble.
 */
export function frechet(x: Matrix, y: Matrix): Frechet {
  if (x.rows < 2 || y.rows < 2) throw new Error(`a covariance needs two rows, found ${x.rows} and ${y.rows}`);
  const [meanX, meanY] = [x, y].map(rows => rows.mean('column'));
  const [a, b] = [covarianceFactor(x, meanX), covarianceFactor(y, meanY)];
  const cross = a.mmul(b.transpose());
  const singular = new SingularValueDecomposition(cross, {
    computeLeftSingularVectors: false,
    computeRightSingularVectors: false,
    autoTranspose: true,
  }).diagonal;
  const parts = [
    meanX.reduce((sum, m, f) => sum + (m - meanY[f]) ** 2, 0),
    a.norm('frobenius') ** 2,
    b.norm('frobenius') ** 2,
    singular.reduce((sum, s) => sum + s, 0),
  ] as const;
  return { parts, distance: Math.max(0, parts[0] + parts[1] + parts[2] - 2 * parts[3]) };
}

/** Sum over pairs of the kernel (x.y / F + 1)^3, and over the diagonal of equal indices. */
function kernelSums(x: Matrix, y: Matrix): { all: number; diagonal: number } {
  const products = x.mmul(y.transpose());
  let all = 0;
  let diagonal = 0;
  for (let i = 0; i < products.rows; i++) {
    for (let j = 0; j < products.columns; j++) {
      const value = (products.get(i, j) / x.columns + 1) ** 3;
      all += value;
      if (i === j) diagonal += value;
    }
  }
  return { all, diagonal };
}

/** Unbiased squared maximum mean discrepancy with the kernel (x.y / F + 1)^3 (Binkowski et al. 2018); may be below zero. */
export function kernelDistance(x: Matrix, y: Matrix): number {
  const [xx, yy, xy] = [kernelSums(x, x), kernelSums(y, y), kernelSums(x, y)];
  return (
    (xx.all - xx.diagonal) / (x.rows * (x.rows - 1)) +
    (yy.all - yy.diagonal) / (y.rows * (y.rows - 1)) -
    (2 * xy.all) / (x.rows * y.rows)
  );
}

export interface SetDistanceOptions {
  /** Seeds subsets and resampling; default 0. */
  readonly seed?: number;
}

/** A distance of two sets of pictures, and how sure it is. */
export interface SetDistance {
  /** Lower is nearer. */
  readonly value: number;
  /** 95% interval; null where none can be had: see `fid`. */
  readonly low: number | null;
  readonly high: number | null;
}

/**
 * FID of two sets. It has no interval: resampled sets have fewer different pictures, which raises it by more than its own uncertainty, and laid
 * about the value the bootstrap's spread covers what other pictures would have given in a fifth of all cases (sets of some twenty pictures).
 */
export function fid(x: FeatureSet, y: FeatureSet): SetDistance {
  enough('FID', x.count, y.count);
  return { value: frechet(x.matrix(), y.matrix()).distance, low: null, high: null };
}

/** 95% of the spread of values about their mean, moved to `centre`. */
function about(centre: number, values: number[]): { low: number; high: number } {
  if (values.length < 2) return { low: centre, high: centre };
  const sorted = Float64Array.from(values).sort();
  const mean = values.reduce((a, b) => a + b) / values.length;
  return { low: centre + quantile(sorted, 0.025) - mean, high: centre + quantile(sorted, 0.975) - mean };
}

/**
 * FID extrapolated to infinite sets (Chong and Forsyth 2020): FID of random subsets of n pictures from each is nearly linear in 1/n;
 * the line's value at 0. Fifteen sizes from half the smaller set to all of it. Without interval: that of the fitted line would say how well the points
 * lie on a line, not how other pictures would have come out.
 */
export function fidInfinity(
  x: FeatureSet,
  y: FeatureSet,
  { seed = 0 }: SetDistanceOptions = {},
): SetDistance {
  enough('FID-infinity', x.count, y.count);
  const most = Math.min(x.count, y.count);
  const stream = randomStream(seed, 'fid/infinity');
  const points = Array.from({ length: 15 }, (_, k) => {
    const n = Math.round(most * (0.5 + (0.5 * k) / 14));
    const choose = (count: number) => stream.permutation(count).subarray(0, n);
    return { u: 1 / n, v: frechet(x.matrix(choose(x.count)), y.matrix(choose(y.count))).distance };
  });
  return intercept(points);
}

/** The least-squares line's value at u = 0. */
function intercept(points: readonly { readonly u: number; readonly v: number }[]): SetDistance {
  const count = points.length;
  const sum = (of: (point: { u: number; v: number }) => number) =>
    points.reduce((total, point) => total + of(point), 0);
  const meanU = sum(({ u }) => u) / count;
  const meanV = sum(({ v }) => v) / count;
  const spread = sum(({ u }) => (u - meanU) ** 2);
  const slope = sum(({ u, v }) => (u - meanU) * (v - meanV)) / spread;
  return { value: meanV - slope * meanU, low: null, high: null };
}

export interface KidOptions extends SetDistanceOptions {
  /** Subsets drawn; default 100. */
  readonly subsets?: number;
  /** Pictures in each subset; default 1000, or all when there are fewer. */
  readonly subsetSize?: number;
}

/**
 * KID: the mean over random subsets, with the spread of the subsets' values. When a subset is the whole set there is but one value, and
 * the interval is a bootstrap's, laid about it.
 */
export function kid(
  x: FeatureSet,
  y: FeatureSet,
  { seed = 0, subsets = 100, subsetSize = 1000 }: KidOptions = {},
): SetDistance {
  enough('KID', x.count, y.count);
  const most = Math.min(x.count, y.count);
  const stream = randomStream(seed, 'kid');
  if (subsetSize < most) {
    const choose = (count: number) => stream.permutation(count).subarray(0, subsetSize);
    const values = Array.from({ length: subsets }, () =>
      kernelDistance(x.matrix(choose(x.count)), y.matrix(choose(y.count))),
    );
    const value = values.reduce((a, b) => a + b) / subsets;
    return { value, ...about(value, values) };
  }
  const value = kernelDistance(x.matrix(), y.matrix());
  const draw = (count: number) => Array.from({ length: count }, () => stream.integer(0, count));
  const values = Array.from({ length: subsets }, () =>
    kernelDistance(x.matrix(draw(x.count)), y.matrix(draw(y.count))),
  );
  return { value, ...about(value, values) };
}
