/**
 * Texture encoders: pictures in, condition tokens out. The frozen part (`features`) is computed once per image and cached; the trained
 * part (`project`) runs inside every training step.
 */
import type { tf } from '../tensor/index.ts';

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
  /** @param features [B, T, featureWidth]  @returns [B, T, C] */
  project(features: tf.Tensor3D): tf.Tensor3D;
  dispose(): void;
}
