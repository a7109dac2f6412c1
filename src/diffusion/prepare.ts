/** What a training on a set of weights begins with: its normaliser, and the process with its noise fitted to the normalised weights. */
import { orThrow } from '../config/index.ts';
import { type NcaSpec, weightCount } from '../nca/index.ts';
import { createDiffusion, fitDiffusion, priorMean } from './config.ts';
import type { Diffusion } from './diffusion.ts';
import { EDM_DEFAULTS } from './edm.ts';
import { fitGaussian, type GaussianInput } from './gaussian.ts';
import { fitNormaliser, type Normaliser, type NormaliserOptions } from './normaliser.ts';

/** A process and the normaliser that goes with it. */
export interface PreparedDiffusion {
  readonly diffusion: Diffusion;
  readonly normaliser: Normaliser;
  /** The configuration with its noise as it was fitted: what a saved model is read back by. */
  readonly config: Readonly<Record<string, unknown>>;
  /** [N * D] what its prior foretells of each training NCA without having seen it; null where it has no prior. */
  readonly means: Float32Array | null;
}

/** What `prepareDiffusion` may be told besides. */
export interface PrepareOptions extends Pick<GaussianInput, 'signal' | 'onProgress'> {
  /** Over which coordinates the normaliser shares its statistics. */
  readonly shared?: Omit<NormaliserOptions, 'sigmaData'>;
  /** Where the configuration stands, for failures; default `diffusion`. */
  readonly where?: string;
}

/**
 * @param config `process: ...` and its parameters; `noise: { kind: spectrum, ... }` is fitted to the weights
 * @param weights [N * D] real training weights
 * @param features [N * F] their frozen features, for a prior; null for a training without condition
 * @param options the fit of a prior takes a while: its signal, and who is told how far it is
 * @throws UserError for parameters that do not fit; the signal's reason when interrupted
 */
export async function prepareDiffusion(
  config: Readonly<Record<string, unknown>>,
  spec: NcaSpec,
  weights: Float32Array,
  features: Float32Array | null,
  { shared = {}, where = 'diffusion', signal, onProgress }: PrepareOptions = {},
): Promise<PreparedDiffusion> {
  const sigmaData = typeof config.sigmaData === 'number' ? config.sigmaData : EDM_DEFAULTS.sigmaData;
  const normaliser = fitNormaliser(spec, weights, { ...shared, sigmaData });
  const size = weightCount(spec);
  const normalised = normaliser.normalise(weights);
  const fitted = fitDiffusion(config, normalised, size, where);
  const mean = priorMean(config);
  const gaussian = mean
    ? await fitGaussian({ mean, weights: normalised, features, size, signal, onProgress })
    : null;
  return {
    diffusion: orThrow(createDiffusion(fitted, where, gaussian?.prior)),
    normaliser,
    config: fitted,
    means: gaussian?.means ?? null,
  };
}
