/**
 * Karras et al. (2022), "Elucidating the design space of diffusion-based generative models" (EDM): noisy data are x + sigma n; the
 * denoiser is D(x; sigma) = c_skip x + c_out F(c_in x; c_noise).
 */
import { refuse } from '../config/index.ts';
import type { ApplyOptions, Condition, Denoiser } from '../denoisers/index.ts';
import { tf } from '../tensor/index.ts';
import type { Diffusion, Objective } from './diffusion.ts';
import { type GaussianPrior, gaussianEstimate } from './gaussian.ts';
import { combineEstimates, guidedEstimates } from './guidance.ts';
import { binLevels, binOf, drawLevels, levelAt, type NoiseDistribution } from './noise.ts';
import { SAMPLERS, type SamplerName, type SamplerOptions } from './samplers.ts';
import { SCHEDULES, type ScheduleName } from './schedules.ts';

/** What the network gives: F of the preconditioning, or the clean weights themselves. */
export type Parametrisation = 'edm' | 'clean';
/** How much the error at a noise level counts: see `lossWeight` for the formulas. */
export type LossWeighting = 'edm' | 'snr' | 'soft-min-snr' | 'uniform';

/** How EDM is sampled; which parameters count depends on sampler and schedule. */
export interface EdmSampling {
  readonly sampler: SamplerName;
  /** How the noise levels fall from `sigmaMax` to `sigmaMin`; the last step goes to 0. */
  readonly schedule: ScheduleName;
  readonly steps: number;
  readonly sigmaMin: number;
  readonly sigmaMax: number;
  /** Of the schedule `karras`. */
  readonly rho: number;
  /** Of the sampler `heun`; undefined for none. */
  readonly churn: SamplerOptions['churn'];
  /** Of ancestral samplers, in [0, 1]: 1 keeps the marginals of the SDE, 0 is the ODE. */
  readonly eta: number;
  /** Of the sampler `lms`, 1 to 4. */
  readonly order: number;
}

/** Parameters of EDM: noise, preconditioning, loss weighting and sampling. */
export interface EdmConfig {
  /** Standard deviation of the normalised data. */
  readonly sigmaData: number;
  /** Distribution of sigma in training. */
  readonly noise: NoiseDistribution;
  /** `edm`: the network is F above. `clean`: the network is D itself, of the same scaled input. */
  readonly parametrisation: Parametrisation;
  /** Default: `edm`, but `uniform` with `clean`. */
  readonly weighting: LossWeighting;
  readonly sampling: EdmSampling;
}

/** Karras et al. (2022), table 1, with wider training noise (std 1.8, not 1.2); sampled by Heun's method in 18 steps without churn. */
export const EDM_DEFAULTS: EdmConfig = {
  sigmaData: 0.5,
  noise: { kind: 'log-normal', mean: -1.2, std: 1.8 },
  parametrisation: 'edm',
  weighting: 'edm',
  sampling: {
    sampler: 'heun',
    schedule: 'karras',
    steps: 18,
    sigmaMin: 0.002,
    sigmaMax: 80,
    rho: 7,
    churn: undefined,
    eta: 1,
    order: 4,
  },
};

/** The parameters that differ from `EDM_DEFAULTS`. */
export type EdmOptions = Partial<Omit<EdmConfig, 'sampling'>> & { readonly sampling?: Partial<EdmSampling> };

export interface Coefficients {
  readonly skip: number;
  readonly out: number;
  readonly in: number;
  /** The noise label, ln(sigma) / 4. */
  readonly noise: number;
}

/** c_skip, c_out, c_in, c_noise (table 1). With `clean`, c_skip = 0 and c_out = 1. */
export function coefficients(
  { sigmaData, parametrisation }: Pick<EdmConfig, 'sigmaData' | 'parametrisation'>,
  sigma: number,
): Coefficients {
  const variance = sigma ** 2 + sigmaData ** 2;
  const common = { in: 1 / Math.sqrt(variance), noise: Math.log(sigma) / 4 };
  return parametrisation === 'clean'
    ? { skip: 0, out: 1, ...common }
    : { skip: sigmaData ** 2 / variance, out: (sigma * sigmaData) / Math.sqrt(variance), ...common };
}

