/** Metrics, intervals, baselines, comparisons, galleries. */
export {
  type Audit,
  type Auditor,
  type AuditPart,
  type AuditReference,
  type Nearness,
  prepareAudit,
} from './audit.ts';
export { BASELINES, type BaselineInput, type BaselineName, baselines } from './baselines.ts';
export { colourMap } from './colour-map.ts';
export {
  best,
  type ComparisonOptions,
  compareMethods,
  type Method,
  type MethodKind,
  type MethodResult,
  meanOverSeeds,
  overSeeds,
  paired,
  renderWeights,
  type Summary,
  summarise,
} from './comparison.ts';
export * from './equivariance/index.ts';
export { type FineTuned, type FineTuneOptions, fineTune } from './fine-tuning.ts';
export { type Gallery, type GalleryPicture, renderGallery } from './gallery.ts';
export * from './iterations.ts';
export * from './metrics/index.ts';
export {
  ORBIT_BASELINES,
  type OrbitBaselineInput,
  type OrbitBaselineName,
  orbitBaselines,
} from './orbit-baselines.ts';
export * from './pretrained/index.ts';
export * from './statistics.ts';
