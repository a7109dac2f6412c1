/** Diffusion in weight space: EDM and the DDIM baseline, samplers, guidance, normalisation. */
export { type CanonicalSampleOptions, sampleCanonicalWeights } from './canonical.ts';
export { checkDiffusion, createDiffusion, type DiffusionConfig, fitDiffusion, priorMean } from './config.ts';
export { DDIM_DEFAULTS, type DdimConfig, ddim } from './ddim.ts';
export type { Diffusion, Objective, SampleOptions } from './diffusion.ts';
export {
  coefficients,
  denoise,
  EDM_DEFAULTS,
  type EdmConfig,
  type EdmOptions,
  type EdmSampling,
  edm,
  type LossWeighting,
  lossWeight,
  type Parametrisation,
} from './edm.ts';
export {
  type Covariance,
  type FittedGaussian,
  fitGaussian,
  type GaussianInput,
  type GaussianPrior,
  nothingAdded,
  priorArrays,
  priorFromArrays,
  shrunkCovariance,
} from './gaussian.ts';
export type { Guidance } from './guidance.ts';
export { applyKernelMap, fitKernelRidge, type KernelMap, type KernelRidge } from './kernel-ridge.ts';
export { type NoiseDistribution, normalCdf, normalQuantile } from './noise.ts';
export {
  fitColumns,
  fitNormaliser,
  type Normaliser,
  type NormaliserOptions,
  normaliserOf,
} from './normaliser.ts';
export {
  type PreparedDiffusion,
  type PrepareOptions,
  type PriorRequest,
  prepareDiffusion,
  priorFor,
} from './prepare.ts';
export { type RegressionConfig, regression } from './regression.ts';
export { columnMoments, fitRidge, type Ridge, standardiseColumns } from './ridge.ts';
export { conditionOf, disposeGiven, type SampleWeightsOptions, sampleWeights } from './sample.ts';
export {
  type DenoiseFn,
  SAMPLERS,
  type Sampler,
  type SamplerName,
  type SamplerOptions,
  type SamplerStep,
} from './samplers.ts';
export { SCHEDULES, type ScheduleName, type ScheduleOptions } from './schedules.ts';
export { largestDeviation, spectrumNoise } from './spectrum.ts';
export { sampleTrajectory, type Trajectory } from './trajectory.ts';