/**
 * The weight of |D - x|^2. `edm` is 1 / c_out^2, so that F's error counts alike at every level; `snr` is 1 / sigma^2; `soft-min-snr`
 * is 1 / (sigma^2 + sigma_data^2), which stays bounded as sigma -> 0 (Crowson et al. 2024; Hang et al. 2023); `uniform` is 1 / sigma_data^2, to
 * which `edm` falls as sigma grows.
 */
export function lossWeight(
  { sigmaData, weighting }: Pick<EdmConfig, 'sigmaData' | 'weighting'>,
  sigma: number,
): number {
  const variance = sigma ** 2 + sigmaData ** 2;
  switch (weighting) {
    case 'edm':
      return variance / (sigma * sigmaData) ** 2;
    case 'snr':
      return 1 / sigma ** 2;
    case 'soft-min-snr':
      return 1 / variance;
    case 'uniform':
      return 1 / sigmaData ** 2;
  }
}

/** What D is built of: the configuration, and the prior where there is one. */
export interface Preconditioning extends Pick<EdmConfig, 'sigmaData' | 'parametrisation'> {
  readonly prior?: GaussianPrior | null;
}

/** A column [B, 1] of float64 numbers. */
const column = (values: ArrayLike<number>) => tf.tensor2d(Float32Array.from(values), [values.length, 1]);

/**
 * D(x; sigma) of the denoiser: x [B, D], sigmas [B]. Differentiable. With a prior the skip connection is its optimal estimate, whose covariance is that of
 * the weights and not a multiple of the identity; F is given that estimate in the place of the noisy weights (at high noise it is r(c), and not
 * noise), and is scaled by what it leaves open: D = E[w | x] + std(w | x) F(E[w | x] / sigma_data; c_noise).
 */
export function denoise(
  config: Preconditioning,
  denoiser: Denoiser,
  x: tf.Tensor2D,
  sigmas: ArrayLike<number>,
  condition: Condition | null,
  options?: ApplyOptions,
): tf.Tensor2D {
  return tf.tidy(() => preconditioned(config, denoiser, x, sigmas, condition, options).denoised);
}

/** D(x; sigma) [B, D] and the scale [B, 1] of F in it. */
function preconditioned(
  config: Preconditioning,
  denoiser: Denoiser,
  x: tf.Tensor2D,
  sigmas: ArrayLike<number>,
  condition: Condition | null,
  options?: ApplyOptions,
): { denoised: tf.Tensor2D; scale: tf.Tensor2D } {
  const c = Array.from(sigmas, sigma => coefficients(config, sigma));
  const label = tf.tensor1d(c.map(k => k.noise));
  const { prior, sigmaData } = config;
  if (prior) {
    const { mean, deviation } = gaussianEstimate(prior, x, sigmas, condition);
    const added = denoiser.apply(tf.div(mean, sigmaData), label, condition, options);
    return { denoised: tf.add(mean, tf.mul(deviation, added)), scale: deviation };
  }
  const raw = denoiser.apply(tf.mul(column(c.map(k => k.in)), x), label, condition, options);
  const scale = column(c.map(k => k.out));
  if (config.parametrisation === 'clean') return { denoised: raw, scale };
  return { denoised: tf.add(tf.mul(column(c.map(k => k.skip)), x), tf.mul(scale, raw)), scale };
}

/** The middle 99 % of the training noise: what a sampler goes through unless it is told otherwise. */
const trainedRange = (noise: NoiseDistribution) => ({
  sigmaMin: levelAt(noise, 0.005),
  sigmaMax: levelAt(noise, 0.995),
});

/** The share of the training noise on either side that a sampler may not go beyond: there the network was never trained. */
const RARE = 5e-4;

/** One rule at every door: bounds the right way round, and the sampler's range inside the training noise. */
function checkRanges({ noise, sampling: { sigmaMin, sigmaMax, churn } }: EdmConfig): void {
  const number = (x: number) => `${Number(x.toPrecision(3))}`;
  if (noise.kind === 'log-uniform' && noise.min >= noise.max)
    refuse('diffusion', `less than max, ${noise.max}`, `${noise.min}`, { field: 'noise.min' });
  if (sigmaMin >= sigmaMax)
    refuse('diffusion', `less than sigmaMax, ${number(sigmaMax)}`, number(sigmaMin), {
      field: 'sampling.sigmaMin',
    });
  if (churn?.min !== undefined && churn.max !== undefined && churn.min > churn.max)
    refuse('diffusion', `at most max, ${churn.max}`, `${churn.min}`, { field: 'sampling.churn.min' });
  const [low, high] = [levelAt(noise, RARE), levelAt(noise, 1 - RARE)];
  const trained = `what training sees, ${number(low)} to ${number(high)}`;
  if (sigmaMin < low * (1 - 1e-9))
    refuse('diffusion', `a level inside ${trained}`, number(sigmaMin), { field: 'sampling.sigmaMin' });
  if (sigmaMax > high * (1 + 1e-9))
    refuse('diffusion', `a level inside ${trained}`, number(sigmaMax), { field: 'sampling.sigmaMax' });
}

