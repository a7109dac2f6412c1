/** Training NCAs on textures. */
export { initialWeights } from './initial.ts';
export { learningRateAt, NormalisedAdam, type Schedule } from './optimiser.ts';
export {
  NcaTrainer,
  type NcaTrainingOptions,
  TRAINING_DEFAULTS,
  type TrainedNcas,
  type TrainingReport,
  type TrainNcaOptions,
  trainNca,
} from './trainer.ts';
