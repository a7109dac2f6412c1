/** Texture encoders: image -> condition tokens. */
export type { Encoder } from './encoder.ts';
export { type RandomGramConfig, randomGram } from './random-gram.ts';
export {
  createEncoder,
  type EncoderContext,
  type EncoderKind,
  encoderKind,
  encoderNames,
  registerEncoder,
} from './registry.ts';
export { fitStandardiser, type Standardiser, standardise, standardised } from './standardise.ts';
