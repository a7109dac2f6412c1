/** Neural cellular automata: spec, weights. */
export {
  FILTERS,
  type NcaSpec,
  NcaSpecCodec,
  perceptionSize,
  SPECS,
  type WeightBlock,
  weightBlocks,
  weightCount,
} from './spec.ts';
export { blockOf, type NcaWeights, ncaWeights, weightName } from './weights.ts';
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