/**
 * EDM as a process to train and sample by. Where the training noise is given and the sampler's range is not, it is the middle 99 % of that noise.
 * @param prior the Gaussian that D is built around: see `denoise`. Default: none, the isotropic skip connection of the paper
 * @throws UserError when the sampler's range reaches beyond the training noise, bounds are turned round, or `clean` is asked of a process with a prior
 */
export function edm(
  options: EdmOptions = {},
  prior: GaussianPrior | null = null,
): Diffusion & { readonly config: EdmConfig } {
  const noise = options.noise ?? EDM_DEFAULTS.noise;
  const config: EdmConfig = {
    ...EDM_DEFAULTS,
    // 1 / c_out^2 makes F's error count alike at every level, but a network that is D itself cannot meet it as sigma -> 0. The weights
    // that fall with sigma, on the other hand, neglect the levels at which the condition alone decides.
    ...(options.parametrisation === 'clean' && { weighting: 'uniform' }),
    ...options,
    sampling: { ...EDM_DEFAULTS.sampling, ...(options.noise && trainedRange(noise)), ...options.sampling },
  };
  checkRanges(config);
  if (prior && config.parametrisation === 'clean')
    refuse('diffusion', 'edm where there is a prior', 'clean', { field: 'parametrisation' });
  const preconditioning = { ...config, prior };
  const { sampling } = config;
  const distribution = noise;
  return {
    name: 'edm',
    config,
    prior,
    sigmaData: config.sigmaData,
    drawLevels: (random, batch) => drawLevels(distribution, random, batch),
    binLevels: bins => binLevels(distribution, bins),
    binOf: (sigma, bins) => binOf(distribution, sigma, bins),
    signal: sigma => config.sigmaData ** 2 / (config.sigmaData ** 2 + sigma ** 2),

    objective(denoiser, clean, noise, sigmas, condition, applyOptions): Objective {
      const noisy = tf.tidy(() => tf.add(clean, tf.mul(column(sigmas), noise)) as tf.Tensor2D);
      return tf.tidy(() => {
        const { denoised, scale } = preconditioned(
          preconditioning,
          denoiser,
          noisy,
          sigmas,
          condition,
          applyOptions,
        );
        const errors = tf.mean(tf.squaredDifference(denoised, clean), 1) as tf.Tensor1D;
        // EDM's weighting is 1 / c_out^2, whatever c_out is.
        const weights =
          config.weighting === 'edm'
            ? (tf.reshape(tf.square(tf.reciprocal(scale)), [-1]) as tf.Tensor1D)
            : tf.tensor1d(Float32Array.from(sigmas, sigma => lossWeight(config, sigma)));
        return { denoised, losses: tf.mul(weights, errors) as tf.Tensor1D };
      });
    },

    async sample({ denoiser, condition, shape, noise, steps = sampling.steps, guidance, onStep, signal }) {
      const sigmas = SCHEDULES[sampling.schedule]({ ...sampling, steps });
      const denoised = async (x: Float64Array, sigma: number): Promise<Float64Array> => {
        const estimate = tf.tidy(() => {
          const noisy = tf.tensor2d(Float32Array.from(x), [...shape]);
          const at = (model: Denoiser, batch: tf.Tensor2D, given: Condition | null) =>
            denoise(preconditioning, model, batch, new Float64Array(batch.shape[0]).fill(sigma), given);
          const guided = guidedEstimates(at, denoiser, noisy, condition, guidance, sigma);
          return combineEstimates(guided, guidance?.scale ?? 1);
        });
        const values = await estimate.data();
        estimate.dispose();
        return Float64Array.from(values);
      };
      const start = noise().map(unit => unit * sigmas[0]);
      const { churn, eta, order } = sampling;
      return SAMPLERS[sampling.sampler](denoised, start, sigmas, {
        noise,
        onStep,
        signal,
        churn,
        eta,
        order,
      });
    },
  };
}
