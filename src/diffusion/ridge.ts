/** Ridge regression with its penalty chosen by generalised cross-validation (Golub, Heath and Wahba 1979). */
import { Matrix } from 'ml-matrix';
import { breathe } from '../compute/index.ts';
import { OUTLIER, safeDeviation } from '../conditioning/index.ts';
import { symmetricEigen } from './eigen.ts';
import { product, rowsOf } from './products.ts';

/** y = standardise(f) coefficients + offset, for F features and D targets. */
export interface LinearMap {
  readonly moments: Moments;
  /** [F, D] */
  readonly coefficients: Matrix;
  /** [D] */
  readonly offset: readonly number[];
}

/** Mean and standard deviation of every column. */
export interface Moments {
  readonly mean: number[];
  readonly std: number[];
}

/** A fitted ridge regression. */
export interface Ridge {
  readonly lambda: number;
  /** Degrees of freedom used: the trace of the hat matrix, intercept included. */
  readonly freedom: number;
  /** What it foretells, as numbers to keep. */
  readonly map: LinearMap;
  /** @param features [M, F]  @returns [M, D] */
  predict(features: Matrix): Matrix;
}

/** Mean and standard deviation per column, by the rule of the encoders' standardiser: a constant column gets 1, so that it becomes 0. */
export function columnMoments(rows: Matrix): Moments {
  const mean = rows.mean('column');
  const std = rows
    .standardDeviation('column', { unbiased: false, mean })
    .map((deviation, k) => safeDeviation(deviation, mean[k]));
  return { mean, std };
}

/** (rows - mean) / std, column by column, clipped as the encoders' standardiser clips: one outlier must not throw a linear map anywhere. */
export function standardiseColumns(rows: Matrix, { mean, std }: Moments): Matrix {
  const scaled = rows.clone().subRowVector(mean).divRowVector(std);
  for (let i = 0; i < scaled.rows; i++)
    for (let j = 0; j < scaled.columns; j++)
      scaled.set(i, j, Math.min(OUTLIER, Math.max(-OUTLIER, scaled.get(i, j))));
  return scaled;
}

/** The map's answers [M, D] to features [M, F]. */
export const applyMap = ({ moments, coefficients, offset }: LinearMap, features: Matrix): Matrix =>
  product(standardiseColumns(features, moments), coefficients).addRowVector([...offset]);

/**
 * Fits targets [N, D] from features [N, F] (standardised here, with an intercept). With X = U S V', the fit is
 * y = mean + X V (S^2 + lambda)^-1 S U' Y, worked out in the smaller of the N x N and F x F problems; GCV(lambda) = N |residual|^2 /
 * (N - trace H)^2 costs a sum over singular values only. Give `lambda` to fix it. Throws the signal's reason when it is raised.
 */
export async function fitRidge(
  features: Matrix,
  targets: Matrix,
  { lambda, signal }: { readonly lambda?: number; readonly signal?: AbortSignal } = {},
): Promise<Ridge> {
  const count = features.rows;
  if (targets.rows !== count) throw new Error(`${count} rows of features and ${targets.rows} of targets`);
  if (count < 2) throw new Error('ridge regression needs at least two training rows');
  const moments = columnMoments(features);
  const x = standardiseColumns(features, moments);
  // Clipped columns need not have mean 0 any more: the intercept takes up what they leave.
  const shift = x.mean('column');
  x.subRowVector(shift);
  const offset = targets.mean('column');
  const y = targets.clone().subRowVector(offset);
  const dual = count <= x.columns;
  const across = x.transpose();
  const { values, vectors } = await symmetricEigen(
    rowsOf(dual ? product(x, across) : product(across, x)),
    signal,
  );
  // Rows of z: how much of the targets each left singular vector explains, times its singular value in the primal form.
  const spectrum = Array.from(values, value => (value > 1e-12 * values[0] ? value : 0));
  const turned = Matrix.from1DArray(vectors.rows, vectors.columns, vectors.data);
  const z = product(dual ? turned : product(turned, across), y);
  const explained = spectrum.map((value, k) => {
    if (value === 0) return 0;
    let squares = 0;
    for (let d = 0; d < z.columns; d++) squares += z.get(k, d) ** 2;
    return dual ? squares : squares / value;
  });
  const total = y.norm('frobenius') ** 2;
  await breathe(signal);
  const chosen = lambda ?? leastGcv(spectrum, explained, total, count);
  const inner = product(
    turned.transpose(),
    z.mulColumnVector(spectrum.map(value => (value === 0 ? 0 : 1 / (value + chosen)))),
  );
  const coefficients = dual ? product(across, inner) : inner;
  const map: LinearMap = {
    moments,
    coefficients,
    offset: offset.map((y, d) => y - shift.reduce((sum, s, f) => sum + s * coefficients.get(f, d), 0)),
  };
  return {
    lambda: chosen,
    freedom: 1 + spectrum.reduce((sum, value) => sum + (value === 0 ? 0 : value / (value + chosen)), 0),
    map,
    predict: rows => applyMap(map, rows),
  };
}

/**
 * The penalty of the least GCV score among 61 over ten decades about the mean eigenvalue.
 * @param spectrum eigenvalues of the products of the N training rows
 * @param explained squares of the targets along each of their vectors
 * @param total the sum of all squares of the targets
 */
export function leastGcv(
  spectrum: readonly number[],
  explained: readonly number[],
  total: number,
  count: number,
): number {
  const scale = Math.max(spectrum.reduce((a, b) => a + b, 0) / count, 1e-12);
  let best = { score: Infinity, lambda: scale };
  for (let step = 0; step <= 60; step++) {
    const lambda = scale * 10 ** (-5 + step / 6);
    let residual = total;
    let freedom = 1;
    spectrum.forEach((value, k) => {
      const kept = value / (value + lambda);
      residual -= (1 - (1 - kept) ** 2) * explained[k];
      freedom += kept;
    });
    if (freedom >= count - 1e-6) continue;
    const score = Math.max(residual, 0) / (count - freedom) ** 2;
    if (score < best.score) best = { score, lambda };
  }
  return best.lambda;
}
