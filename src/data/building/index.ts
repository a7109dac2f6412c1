/** Building zoos from pictures and from procedural textures. */
export { buildZoo, planTextures } from './build.ts';
export { type PicturesConfig, specOf, ZooBuildCodec, type ZooBuildConfig } from './config.ts';
export { configHash } from './hashes.ts';
export type { BuildOptions, BuildProgress, BuildResult } from './options.ts';
export type { PlannedTexture } from './plan.ts';
export { type Survey, type SurveyedPicture, surveyPictures } from './survey.ts';
