/** What a training on a set of weights begins with: its normaliser, and the process with its noise fitted to the normalised weights. */
import { orThrow } from '../config/index.ts';
import { type NcaSpec, weightCount } from '../nca/index.ts';
import { createDiffusion, fitDiffusion, priorMean } from './config.ts';
import type { Diffusion } from './diffusion.ts';
import { EDM_DEFAULTS } from './edm.ts';
import { type FittedGaussian, fitGaussian, type GaussianInput } from './gaussian.ts';
import { fitNormaliser, type Normaliser, type NormaliserOptions, normaliserOf } from './normaliser.ts';

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
  const fitted = fitDiffusion(config, normaliser.normalise(weights), size, where);
  const mean = priorMean(config);
  const gaussian = mean
    ? await priorFor({ weights, features, normaliser, size, mean, signal, onProgress })
    : null;
  return {
    diffusion: orThrow(createDiffusion(fitted, where, gaussian?.prior)),
    normaliser,
    config: fitted,
    means: gaussian?.means ?? null,
  };
}

/** A prior of real weights in a normaliser's units. */
export interface PriorRequest extends Omit<GaussianInput, 'folds' | 'seed'> {
  readonly normaliser: Normaliser;
}

interface KnownPrior extends Pick<PriorRequest, 'features' | 'normaliser' | 'mean'> {
  readonly fitted: FittedGaussian;
}
const known = new WeakMap<Float32Array, KnownPrior[]>();

/**
 * The prior of training weights [N * D], fitted once for all who ask with the same array of weights, equal features and an equal normaliser: the contenders of a comparison. Throws the
 * signal's reason when it is raised.
 */
export async function priorFor(request: PriorRequest): Promise<FittedGaussian> {
  const { weights, features, normaliser, mean = 'gaussian', ...rest } = request;
  const priors = known.get(weights) ?? [];
  known.set(weights, priors);
  const same = (a: Float32Array, b: Float32Array) => a.length === b.length && a.every((x, i) => x === b[i]);
  const found = priors.find(
    prior =>
      (features && prior.features ? same(prior.features, features) : prior.features === features) &&
      prior.mean === mean &&
      same(prior.normaliser.mean, normaliser.mean) &&
      same(prior.normaliser.scale, normaliser.scale),
  );
  if (found) return found.fitted;
  const fitted = await fitGaussian({ ...rest, weights: normaliser.normalise(weights), features, mean });
  // Copies: what a tensor showed is gone with it.
  const kept = normaliserOf(normaliser.mean.slice(), normaliser.scale.slice());
  priors.push({ features: features?.slice() ?? null, mean, normaliser: kept, fitted });
  return fitted;
}
