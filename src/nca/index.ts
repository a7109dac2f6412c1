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
