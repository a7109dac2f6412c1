/** weightloom: the library's public face. Experiments import this and nothing deeper. */
export {
  buildGraph,
  type CompiledGraph,
  compileGraph,
  type GraphOptions,
  ncaNetwork,
  ncaPicture,
  type ParameterGraph,
  type PictureOptions,
  toSvg,
} from '../graphs/index.ts';
export * from './conditioning/index.ts';
export * from './config/index.ts';
export * from './data/index.ts';
export * from './denoisers/index.ts';
export * from './diffusion/index.ts';
export * from './evaluation/index.ts';
export * from './experiment/index.ts';
export * from './formats/index.ts';
// Names that more than one folder has a use for: the one meant here.
export { sizeOf } from './formats/index.ts';
export * from './nca/index.ts';
export * from './report/index.ts';
export * from './runs/index.ts';
export * from './tensor/index.ts';
export { Parameters } from './tensor/index.ts';
export * from './training/index.ts';
export { learningRateAt, TRAINING_DEFAULTS } from './training/index.ts';
