/** Kernel ridge regression: answers are mixtures of training rows, weighed by how near their features are. */
import type { Matrix } from 'ml-matrix';
import { breathe, type Rows, rowDots, transposed } from '../compute/index.ts';
import { symmetricEigen } from './eigen.ts';
import { rowsOf } from './products.ts';
import { columnMoments, leastGcv, type Moments, standardiseColumns } from './ridge.ts';

/** y = k(f)' coefficients, k_n(f) = exp(-|standardise(f) - rows[n]| / bandwidth), for F features and D targets. */
export interface KernelMap {
  readonly moments: Moments;
  readonly bandwidth: number;
  /** [N, F] training features in standard units. */
  readonly rows: Rows;
  /** [N, D] */
  readonly coefficients: Rows;
}

/** A fitted kernel ridge regression. */
export interface KernelRidge {
  readonly map: KernelMap;
  readonly lambda: number;
  /** [N * D] what it would foretell of each training row had it not seen it: y_n - c_n / ((K + lambda I)^-1)_nn, exact for a given penalty. */
  readonly leftOut: Float32Array;
}

/** exp(-|a_i - b_j| / bandwidth) of rows [N, F] and [M, F]: [N, M]. */
function laplace(a: Rows, b: Rows, bandwidth: number): Rows {
  const distances = distancesOf(a, b);
  distances.data.forEach((distance, i) => {
    distances.data[i] = Math.exp(-distance / bandwidth);
  });
  return distances;
}

function distancesOf(a: Rows, b: Rows): Rows {
  const squares = ({ rows, columns, data }: Rows) =>
    Float64Array.from({ length: rows }, (_, n) => {
      let sum = 0;
      for (let f = 0; f < columns; f++) sum += data[n * columns + f] ** 2;
      return sum;
    });
  const [own, others] = [squares(a), squares(b)];
  const products = rowDots(a, b);
  for (let n = 0; n < a.rows; n++) {
    for (let m = 0; m < b.rows; m++) {
      const at = n * b.rows + m;
      products.data[at] = Math.sqrt(Math.max(0, own[n] + others[m] - 2 * products.data[at]));
    }
  }
  return products;
}

/** The median distance of different rows: of all pairs. */
function medianDistance(distances: Rows): number {
  const found: number[] = [];
  for (let n = 1; n < distances.rows; n++)
    for (let m = 0; m < n; m++) found.push(distances.data[n * distances.columns + m]);
  found.sort((x, y) => x - y);
  return found[Math.floor(found.length / 2)] || 1;
}

/**
 * Fits targets of mean 0, [N, D], from features [N, F] by a Laplace kernel whose bandwidth is the median distance of the training rows in standard units (its
 * choice hardly matters between half and four times that); the penalty by generalised cross-validation. Throws the signal's reason when it is raised.
 */
export async function fitKernelRidge(
  features: Matrix,
  targets: Rows,
  { signal }: { readonly signal?: AbortSignal } = {},
): Promise<KernelRidge> {
  const { rows: count, columns: size } = targets;
  if (features.rows !== count) throw new Error(`${features.rows} rows of features and ${count} of targets`);
  if (count < 2) throw new Error('kernel ridge regression needs at least two training rows');
  const moments = columnMoments(features);
  const rows = rowsOf(standardiseColumns(features, moments));
  const bandwidth = medianDistance(distancesOf(rows, rows));
  await breathe(signal);
  const { values, vectors } = await symmetricEigen(laplace(rows, rows, bandwidth), signal);
  // Of a positive definite kernel: what lies below 0 is rounding.
  const spectrum = Array.from(values, value => Math.max(value, 0));
  const z = rowDots(vectors, transposed(targets));
  await breathe(signal);
  const explained = spectrum.map((_, k) => {
    let squares = 0;
    for (let d = 0; d < size; d++) squares += z.data[k * size + d] ** 2;
    return squares;
  });
  const total = targets.data.reduce((sum, y) => sum + y ** 2, 0);
  const lambda = leastGcv(spectrum, explained, total, count);
  z.data.forEach((value, i) => {
    z.data[i] = value / (spectrum[Math.floor(i / size)] + lambda);
  });
  const coefficients = rowDots(transposed(vectors), transposed(z));
  await breathe(signal);
  const leftOut = new Float32Array(count * size);
  for (let n = 0; n < count; n++) {
    let own = 0;
    for (let k = 0; k < count; k++) own += vectors.data[k * count + n] ** 2 / (spectrum[k] + lambda);
    for (let d = 0; d < size; d++)
      leftOut[n * size + d] = targets.data[n * size + d] - coefficients.data[n * size + d] / own;
  }
  return { map: { moments, bandwidth, rows, coefficients }, lambda, leftOut };
}

/** The map's answers [M, D] to features [M, F]. */
export function applyKernelMap(
  { moments, bandwidth, rows, coefficients }: KernelMap,
  features: Matrix,
): Rows {
  const asked = rowsOf(standardiseColumns(features, moments));
  return rowDots(laplace(asked, rows, bandwidth), transposed(coefficients));
}
