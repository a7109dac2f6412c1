/** What training and sampling know of a diffusion process; EDM and the DDIM baseline stand behind it. */
import type { ApplyOptions, Condition, Denoiser, Given } from '../denoisers/index.ts';
import type { RandomStream, tf } from '../tensor/index.ts';
import type { GaussianPrior } from './gaussian.ts';
import type { Guidance } from './guidance.ts';
import type { SamplerStep } from './samplers.ts';

/** What a batch gave under the training objective. */
export interface Objective {
  /** [B, D], the denoiser's estimate of the clean weights. */
  readonly denoised: tf.Tensor2D;
  /** [B], the weighted squared error, mean over coordinates. */
  readonly losses: tf.Tensor1D;
}

/** What is sampled, from which noise, in how many steps. */
export interface SampleOptions {
  readonly denoiser: Denoiser;
  /** Tokens [B, T, C], with means [B, D] where the process has a prior; null to sample without condition. */
  readonly condition: Given | null;
  /** [B, D]. */
  readonly shape: readonly [batch: number, size: number];
  /** The next unit normals [B * D]; the first draw starts the sample. */
  readonly noise: () => Float64Array;
  /** Default: the process's own. */
  readonly steps?: number;
  /** Default: none. */
  readonly guidance?: Guidance;
  /** Told of every step before it is taken. */
  readonly onStep?: (step: SamplerStep) => void;
  /** When raised, sampling ends with its reason before the next step. */
  readonly signal?: AbortSignal;
}

/**
 * A diffusion process: how noise is added, what a denoiser is trained on, how it is sampled. Made by `edm`, `ddim` or `createDiffusion`.
 */
export interface Diffusion {
  readonly name: string;
  /** Standard deviation the normalised data should have. */
  readonly sigmaData: number;
  /** What the process is built around; null for none. */
  readonly prior: GaussianPrior | null;
  /** Noise levels of a training batch: sigma for EDM, the time step for DDIM. */
  drawLevels(random: RandomStream, batch: number): Float64Array;
  /** One level for each of `bins` bins of equal probability under the training distribution. */
  binLevels(bins: number): number[];
  /** The bin a level belongs to. */
  binOf(level: number, bins: number): number;
  /** The share of signal in the variance of noisy data, in [0, 1]: 1 without noise. */
  signal(level: number): number;
  /**
   * The training objective; differentiable with respect to the denoiser's variables and the condition.
   *
   * @param clean [B, D] normalised weights
   * @param noise [B, D] unit normals
   * @param levels [B]
   */
  objective(
    denoiser: Denoiser,
    clean: tf.Tensor2D,
    noise: tf.Tensor2D,
    levels: ArrayLike<number>,
    condition: Condition | null,
    options?: ApplyOptions,
  ): Objective;
  /** Samples [B * D] in normalised space. Throws the signal's reason when interrupted. */
  sample(options: SampleOptions): Promise<Float64Array>;
}
