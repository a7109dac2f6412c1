/**
 * The DDIM baseline: a discrete variance-preserving process with squared-cosine betas (Nichol and Dhariwal 2021) and zero terminal SNR
 * (Lin et al. 2024), whose network predicts the clean sample, sampled by DDIM (Song et al. 2021).
 */
import { refuse } from '../config/index.ts';
import type { Denoiser } from '../denoisers/index.ts';
import { tf } from '../tensor/index.ts';
import type { Diffusion } from './diffusion.ts';
import { combineEstimates, type Guided, guidedEstimates } from './guidance.ts';

/** Parameters of the DDIM baseline. */
export interface DdimConfig {
  /** Times 0 .. trainingSteps - 1 that a network is trained at. */
  readonly trainingSteps: number;
  /** Of sampling, when a call asks for no other number. */
  readonly steps: number;
  /** Predictions are clipped to [-clip, clip] when sampling; null for no clip. */
  readonly clip: number | null;
  /** 0 is deterministic, 1 is DDPM's noise. */
  readonly eta: number;
  /** How far guided predictions are scaled back to the spread of the conditional ones, in [0, 1] (Lin et al. 2024, eq. 16). */
  readonly rescale: number;
  /** Over what that spread is measured: each sample alone, or the whole batch, whose samples then influence each other. */
  readonly rescaleOver: 'sample' | 'batch';
  /**
   * Where a step leads: to the next sampled time, or a fixed number of times down, floor(trainingSteps / steps), which misses it when
   * that division leaves a remainder (as diffusers does).
   */
  readonly stride: 'next' | 'fixed';
  /** Standard deviation of the normalised data. */
  readonly sigmaData: number;
}

/** A thousand training steps, fifty sampling ones, deterministic. */
export const DDIM_DEFAULTS: DdimConfig = {
  trainingSteps: 1000,
  steps: 50,
  clip: 15,
  eta: 0,
  rescale: 0.7,
  rescaleOver: 'sample',
  stride: 'next',
  sigmaData: 0.5,
};

/** Betas of the squared-cosine schedule, each at most 0.999. */
export function squaredCosineBetas(count: number): Float64Array {
  const kept = (t: number) => Math.cos((((t / count + 0.008) / 1.008) * Math.PI) / 2) ** 2;
  return Float64Array.from({ length: count }, (_, i) => Math.min(1 - kept(i + 1) / kept(i), 0.999));
}

/** Shifts and scales sqrt(alpha_bar) so that the last is 0 and the first stays (Lin et al. 2024, algorithm 1). */
export function zeroTerminalSnr(betas: Float64Array): { betas: Float64Array; alphaBars: Float64Array } {
  let product = 1;
  const roots = betas.map(beta => {
    product *= 1 - beta;
    return Math.sqrt(product);
  });
  const [first, last] = [roots[0], roots.at(-1)!];
  const alphaBars = roots.map(root => (((root - last) * first) / (first - last)) ** 2);
  return {
    betas: alphaBars.map((alphaBar, i) => 1 - alphaBar / (i === 0 ? 1 : alphaBars[i - 1])),
    alphaBars,
  };
}

/** Sampled times from the last down, evenly spaced (trailing); halves round to even. */
export function trailingTimes(trainingSteps: number, steps: number): number[] {
  const roundEven = (x: number) => {
    const near = Math.round(x);
    return Math.abs(x - Math.trunc(x)) === 0.5 && near % 2 !== 0 ? near - 1 : near;
  };
  return Array.from({ length: steps }, (_, i) => roundEven(trainingSteps - (i * trainingSteps) / steps) - 1);
}

/**
 * DDIM as a process to train and sample by. Noise levels are the times 0 .. trainingSteps - 1.
 *
 * @param alphaBars another schedule than the squared cosine: the share of signal at each time
 */
