/** Training NCAs on textures. */
export { type Adaptation, fullAdaptation, lowRankAdaptation, type ParameterBlock } from './adaptation.ts';
export { initialWeights } from './initial.ts';
export { learningRateAt, NormalisedAdam, type Schedule } from './optimiser.ts';
export {
  type NcaTrainingOptions,
  TRAINING_DEFAULTS,
  type Trainer,
  type TrainerState,
  type TrainingReport,
} from './options.ts';
export { type TrainedNcas, type TrainNcaOptions, trainNca } from './train.ts';
export { NcaTrainer } from './trainer.ts';
