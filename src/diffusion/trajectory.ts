/** How samples come into being: the clean estimate of the weights at every noise level. */
import { weightCount } from '../nca/index.ts';
import { type SampleWeightsOptions, sampleWeights } from './sample.ts';

/** N samples, and what the denoiser took each for at every level on the way. */
export interface Trajectory {
  /** [L] noise levels, falling; sigmas of EDM, whatever the process. */
  readonly sigmas: readonly number[];
  /** [L, N, D] real weights: D(x; sigma) before each step. */
  readonly denoised: Float32Array;
  /** [N, D] the samples, as `sampleWeights` gives them for the same options. */
  readonly weights: Float32Array;
}

/**
 * Samples real weights and keeps the denoiser's estimate at every noise level: each is a whole NCA.
 *
 *     const { sigmas, denoised } = await sampleTrajectory({ denoiser, encoder, diffusion, normaliser, features, seed: 0 });
 *
 * @throws as `sampleWeights`
 */
export async function sampleTrajectory(options: SampleWeightsOptions): Promise<Trajectory> {
  const { denoiser, normaliser, features, count = 1 } = options;
  const row = (features?.shape[0] ?? 1) * count * weightCount(denoiser.spec);
  const levels: { sigma: number; estimate: Float32Array }[] = [];
  const weights = await sampleWeights({
    ...options,
    onStep: (step, firstSample) => {
      options.onStep?.(step, firstSample);
      levels[step.step] ??= { sigma: step.sigma, estimate: new Float32Array(row) };
      levels[step.step].estimate.set(
        normaliser.restore(step.denoised),
        firstSample * weightCount(denoiser.spec),
      );
    },
  });
  const denoised = new Float32Array(levels.length * row);
  levels.forEach(({ estimate }, level) => {
    denoised.set(estimate, level * row);
  });
  return { sigmas: levels.map(({ sigma }) => sigma), denoised, weights };
}
