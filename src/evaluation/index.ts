/** Metrics, intervals, baselines, comparisons, galleries. */
export { type Audit, type AuditInput, type AuditPart, memorisationAudit, type Nearness } from './audit.ts';
export { BASELINES, type BaselineInput, type BaselineName, baselines } from './baselines.ts';
export { colourMap } from './colour-map.ts';
export {
  best,
  type ComparisonOptions,
  compareMethods,
  type Method,
  type MethodKind,
  type MethodResult,
  overSeeds,
  paired,
  type Summary,
  summarise,
} from './comparison.ts';
export * from './equivariance/index.ts';
export { type Gallery, type GalleryPicture, renderGallery } from './gallery.ts';
export * from './metrics/index.ts';
export {
  ORBIT_BASELINES,
  type OrbitBaselineInput,
  type OrbitBaselineName,
  orbitBaselines,
} from './orbit-baselines.ts';
export * from './pretrained/index.ts';
export * from './statistics.ts';
