/**
 * The null model of sampling: weights given a condition are Gaussian, N(r(c), S), with r ridge regression and S the covariance of its residuals. For it
 * the optimal denoiser is known in closed form, D(x; s) = r(c) + S (S + s^2 I)^-1 (x - r(c)). What any denoiser must beat in every noise bin, and a
 * test of samplers in the full dimension: under them it has to give samples of that mean and covariance.
 */
import { EigenvalueDecomposition, Matrix } from 'ml-matrix';
import type { Denoiser } from '../denoisers/index.ts';
import { coefficients, type EdmConfig } from '../diffusion/index.ts';
import type { NcaSpec } from '../nca/index.ts';
import { randomStream, tf } from '../tensor/index.ts';
import { fitRidge } from './ridge.ts';

/** N(r(c), S) with S = sum over k of (spectrum[k] - rest) e_k e_k' + rest I. */
export interface ConditionalGaussian {
  /** D, numbers a sample. */
  readonly size: number;
  /** r(c): features [M * F] -> means [M * D]. */
  mean(features: Float32Array): Float32Array;
  /** [K] variances along the directions, largest first. */
  readonly spectrum: Float64Array;
  /** [K * D] orthonormal directions. */
  readonly directions: Float32Array;
  /** The variance along every other direction. */
  readonly rest: number;
}

/** Training rows: N samples of D weights and F features. */
export interface GaussianInput {
  /** [N * D] normalised weights. */
  readonly weights: Float32Array;
  /** [N * F] */
  readonly features: Float32Array;
  readonly size: number;
  /** Parts of the cross-fitting; default 5. */
  readonly folds?: number;
  /** Deals rows to folds; default 0. */
  readonly seed?: number;
}

/**
 * Fits r on all rows, and S on residuals that are cross-fitted (each by a ridge that did not see its row), shrunk towards a multiple of the
 * identity as Ledoit and Wolf (2004) say.
 */
export function fitGaussian({
  weights,
  features,
  size,
  folds = 5,
  seed = 0,
}: GaussianInput): ConditionalGaussian {
  const count = weights.length / size;
  const width = features.length / count;
  const parts = Math.min(folds, count);
  if (!Number.isInteger(count) || count < 4 || !Number.isInteger(width))
    throw new Error(`${weights.length} weights and ${features.length} features are no four rows`);
  const x = Matrix.from1DArray(count, width, features);
  const y = Matrix.from1DArray(count, size, weights);
  const whole = fitRidge(x, y);
  const order = randomStream(seed, 'gaussian/folds').permutation(count);
  const residuals = new Matrix(count, size);
  for (let fold = 0; fold < parts; fold++) {
    const out = [...order].filter((_, i) => i % parts === fold);
    const kept = [...order].filter((_, i) => i % parts !== fold);
    const found = fitRidge(x.selection(kept, columns(width)), y.selection(kept, columns(size))).predict(
      x.selection(out, columns(width)),
    );
    out.forEach((row, i) => {
      for (let d = 0; d < size; d++) residuals.set(row, d, y.get(row, d) - found.get(i, d));
    });
  }
  return {
    size,
    mean: given =>
      Float32Array.from(whole.predict(Matrix.from1DArray(given.length / width, width, given)).to1DArray()),
    ...shrunkCovariance(residuals),
  };
}

const columns = (count: number) => Array.from({ length: count }, (_, i) => i);

/**
 * Ledoit and Wolf's covariance of rows of mean zero, [N, D] with any N: (1 - a) S + a m I, with m = tr S / D and
 * a = min(1, b / d), d = |S - m I|^2, b = (sum of |x_n|^4 - N |S|^2) / N^2 in Frobenius norms; in the eigenvectors of X X' / N.
 */
