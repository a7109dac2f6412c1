/** Denoisers behind one interface. */
export { type CheckDenoiserOptions, checkDenoiser } from './check.ts';
export { type ConditionNcaConfig, conditionNca } from './condition-nca.ts';
export { smallConfig, smallConfigs } from './contract.ts';
export {
  type ApplyOptions,
  type Condition,
  type Denoiser,
  type DenoiserContext,
  type DenoiserKind,
  denoiserKind,
  denoiserNames,
  type Given,
  registerDenoiser,
} from './denoiser.ts';
export * from './graph/index.ts';
export { loadDenoiser } from './load.ts';
export * from './sequence/index.ts';
