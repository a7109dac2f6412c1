/**
 * Texture encoders: pictures in, condition tokens out. The frozen part (`features`) is computed once per image and cached; the trained
 * part (`project`) runs inside every training step.
 */
import type { Grid, GridTurn } from '../nca/index.ts';
import type { tf } from '../tensor/index.ts';

/** A copy of a picture: turned, then its colours x become A (x - grey) + grey. */
export interface PictureCopy {
  readonly turn: GridTurn;
  /** A, row-major [3, 3]. */
  readonly colour: Float64Array;
}

/** A texture encoder: pictures in, condition tokens out, by a frozen part and a trained one. Dispose of it. */
export interface Encoder {
  readonly name: string;
  /** Shape of the frozen features: T tokens of `featureWidth`. */
  readonly tokens: number;
  readonly featureWidth: number;
  /** Width C of the tokens after `project`. */
  readonly width: number;
  /** Identifies the frozen part (name, options, hash of its weights): the key of the feature cache. */
  readonly fingerprint: string;
  /** True when the scale of the features means something to `project`, so that nobody may standardise them. */
  readonly ownScale?: boolean;
  /** Whether the frozen part takes so long that its features are worth keeping on disk (see `cachedFeatures`). */
  readonly costly?: boolean;
  /** Trainable variables of `project` by name; empty when there is no trained part. */
  readonly variables: Readonly<Record<string, tf.Variable>>;
  /** @param images [B, H, W, 3] in [0, 1]  @returns [B, T, featureWidth]; no gradient is needed through this. */
  features(images: tf.Tensor4D): tf.Tensor3D;
  /**
   * What `features` gives for copies of one picture, up to rounding, where that takes less than making and encoding them. See `orbitFeatures`.
   * @param picture [H, W, 3] in [0, 1]  @returns [copies, T, featureWidth]; null where there is no shorter way for these copies
   */
  orbit?(picture: Grid, copies: readonly PictureCopy[], grey: number): Promise<Float32Array | null>;
  /** @param features [B, T, featureWidth]  @returns [B, T, C] */
  project(features: tf.Tensor3D): tf.Tensor3D;
  dispose(): void;
}
