/** Training denoisers: batches, optimiser, averages, losses, checkpoints. */
export {
  type FeatureOrbit,
  featureOrbit,
  type SymmetryAugmentationOptions,
  symmetryAugmentation,
} from './augmentation.ts';
export {
  type AverageProfile,
  gammaOf,
  type MovingAverage,
  movingAverage,
  reconstruction,
} from './averages.ts';
export {
  type Augmentation,
  type Batch,
  type BatchPlan,
  batches,
  type Sample,
  type TrainingData,
} from './batches.ts';
export { type CheckpointOptions, checkpointSteps, readCheckpoint, setAsideDamaged } from './checkpoints.ts';
export {
  ROLLOUT_DEFAULTS,
  type RolloutSettings,
  RolloutSettingsCodec,
  TrainingSettingsCodec,
} from './config.ts';
export { type LearningRate, learningRateAt } from './learning-rate.ts';
export { type AdamOptions, adam, type Optimiser } from './optimiser.ts';
export { averageOfWidth } from './post-hoc.ts';
export { type RolloutLoss, type RolloutLossOptions, rolloutLoss } from './rollout-loss.ts';
export { TRAINING_DEFAULTS, type TrainingSettings } from './settings.ts';
export {
  type StepRecord,
  type TrainingResult,
  type TrainOptions,
  trainDenoiser,
} from './train.ts';
export { type StepOutcome, Trainer, type TrainerOptions } from './trainer.ts';
export { type ValidationLoss, validationLoss } from './validation.ts';
