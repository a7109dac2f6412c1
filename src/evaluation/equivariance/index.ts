/** Whether denoisers keep the symmetries they claim. */
export { type EquivarianceCase, elements } from './cases.ts';
export {
  type Around,
  randomise,
  TOLERANCE,
  type Verdict,
  type VerifyOptions,
  verifyDenoiser,
} from './verify.ts';
