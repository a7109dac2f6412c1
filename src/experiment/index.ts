/** What an experiment's author touches: the experiment, its protocol and study, its contenders, the training of models. */
export { type CheckedContender, checkContenders } from './check-contenders.ts';
export { type WrittenComparison, writeComparison } from './comparison-files.ts';
export {
  type Contender,
  type ContenderRecord,
  type ContenderSampleOptions,
  type ContenderSettings,
  type HiddenSymmetry,
  type PictureSymmetry,
  SamplingChangesCodec,
  type SamplingSettings,
  SamplingSettingsCodec,
  trainContender,
} from './contender.ts';
export {
  type ComparedDraws,
  type Drawable,
  drawableModel,
  drawing,
  drawNullModel,
  drawnMethods,
  drawSamples,
  regressionTwin,
  type SamplingDraws,
} from './draws.ts';
export { type Experiment, experimentNames, loadExperiment, type RunContext } from './experiment.ts';
export { type FineTuning, FineTuningCodec, tuneFrom } from './fine-tuning.ts';
export {
  KEPT_METHODS,
  KEPT_TRAJECTORY,
  type KeptNcas,
  readKeptNcas,
  writeKeptNcas,
} from './kept-ncas.ts';
export * from './model/index.ts';
export { notesOn, ranksOf, readOwnPictures, trainOwn } from './own-pictures.ts';
export { COMPARED, type WrittenPhotographs, writePhotographs } from './photograph-files.ts';
export {
  contestKeys,
  KindCodec,
  type Protocol,
  type StudyKeys,
  studyKeys,
  withProtocol,
} from './protocol.ts';
export { rehearse } from './rehearse.ts';
export {
  backendOption,
  type RunOptions,
  resumeExperiment,
  runExperiment,
  tellOfBackend,
} from './run-experiment.ts';
export * from './sections/index.ts';
export {
  type AnsweredPictures,
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
export {
  disorderWeights,
  matchedWeights,
  nestedOrder,
  recoveredUnits,
  substudy,
  type TrainingChange,
} from './substudy.ts';
