/** Neural cellular automata: spec, weights, rollouts, symmetries, training. */
export type { NcaEngine, NcaGradients, NcaRun, NcaTask } from './engine.ts';
export { GpuEngine } from './gpu/engine.ts';
export { grow } from './grow.ts';
export { type GrownTexture, type GrownTextureTask, grownTexture } from './grown-texture.ts';
export { Growth, type GrowthOptions } from './growth.ts';
export { CpuEngine } from './kernel/index.ts';
export { maskBit, maskSeed, seedsFor } from './masks.ts';
export { FILTER_KERNELS, plainPerception, plainRollout, plainStep } from './plain.ts';
export { type RolloutOptions, rollout, seedState, toRgb } from './rollout.ts';
export {
  FILTERS,
  type NcaSpec,
  NcaSpecCodec,
  perceptionSize,
  SPECS,
  specText,
  type WeightBlock,
  weightBlocks,
  weightCount,
} from './spec.ts';
export * from './symmetries/index.ts';
export {
  meanSquare,
  PATCH_DEFAULTS,
  type PatchOptions,
  type PreparedTexture,
  patchSlicedWasserstein,
  type TextureLoss,
} from './texture-loss.ts';
export * from './training/index.ts';
export { blockOf, type NcaWeights, ncaWeights, weightName } from './weights.ts';
