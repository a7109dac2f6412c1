/** Running experiments: progress, run folders, reports. */
export {
  comparisonCsv,
  comparisonGallery,
  comparisonJson,
  comparisonLines,
  comparisonMarkdown,
  comparisonPlots,
  comparisonTable,
  metricLabel,
  number,
  pairedTable,
} from './comparison-report.ts';
export {
  type Contender,
  type ContenderRecord,
  type ContenderSampleOptions,
  type ContenderSettings,
  conditionOf,
  type HiddenSymmetry,
  type PictureSymmetry,
  SamplingChangesCodec,
  type SamplingSettings,
  SamplingSettingsCodec,
  trainContender,
} from './contender.ts';
export { type BandChart, bandChart, type CurveChart, type CurveMean, curveChart } from './curve-chart.ts';
export { type Experiment, experimentNames, loadExperiment, type RunContext } from './experiment.ts';
export { tuningRecord, tuningSections } from './fine-tuning-section.ts';
export { type Goal, type GoalTimes, goalTimes, type Tuning, type TuningCurve } from './goal-times.ts';
export { drawnSection, figureSection, type StudiedNcas, weightSection } from './graph-sections.ts';
export { type Html, html, raw } from './html.ts';
export { comparisonLatex, type LatexOptions, latexText } from './latex.ts';
export { type FinishedRun, groupRuns, type RunGroup, readRuns } from './merge-runs.ts';
export {
  type IntervalChart,
  intervalChart,
  type LineChart,
  lineChart,
  renderSvg,
  type StripChart,
  stripChart,
} from './plot.ts';
export { interruption, type Progress, progressBar } from './progress.ts';
export {
  contestKeys,
  KindCodec,
  type Protocol,
  type StudyKeys,
  studyKeys,
  withProtocol,
} from './protocol.ts';
export {
  type Cell,
  image,
  plots,
  type Report,
  renderReport,
  type Section,
  sideBySide,
  strip,
  table,
} from './report.ts';
export { methodsOf, metricsOf, RESULTS, type Results, ResultsCodec, readResults } from './results.ts';
export { type RunOptions, resumeExperiment, runExperiment } from './run-experiment.ts';
export {
  createRunFolder,
  type Environment,
  environment,
  type RunFolder,
  type RunFolderOptions,
} from './run-folder.ts';
export { writeRunsReport } from './runs-report.ts';
export { compareSets, type SetComparison } from './set-section.ts';
export {
  BOUND,
  baselineMethods,
  encodePictures,
  openStudy,
  renderingSteps,
  type Study,
  type StudyOptions,
  type StudySet,
  zooFolder,
} from './study.ts';
export { disorderWeights, nestedOrder, recoveredUnits, substudy, type TrainingChange } from './substudy.ts';
export {
  type CellRun,
  type CellRunner,
  runSweep,
  type SweepOptions,
  type SweepOutcome,
} from './sweep.ts';
export { cellsNamed, type SweepCell, splitValues, sweepCells, sweepWords } from './sweep-cells.ts';
export { configOf, experimentConfig, finishedCells, type PlannedCell, planSweep } from './sweep-plan.ts';
export {
  headlines,
  type SweepRow,
  type SweepTable,
  sweepLines,
  sweepTable,
  writeSweepReport,
} from './sweep-report.ts';
export { METRICS, readMetrics, type Tracker, track } from './tracking.ts';
export { decisive, TRAIN_CONFIG_DEFAULTS, type TrainConfig, trainConfig } from './train-config.ts';
export {
  planTraining,
  prepareTraining,
  type TrainingJob,
  type TrainingPlan,
  textureLossFor,
} from './train-job.ts';
export {
  buildDenoiser,
  buildEncoder,
  MODEL,
  type Model,
  readModel,
  useAverage,
  writeModel,
} from './train-model.ts';
export { checkpointFolder, modelOf, type RunTrainingOptions, runTraining } from './train-run.ts';
export { trainingSection } from './training-section.ts';
export { type WrittenComparison, writeComparison } from './write-comparison.ts';
