/** How much of an NCA lies in the affine span of others: what no method that answers with mixtures of training NCAs can pass. */
import { shrunkCovariance } from '../diffusion/index.ts';

/** An NCA's nearest point in a span. */
export interface SpanProjection {
  /** [M * D] */
  readonly weights: Float32Array;
  /** |projection - mean|^2 over |weights - mean|^2, summed over all M. */
  readonly share: number;
}

/**
 * Orthogonal projections on mean + span of the first `rank` principal components of the training weights, for every rank; one above their number stands
 * for all of them.
 * @param train [N * D]
 * @param weights [M * D]
 * @param size D
 * @param signal its reason is thrown when it is raised
 */
export async function spanProjections(
  train: Float32Array,
  weights: Float32Array,
  size: number,
  ranks: readonly number[],
  signal?: AbortSignal,
): Promise<SpanProjection[]> {
  const known = train.length / size;
  const mean = new Float64Array(size);
  train.forEach((x, i) => {
    mean[i % size] += x / known;
  });
  const data = Float64Array.from(train, (x, i) => x - mean[i % size]);
  const { directions } = await shrunkCovariance({ rows: known, columns: size, data }, { signal });
  const components = directions.length / size;
  const count = weights.length / size;
  const centred = weights.map((x, i) => x - mean[i % size]);
  const total = centred.reduce((sum, x) => sum + x ** 2, 0);
  return ranks.map(rank => {
    const projected = new Float64Array(weights.length);
    for (let n = 0; n < count; n++) {
      for (let k = 0; k < Math.min(rank, components); k++) {
        let along = 0;
        for (let d = 0; d < size; d++) along += directions[k * size + d] * centred[n * size + d];
        for (let d = 0; d < size; d++) projected[n * size + d] += along * directions[k * size + d];
      }
    }
    return {
      weights: Float32Array.from(projected, (x, i) => x + mean[i % size]),
      share: total > 0 ? projected.reduce((sum, x) => sum + x ** 2, 0) / total : 1,
    };
  });
}