export function shrunkCovariance(
  rows: Matrix,
): Pick<ConditionalGaussian, 'spectrum' | 'directions' | 'rest'> {
  const [count, size] = [rows.rows, rows.columns];
  const gram = rows.mmul(rows.transpose()).div(count);
  const { realEigenvalues, eigenvectorMatrix } = new EigenvalueDecomposition(gram, { assumeSymmetric: true });
  const order = columns(count).sort((a, b) => realEigenvalues[b] - realEigenvalues[a]);
  const floor = 1e-10 * Math.max(...realEigenvalues);
  const kept = order.filter(k => realEigenvalues[k] > floor).slice(0, size);
  const total = realEigenvalues.reduce((sum, value) => sum + value, 0);
  const squares = realEigenvalues.reduce((sum, value) => sum + value ** 2, 0);
  const even = total / size;
  const distance = squares - total ** 2 / size;
  const fourth = columns(count).reduce((sum, n) => sum + (count * gram.get(n, n)) ** 2, 0);
  const noise = (fourth - count * squares) / count ** 2;
  const share = distance > 0 ? Math.min(1, Math.max(0, noise / distance)) : 1;
  const directions = new Float32Array(kept.length * size);
  kept.forEach((k, i) => {
    const scale = 1 / Math.sqrt(count * realEigenvalues[k]);
    for (let n = 0; n < count; n++) {
      const part = eigenvectorMatrix.get(n, k) * scale;
      for (let d = 0; d < size; d++) directions[i * size + d] += part * rows.get(n, d);
    }
  });
  return {
    spectrum: Float64Array.from(kept, k => (1 - share) * realEigenvalues[k] + share * even),
    directions,
    rest: share * even,
  };
}

/**
 * The closed-form denoiser behind the common interface: it has no variables, and its condition is one token, r(c) itself, [B, 1, D]. It takes the noise
 * level out of its label and undoes the preconditioning of `config`, so that every sampler and loss of EDM takes it as it is.
 */
export function gaussianDenoiser(
  spec: NcaSpec,
  { spectrum, directions, rest, size }: Omit<ConditionalGaussian, 'mean'>,
  config: Pick<EdmConfig, 'sigmaData' | 'parametrisation'>,
): Denoiser {
  const basis = tf.keep(tf.tensor2d(directions, [spectrum.length, size]));
  return {
    name: 'ridge + residual',
    spec,
    variables: {},
    symmetries: [],
    apply: (weights, noiseLabel, condition) =>
      tf.tidy(() => {
        if (!condition) throw new Error('ridge + residual: it is given the mean as its condition');
        // Small, and needed in float64: the levels of a batch.
        const sigmas = Array.from(noiseLabel.dataSync(), label => Math.exp(4 * label));
        const column = (of: (sigma: number) => number) => tf.tensor2d(sigmas.map(of), [sigmas.length, 1]);
        const c = (sigma: number) => coefficients(config, sigma);
        const mean = tf.reshape(condition.tokens, [-1, size]);
        const x = tf.div(
          weights,
          column(sigma => c(sigma).in),
        );
        const offset = tf.sub(x, mean);
        const kept = (variance: number, sigma: number) => variance / (variance + sigma ** 2);
        const along = tf.matMul(offset as tf.Tensor2D, basis, false, true);
        const gains = tf.tensor2d(
          sigmas.flatMap(sigma => Array.from(spectrum, v => kept(v, sigma) - kept(rest, sigma))),
          [sigmas.length, spectrum.length],
        );
        const filtered = tf.add(
          tf.mul(
            offset,
            column(sigma => kept(rest, sigma)),
          ),
          tf.matMul(tf.mul(along, gains), basis),
        );
        const denoised = tf.add(mean, filtered);
        return tf.div(
          tf.sub(
            denoised,
            tf.mul(
              x,
              column(sigma => c(sigma).skip),
            ),
          ),
          column(sigma => c(sigma).out),
        ) as tf.Tensor2D;
      }),
    dispose: () => basis.dispose(),
  };
}
