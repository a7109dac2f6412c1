/** Denoisers behind one interface. */
export {
  type ApplyOptions,
  type Condition,
  createDenoiser,
  type Denoiser,
  type DenoiserContext,
  type DenoiserKind,
  denoiserKind,
  denoiserNames,
  registerDenoiser,
} from './denoiser.ts';
export * from './graph/index.ts';
export * from './sequence/index.ts';
