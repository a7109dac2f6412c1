/** Sections of a report that know the experiment they speak of. */
export { auditComparison, type ComparisonAudit } from './audit.ts';
export { tuningRecord, tuningSections } from './fine-tuning.ts';
export { measureSampling, requireSamplers, type SamplingMeasures, samplingSection } from './sampling.ts';
export { compareSets, type SetComparison } from './sets.ts';
export { trainingSection } from './training.ts';
