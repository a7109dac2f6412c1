/** Texture encoders: image -> condition tokens. */
export type { Encoder } from './encoder.ts';
