/** What two pictures, or two sets of pictures, have in common. */
export { type DivergenceOptions, displayable, divergence, type RolloutHealth } from './divergence.ts';
export { type PairMetric, pairMetrics } from './pairs.ts';
export { meanSquaredError, type PictureShape, psnr, ssim } from './pixels.ts';
export {
  type FeatureMaps,
  gramDistance,
  lossAsDistance,
  patchDistance,
  structureOnly,
  type TextureDistance,
  withoutMeanColour,
} from './texture.ts';
