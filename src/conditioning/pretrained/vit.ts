/**
 * The vision transformer (Dosovitskiy et al. 2021): square patches as tokens behind a class token, learned positions, pre-norm blocks.
 * One implementation for torchvision's ViT, CLIP's vision tower and a small one trained from scratch.
 */
import { type Activation, encoderLayer, layerNorm, linear, type Parameters, tf } from '../../tensor/index.ts';

export interface VitShape {
  /** Pixels along each side of the picture and of a patch. */
  readonly image: number;
  readonly patch: number;
  readonly width: number;
  readonly layers: number;
  readonly heads: number;
  /** Width of the MLPs between their two layers. */
  readonly mlp: number;
  readonly activation: Activation;
  /** Of every layer norm. */
  readonly epsilon: number;
  readonly patchBias: boolean;
  /** A layer norm before the first block, as in CLIP. */
  readonly normBefore: boolean;
  /** Width of a last projection without bias, or null for none. */
  readonly projection: number | null;
}

/** Patches of a picture; the class token makes one more token. */
export const patchCount = ({ image, patch }: VitShape) => (image / patch) ** 2;

export interface Vit {
  /**
   * Tokens after the last block, before any norm: [B, 1 + patches, width], the class token first.
   * @param images [B, image, image, 3], normalised as the weights expect
   * @param observe sees the tokens before and after positions (and the norm before the blocks), and after each block
   */
  tokens(images: tf.Tensor4D, observe?: (stage: tf.Tensor3D) => void): tf.Tensor3D;
  /** The last layer norm, on any of the tokens. */
  norm<T extends tf.Tensor>(tokens: T): T;
  /** The last projection; the identity when there is none. */
  project<T extends tf.Tensor>(tokens: T): T;
}

export function vit(parameters: Parameters, shape: VitShape): Vit {
  const { image, patch, width, layers, heads, epsilon } = shape;
  const grid = image / patch;
  if (!Number.isInteger(grid))
    throw new RangeError(`${image} pixels are no whole number of ${patch}-pixel patches`);
  const embed = linear(parameters, 'patch', patch * patch * 3, width, { bias: shape.patchBias });
  const classToken = parameters.normal<tf.Rank.R3>('class', [1, 1, width], 0.02);
  const position = parameters.normal<tf.Rank.R3>('position', [1, 1 + grid * grid, width], 0.02);
  const normBefore = shape.normBefore ? layerNorm(parameters, 'norm-before', width, epsilon) : null;
  const blocks = Array.from({ length: layers }, (_, i) =>
    encoderLayer(parameters, `block/${i}`, {
      width,
      heads,
      hidden: shape.mlp,
      activation: shape.activation,
      epsilon,
    }),
  );
  const norm = layerNorm(parameters, 'norm', width, epsilon);
  const project =
    shape.projection === null
      ? <T extends tf.Tensor>(x: T): T => x
      : linear(parameters, 'projection', width, shape.projection, { bias: false });

  /** [B, S, S, 3] -> [B, grid^2, patch^2 * 3]: each patch row-major, channels last. */
  const patches = (images: tf.Tensor4D): tf.Tensor3D => {
    const batch = images.shape[0];
    // Rows of patches are contiguous: only the inner three axes change places.
    const rows = tf.reshape(images, [batch * grid, patch, grid, patch * 3]);
    return tf.reshape(tf.transpose(rows, [0, 2, 1, 3]), [batch, grid * grid, patch * patch * 3]);
  };

  return {
    tokens: (images, observe) => {
      const batch = images.shape[0];
      if (images.shape[1] !== image || images.shape[2] !== image) {
        throw new RangeError(`pictures are ${images.shape[1]}x${images.shape[2]}, not ${image}x${image}`);
      }
      let x = tf.concat([tf.tile(classToken, [batch, 1, 1]), embed(patches(images))], 1) as tf.Tensor3D;
      observe?.(x);
      x = tf.add(x, position);
      observe?.(x);
      if (normBefore) {
        x = normBefore(x);
        observe?.(x);
      }
      for (const block of blocks) {
        x = block(x);
        observe?.(x);
      }
      return x;
    },
    norm,
    project,
  };
}
