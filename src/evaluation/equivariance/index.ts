/** Whether denoisers keep the symmetries they claim. */
export { type EquivarianceCase, elements as groupElements } from './cases.ts';
export { type TrainedErrorOptions, trainedEquivarianceError } from './trained.ts';
export {
  type Around,
  randomise as randomiseVariables,
  TOLERANCE as EQUIVARIANCE_TOLERANCE,
  type Verdict,
  type VerifyOptions,
  verifyDenoiser,
} from './verify.ts';
