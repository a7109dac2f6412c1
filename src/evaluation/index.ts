/** Metrics, intervals, baselines, comparisons, galleries. */
export { BASELINES, type BaselineInput, type BaselineName, baselines } from './baselines.ts';
export {
  best,
  type ComparisonOptions,
  compareMethods,
  type Method,
  type MethodKind,
  type MethodResult,
  paired,
  type Summary,
  summarise,
} from './comparison.ts';
export * from './equivariance/index.ts';
export { type Gallery, type GalleryPicture, renderGallery } from './gallery.ts';
export * from './metrics/index.ts';
export * from './pretrained/index.ts';
export * from './statistics.ts';
