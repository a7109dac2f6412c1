/** Training NCAs on textures. */
export { type Adaptation, fullAdaptation, lowRankAdaptation, type ParameterBlock } from './adaptation.ts';
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
