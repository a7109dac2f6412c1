/** For tests: what properties are checked on, and the properties themselves. Every arbitrary is fast-check's and shrinks to the small and plain. */
export { type CheckEncoderOptions, checkEncoder } from '../conditioning/index.ts';
export { type CheckDenoiserOptions, checkDenoiser, smallConfig, smallConfigs } from '../denoisers/index.ts';
export { type Verdict, type VerifyOptions, verifyDenoiser } from '../evaluation/index.ts';
export { registerSymmetry, type SymmetryDraft } from '../nca/index.ts';
export {
  anyElement,
  grids,
  masks,
  type SpecRange,
  samplesOf,
  sigmas,
  specs,
  symmetryNames,
  weightsOf,
} from './arbitraries.ts';
export { checkEquivariance } from './denoisers.ts';
export { gap, grow, type Law, symmetryLaws } from './laws.ts';
export { networks } from './networks.ts';
