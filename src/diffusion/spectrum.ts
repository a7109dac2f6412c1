/** Noise levels that fit a zoo: what its weights' spectrum says of where the training noise has to lie. */
import { normalQuantile } from './noise.ts';

/**
 * The largest standard deviation along any direction of rows [N * D] (centred here): the root of the largest eigenvalue of their
 * covariance, by power iteration. In units of the rows.
 */
export function largestDeviation(rows: Float32Array, size: number): number {
  const count = rows.length / size;
  if (!Number.isInteger(count) || count < 2)
    throw new Error(`a spectrum needs at least two rows of ${size}, not ${rows.length} numbers`);
  const mean = new Float64Array(size);
  for (let i = 0; i < rows.length; i++) mean[i % size] += rows[i] / count;
  // From the longest row: it has a part along the first direction.
  let direction = new Float64Array(size);
  let longest = -1;
  for (let n = 0; n < count; n++) {
    const row = Float64Array.from({ length: size }, (_, d) => rows[n * size + d] - mean[d]);
    const length = norm(row);
    if (length > longest) [longest, direction] = [length, row];
  }
  if (longest === 0) return 0;
  let eigenvalue = 0;
  for (let iteration = 0; iteration < 500; iteration++) {
    const length = norm(direction);
    const next = new Float64Array(size);
    for (let n = 0; n < count; n++) {
      let along = 0;
      for (let d = 0; d < size; d++) along += ((rows[n * size + d] - mean[d]) * direction[d]) / length;
      for (let d = 0; d < size; d++) next[d] += ((rows[n * size + d] - mean[d]) * along) / (count - 1);
    }
    const found = norm(next);
    direction = next;
    if (Math.abs(found - eigenvalue) <= 1e-6 * found) return Math.sqrt(found);
    eigenvalue = found;
  }
  return Math.sqrt(eigenvalue);
}

const norm = (values: Float64Array): number => Math.sqrt(values.reduce((sum, x) => sum + x * x, 0));

/**
 * The log-normal noise of which 5 to 95 % lie between `low` times sigma_data and `high` times the largest deviation of the normalised weights.
 * Below the first the noise hardly hides anything; above the second nothing is left of the weights.
 */
export function spectrumNoise(
  { low, high }: { readonly low: number; readonly high: number },
  sigmaData: number,
  deviation: number,
): { kind: 'log-normal'; mean: number; std: number } {
  const [from, to] = [Math.log(low * sigmaData), Math.log(high * Math.max(deviation, sigmaData))];
  return { kind: 'log-normal', mean: (from + to) / 2, std: (to - from) / (2 * normalQuantile(0.95)) };
}
