/**
 * Does a model sample? Measures of K samples for each of M conditions against the one truth that is known of each. All take samples [K][M * D],
 * in whatever space the differences are meant in: normalised weights, or features of pictures.
 */

type Numbers = Float32Array | Float64Array;

/** How far samples lie apart, beside how far their mean lies from the truth. */
export interface SpreadToError {
  /** Root mean square of the difference of two samples of one condition, over coordinates. */
  readonly spread: number;
  /** Root mean square of the difference of the mean of K samples from the truth. */
  readonly error: number;
  /**
   * spread / (sqrt(2) error / sqrt(1 + 1/K)): 1 where truth and samples are draws of one distribution; near 0 for a regressor in disguise, above 1 where
   * samples lie further apart than the truth from their mean. 1 alone proves nothing: noise of the right size has it too.
   */
  readonly ratio: number;
}

function checked(samples: readonly Numbers[], truth: Numbers): void {
  if (samples.length < 2)
    throw new Error(`measures of sampling need two samples of each, found ${samples.length}`);
  for (const sample of samples)
    if (sample.length !== truth.length)
      throw new Error(`samples of ${sample.length} and a truth of ${truth.length}`);
}

/** The ratio of spread and error of K samples [K][M * D] about the truth [M * D]. */
export function spreadToError(samples: readonly Numbers[], truth: Numbers): SpreadToError {
  checked(samples, truth);
  const K = samples.length;
  let [within, error] = [0, 0];
  for (let i = 0; i < truth.length; i++) {
    let mean = 0;
    for (const sample of samples) mean += sample[i] / K;
    // The mean square of pairwise differences is twice the unbiased variance.
    for (const sample of samples) within += (2 * (sample[i] - mean) ** 2) / (K - 1);
    error += (mean - truth[i]) ** 2;
  }
  const spread = Math.sqrt(within / truth.length);
  const rms = Math.sqrt(error / truth.length);
  return { spread, error: rms, ratio: spread / ((Math.SQRT2 * rms) / Math.sqrt(1 + 1 / K)) };
}

/** Euclidean distance of two rows over the root of their length: a root mean square. */
function apart(a: Numbers, b: Numbers, row: number, width: number): number {
  let sum = 0;
  for (let i = row * width; i < (row + 1) * width; i++) sum += (a[i] - b[i]) ** 2;
  return Math.sqrt(sum / width);
}

/**
 * Energy score of each condition (Gneiting and Raftery 2007): mean |x_k - y| - 1/2 mean over pairs of |x_k - x_l|, in root-mean-square units; lower is
 * better, and a proper score: no distribution does better than the truth's own. The pairs' mean leaves out k = l, so that it does not depend on K. A
 * single answer has the score |x - y|.
 * @returns [M]
 */
export function energyScores(samples: readonly Numbers[], truth: Numbers, width: number): Float64Array {
  const K = samples.length;
  return Float64Array.from({ length: truth.length / width }, (_, row) => {
    let [toTruth, between] = [0, 0];
    for (let k = 0; k < K; k++) {
      toTruth += apart(samples[k], truth, row, width) / K;
      for (let l = 0; l < k; l++) between += apart(samples[k], samples[l], row, width);
    }
    return toTruth - (K > 1 ? between / (K * (K - 1)) : 0);
  });
}

/** The mean of K samples, [M * D]. */
export const meanOfSamples = (samples: readonly Float32Array[]): Float32Array =>
  samples[0].map((_, i) => samples.reduce((sum, sample) => sum + sample[i], 0) / samples.length);

/**
 * Best of K, honestly: for each condition the sample with the least `choice` (one metric, one mask seed), and its value by `measure` (another metric,
 * another mask seed). Both [K][M].
 * @returns [M]
 */
export const bestOf = (choice: readonly Numbers[], measure: readonly Numbers[]): Float64Array =>
  Float64Array.from({ length: choice[0].length }, (_, m) => {
    const best = choice.reduce((least, values, k) => (values[m] < choice[least][m] ? k : least), 0);
    return measure[best][m];
  });

/**
 * How many different NCAs there are among rows [n * D]: groups that are left when rows nearer to each other than `threshold` (root mean square) are
 * one. Unconditional samples of a collapsed model are all one.
 */
export function distinctRows(rows: Numbers, width: number, threshold: number): number {
  const count = rows.length / width;
  const group = Array.from({ length: count }, (_, i) => i);
  const find = (i: number): number => (group[i] === i ? i : find(group[i]));
  for (let a = 0; a < count; a++) {
    for (let b = 0; b < a; b++) {
      let sum = 0;
      for (let d = 0; d < width; d++) sum += (rows[a * width + d] - rows[b * width + d]) ** 2;
      if (Math.sqrt(sum / width) < threshold) group[find(a)] = find(b);
    }
  }
  return group.filter((parent, i) => parent === i).length;
}
