/** Building zoos from pictures and from procedural textures. */
export { buildZoo, planTextures } from './build.ts';
export {
  type PicturesConfig,
  specOf,
  type TrainingConfig,
  trainingCodec,
  ZooBuildCodec,
  type ZooBuildConfig,
} from './config.ts';
export { configHash } from './hashes.ts';
export type { BuildOptions, BuildProgress, BuildResult } from './options.ts';
export {
  drawOwnPictures,
  type OwnNcas,
  type OwnPicture,
  recipeOf,
  trainOwnNcas,
  type ZooRecipe,
} from './own-pictures.ts';
export { pictureFiles } from './picture-files.ts';
export type { PlannedTexture } from './plan.ts';
export { type Survey, type SurveyedPicture, surveyPictures } from './survey.ts';
