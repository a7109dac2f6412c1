/** A model on its own: `weightloom train` from configuration to checkpoints, and what a trained model is read back from. */
export { decisive, TRAIN_CONFIG_DEFAULTS, type TrainConfig, trainConfig } from './config.ts';
export { planTraining, prepareTraining, type TrainingJob, type TrainingPlan, textureLossFor } from './job.ts';
export {
  buildDenoiser,
  buildEncoder,
  MODEL,
  type Model,
  readModel,
  useAverage,
  writeModel,
} from './model.ts';
export { checkpointFolder, modelOf, type RunTrainingOptions, runTraining } from './run.ts';
export { type TrainedOn, trainedOn } from './trained-on.ts';
