/** What two pictures, or two sets of pictures, have in common. */
export { type DivergenceOptions, displayable, divergence, type RolloutHealth } from './divergence.ts';
export { lpipsMetric, type PairMetric, pairMetrics } from './pairs.ts';
export { comparePairs, type MeasureOptions, textureFeaturesOf } from './parts.ts';
export { meanSquaredError, type PictureShape, psnr, ssim } from './pixels.ts';
export {
  addPictures,
  encoderFeatures,
  featuresOf,
  inceptionFeatures,
  type SetFeatures,
  type SetMetricOptions,
  setMetricName,
  setMetrics,
} from './set-features.ts';
export {
  FEWEST,
  FeatureSet,
  type Frechet,
  fid,
  fidInfinity,
  frechet,
  kernelDistance,
  kid,
  type SetDistance,
} from './sets.ts';
export {
  type FeatureMaps,
  gramDistance,
  lossAsDistance,
  patchDistance,
  structureOnly,
  type TextureDistance,
  withoutMeanColour,
} from './texture.ts';
export {
  type StatisticsGroup,
  statisticsDistance,
  textureFeatures,
  textureStatistics,
} from './texture-statistics.ts';