export function ddim(
  options: Partial<DdimConfig> = {},
  alphaBars: ArrayLike<number> = zeroTerminalSnr(
    squaredCosineBetas(options.trainingSteps ?? DDIM_DEFAULTS.trainingSteps),
  ).alphaBars,
): Diffusion & { readonly config: DdimConfig } {
  const config = { ...DDIM_DEFAULTS, ...options };
  const { trainingSteps, clip, eta } = config;
  const alphaBarAt = (time: number) => (time < 0 ? 1 : alphaBars[time]);
  const column = (levels: ArrayLike<number>, of: (alphaBar: number) => number) =>
    tf.tensor2d(
      Float32Array.from(levels, t => of(alphaBarAt(t))),
      [levels.length, 1],
    );

  return {
    name: 'ddim',
    prior: null,
    config,
    sigmaData: config.sigmaData,
    drawLevels: (random, batch) =>
      Float64Array.from({ length: batch }, () => random.integer(0, trainingSteps)),
    binLevels: bins => Array.from({ length: bins }, (_, i) => Math.floor(((i + 0.5) * trainingSteps) / bins)),
    binOf: (time, bins) => Math.floor((time * bins) / trainingSteps),
    signal: alphaBarAt,

    objective(denoiser, clean, noise, times, condition, applyOptions) {
      const noisy = tf.tidy(() =>
        tf.add(
          tf.mul(column(times, Math.sqrt), clean),
          tf.mul(
            column(times, a => Math.sqrt(1 - a)),
            noise,
          ),
        ),
      );
      const label = tf.tensor1d(Float32Array.from(times));
      const denoised = denoiser.apply(noisy as tf.Tensor2D, label, condition, applyOptions);
      const losses = tf.tidy(() => tf.mean(tf.squaredDifference(denoised, clean), 1)) as tf.Tensor1D;
      return { denoised, losses };
    },

    async sample({ denoiser, condition, shape, noise, steps = config.steps, guidance, onStep, signal }) {
      if (!Number.isInteger(steps) || steps < 1 || steps > trainingSteps)
        refuse('DDIM', `from 1 to the ${trainingSteps} steps it was trained with`, `${steps}`, {
          field: 'steps',
        });
      const times = trailingTimes(trainingSteps, steps);
      let x = noise();
      for (let step = 0; step < steps; step++) {
        signal?.throwIfAborted();
        const time = times[step];
        const next =
          config.stride === 'fixed' ? time - Math.floor(trainingSteps / steps) : (times[step + 1] ?? -1);
        const [alphaBar, nextBar] = [alphaBarAt(time), alphaBarAt(next)];
        // The level in EDM's terms, for a guidance interval.
        const sigma = Math.sqrt((1 - alphaBar) / alphaBar);
        const prediction = tf.tidy(() => {
          const noisy = tf.tensor2d(Float32Array.from(x), [...shape]);
          const at = (model: Denoiser, batch: tf.Tensor2D, given: Parameters<Denoiser['apply']>[2]) =>
            model.apply(batch, tf.fill([batch.shape[0]], time) as tf.Tensor1D, given);
          const guided = guidedEstimates(at, denoiser, noisy, condition, guidance, sigma);
          return rescaled(guided, combineEstimates(guided, guidance?.scale ?? 1), config);
        });
        const predicted = Float64Array.from(await prediction.data());
        prediction.dispose();
        onStep?.({ step, steps, sigma, x, denoised: predicted });

        const std = eta * Math.sqrt(((1 - nextBar) / (1 - alphaBar)) * (1 - alphaBar / nextBar));
        const fresh = std > 0 ? noise() : null;
        const [keep, spread] = [Math.sqrt(alphaBar), Math.sqrt(1 - alphaBar)];
        const direction = Math.sqrt(Math.max(0, 1 - nextBar - std ** 2));
        x = x.map((value, i) => {
          const epsilon = (value - keep * predicted[i]) / spread;
          const clean = clip === null ? predicted[i] : Math.min(clip, Math.max(-clip, predicted[i]));
          return Math.sqrt(nextBar) * clean + direction * epsilon + (fresh ? std * fresh[i] : 0);
        });
        await new Promise(resolve => setImmediate(resolve));
      }
      return x;
    },
  };
}

/** Guided predictions scaled towards the standard deviation of the conditional ones. */
function rescaled(
  { main, reference }: Guided,
  guided: tf.Tensor2D,
  { rescale, rescaleOver }: Pick<DdimConfig, 'rescale' | 'rescaleOver'>,
): tf.Tensor2D {
  if (!reference || rescale === 0) return guided;
  const axis = rescaleOver === 'sample' ? 1 : undefined;
  // Both spreads have the same number of degrees of freedom, so the ratio of biased ones is that of unbiased ones.
  const spread = (x: tf.Tensor2D) => tf.sqrt(tf.moments(x, axis, true).variance);
  const ratio = tf.div(spread(main), tf.maximum(spread(guided), 1e-12));
  return tf.mul(guided, tf.add(tf.mul(ratio, rescale), 1 - rescale));
}
