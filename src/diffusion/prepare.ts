/** What a training on a set of weights begins with: its normaliser, and the process with its noise fitted to the normalised weights. */
import { orThrow } from '../config/index.ts';
import { type NcaSpec, weightCount } from '../nca/index.ts';
import { createDiffusion, fitDiffusion } from './config.ts';
import type { Diffusion } from './diffusion.ts';
import { EDM_DEFAULTS } from './edm.ts';
import { fitNormaliser, type Normaliser, type NormaliserOptions } from './normaliser.ts';

/** A process and the normaliser that goes with it. */
export interface PreparedDiffusion {
  readonly diffusion: Diffusion;
  readonly normaliser: Normaliser;
  /** The configuration with its noise as it was fitted: what a saved model is read back by. */
  readonly config: Readonly<Record<string, unknown>>;
}

/**
 * @param config `process: ...` and its parameters; `noise: { kind: spectrum, ... }` is fitted to the weights
 * @param weights [N * D] real training weights
 * @throws UserError for parameters that do not fit
 */
export function prepareDiffusion(
  config: Readonly<Record<string, unknown>>,
  spec: NcaSpec,
  weights: Float32Array,
  shared: Omit<NormaliserOptions, 'sigmaData'> = {},
  where = 'diffusion',
): PreparedDiffusion {
  const sigmaData = typeof config.sigmaData === 'number' ? config.sigmaData : EDM_DEFAULTS.sigmaData;
  const normaliser = fitNormaliser(spec, weights, { ...shared, sigmaData });
  const fitted = fitDiffusion(config, normaliser.normalise(weights), weightCount(spec), where);
  return { diffusion: orThrow(createDiffusion(fitted, where)), normaliser, config: fitted };
}
