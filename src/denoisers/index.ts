/** Denoisers behind one interface. */
export {
  type ApplyOptions,
  type Condition,
  type Denoiser,
  type DenoiserContext,
  type DenoiserKind,
  denoiserKind,
  denoiserNames,
  registerDenoiser,
  type SymmetryName,
} from './denoiser.ts';
export * from './sequence/index.ts';
