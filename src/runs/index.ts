/** Run folders: what is written into them, found in them again, and reported over several of them. */
export { pinInput } from './inputs.ts';
export { writeRunsReport } from './joint-report.ts';
export * from './launch/index.ts';
export { type FinishedRun, groupRuns, type RunGroup, readRuns } from './merge.ts';
export { clock, interruption, type Progress, progressBar, withBar } from './progress.ts';
export {
  damageOf,
  isComparison,
  isFinished,
  methodsOf,
  metricsOf,
  RESULTS,
  type Results,
  ResultsCodec,
  readResults,
  readResultsHead,
} from './results.ts';
export {
  checkRunFolder,
  checkThere,
  createRunFolder,
  digest,
  type Environment,
  environment,
  finishedParts,
  lockRun,
  PARTS,
  type RunFolder,
  type RunFolderOptions,
} from './run-folder.ts';
export * from './sweep/index.ts';
export { METRICS, readMetrics, type Tracker, track } from './tracking.ts';
