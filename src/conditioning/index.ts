/** Texture encoders: image -> condition tokens. */
export { type CheckEncoderOptions, checkEncoder } from './check.ts';
export type { Encoder, PictureCopy } from './encoder.ts';
export { cachedFeatures, type FeatureCacheOptions } from './feature-cache.ts';
export { type GramConfig, gramEncoder } from './gram.ts';
export { createEncoder, loadEncoder } from './load.ts';
export { encodedPictures, orbitFeatures } from './orbit-features.ts';
export {
  type Checkpoint as Pretrained,
  filtersLast,
  readCheckpoint as readPretrained,
  type Wanted as PretrainedShapes,
} from './pretrained/checkpoint.ts';
export {
  encoderNetworks,
  type FetchNetworkOptions,
  fetchNetwork,
  type WeightSource,
  weightSources,
} from './pretrained/fetch.ts';
export {
  cachedWeights,
  cacheFolder,
  hasWeights,
  locateWeights,
  NETWORKS,
  type NetworkName,
} from './pretrained/locate.ts';
export { readVgg16, STYLE_LAYERS, type Vgg } from './pretrained/vgg.ts';
export { type RandomGramConfig, randomFilters as randomGramFilters, randomGram } from './random-gram.ts';
export {
  type BuiltEncoder,
  type EncoderContext,
  type EncoderKind,
  encoderKind,
  encoderNames,
  registerEncoder,
} from './registry.ts';
export {
  fitStandardiser,
  OUTLIER,
  type Standardiser,
  safeDeviation,
  standardise,
  standardised,
} from './standardise.ts';
export * from './texture-losses/index.ts';
export {
  type ClipConfig,
  frozenVitEncoder,
  type SmallVitConfig,
  smallVit,
  type VitConfig,
} from './vit-encoders.ts';
