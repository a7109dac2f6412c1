/** Metrics, intervals, baselines, comparisons, maps of NCAs. */

export {
  type Audit,
  type Auditor,
  type AuditPart,
  type AuditReference,
  type Nearness,
  prepareAudit,
} from './audit.ts';
export { BASELINES, type BaselineInput, type BaselineName, baselines } from './baselines.ts';
export { crossChosen, rowsChosen } from './choice.ts';
export { colourMap } from './colour-map.ts';
export {
  type ComparisonOptions,
  compareMethods,
  intervalOf,
  leaders,
  type Method,
  type MethodKind,
  type MethodResult,
  meanOverSeeds,
  overSeeds,
  paired,
  renderWeights,
  type Summary,
  summarise,
  type TestedDifference,
  toldApart,
} from './comparison.ts';
export {
  crossedInterval,
  holm,
  type StudentInterval,
  signFlipP,
  studentP,
  studentQuantileAt,
} from './crossed.ts';
export * from './equivariance/index.ts';
export { type FineTuned, type FineTuneOptions, fineTune } from './fine-tuning.ts';
export {
  GRAPH_FIGURES,
  type GraphFigure,
  graphFigures,
  nodeStrengths,
  type Strengths,
  typeCounts,
} from './graph-statistics.ts';
export * from './iterations.ts';
export * from './metrics/index.ts';
export { type NcaMap, renderMap, spreadSquares } from './nca-map.ts';
export {
  ORBIT_BASELINES,
  type OrbitBaselineInput,
  type OrbitBaselineName,
  orbitBaselines,
} from './orbit-baselines.ts';
export {
  type DistanceMatrix,
  type PairwiseOptions,
  pictureDistances,
  unmatchedDistances,
  weightDistances,
} from './pairwise.ts';
export {
  type Association,
  correlationRatio,
  mantel,
  neighbourPurity,
  type PermutationOptions,
  ranks,
} from './permutation-tests.ts';
export { powerExponent } from './power-law.ts';
export * from './pretrained/index.ts';
export {
  bestOf,
  distinctRows,
  energyScores,
  meanOfSamples,
  type SpreadToError,
  spreadToError,
} from './sampling.ts';
export { classicalScaling, type Scaled, turnedTo } from './scaling.ts';
export { type SpanProjection, spanProjections } from './span.ts';
export * from './statistics.ts';
