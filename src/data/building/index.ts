/** Building zoos from procedural textures. */
export {
  type BuildOptions,
  type BuildProgress,
  type BuildResult,
  buildZoo,
  configHash,
} from './build.ts';
export { specOf, ZooBuildCodec, type ZooBuildConfig } from './config.ts';
export { baseMosaic, drawPlanned, type PlannedTexture, planTextures } from './plan.ts';
