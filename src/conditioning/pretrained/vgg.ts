/**
 * VGG16's convolutional part (Simonyan and Zisserman 2015) with frozen weights in torchvision's layout, and its style layers: the ReLU
 * outputs at the indices 1, 6, 11, 18 and 25 of `features`, from which textures are measured (Gatys et al. 2015).
 */

import { pipe } from 'fp-ts/lib/function.js';
import type * as TE from 'fp-ts/lib/TaskEither.js';
import * as TaskEither from 'fp-ts/lib/TaskEither.js';
import type { Failure } from '../../config/index.ts';
import { tf } from '../../tensor/index.ts';
import { normaliseChannels } from '../preprocess.ts';
import { type Checkpoint, filtersLast, readCheckpoint, type Wanted } from './checkpoint.ts';

/** Channels of the 3x3 convolutions, each followed by a ReLU; 'pool' halves. Cut behind the last style layer. */
export type VggLayout = readonly (number | 'pool')[];
export const VGG16: VggLayout = [
  64,
  64,
  'pool',
  128,
  128,
  'pool',
  256,
  256,
  256,
  'pool',
  512,
  512,
  512,
  'pool',
  512,
];
/** Indices in torchvision's `features` of the ReLUs whose outputs measure a texture: the first of each of five blocks. */
export const STYLE_LAYERS = [1, 6, 11, 18, 25] as const;

/** VGG16 up to its last style layer, frozen. Dispose of it. */
export interface Vgg {
  /** Hash of the weights. */
  readonly hash: string;
  /** Channels of the style layers. */
  readonly styleWidths: readonly number[];
  /** Smallest width and height that leave the last style layer a pixel. */
  readonly smallest: number;
  /**
   * The style layers' outputs [B, h, w, C], from fine to coarse; differentiable in the images.
   * @param images [B, H, W, 3] in [0, 1]; ImageNet's normalisation is applied here
   */
  styleLayers(images: tf.Tensor4D): tf.Tensor4D[];
  /** The same from images that are normalised already. */
  styleLayersOf(normalised: tf.Tensor4D): tf.Tensor4D[];
  dispose(): void;
}

interface Convolution {
  readonly index: number;
  readonly inputs: number;
  readonly outputs: number;
}

/** The convolutions with their index in torchvision's `features`. */
function convolutions(layout: VggLayout): (Convolution | 'pool')[] {
  let index = 0;
  let inputs = 3;
  return layout.map(entry => {
    if (entry === 'pool') {
      index += 1;
      return entry;
    }
    const layer = { index, inputs, outputs: entry };
    index += 2;
    inputs = entry;
    return layer;
  });
}

export function vggWanted(layout: VggLayout = VGG16): Wanted {
  const shapes: Record<string, readonly number[]> = {};
  for (const layer of convolutions(layout)) {
    if (layer === 'pool') continue;
    shapes[`features.${layer.index}.weight`] = [layer.outputs, layer.inputs, 3, 3];
    shapes[`features.${layer.index}.bias`] = [layer.outputs];
  }
  return { shapes };
}

export function vgg({ tensors, hash }: Checkpoint, layout: VggLayout = VGG16): Vgg {
  const layers = convolutions(layout).map(layer => {
    if (layer === 'pool') return layer;
    const { index, inputs, outputs } = layer;
    const filters = filtersLast(tensors[`features.${index}.weight`], [outputs, inputs, 3, 3]);
    return {
      ...layer,
      filters: tf.keep(tf.tensor4d(filters, [3, 3, inputs, outputs])),
      bias: tf.keep(tf.tensor1d(tensors[`features.${index}.bias`])),
    };
  });
  const styled = layers.filter(
    layer => layer !== 'pool' && (STYLE_LAYERS as readonly number[]).includes(layer.index + 1),
  ) as Convolution[];
  const styleLayersOf = (normalised: tf.Tensor4D): tf.Tensor4D[] => {
    const taps: tf.Tensor4D[] = [];
    let x = normalised;
    for (const layer of layers) {
      if (layer === 'pool') {
        x = tf.maxPool(x, 2, 2, 'valid');
        continue;
      }
      const { filters: filter, bias } = layer;
      x = tf.fused.conv2d({ x, filter, strides: 1, pad: 'same', bias, activation: 'relu' }) as tf.Tensor4D;
      if (styled.includes(layer)) taps.push(x);
    }
    return taps;
  };
  return {
    hash,
    styleWidths: styled.map(({ outputs }) => outputs),
    smallest: 2 ** layout.filter(entry => entry === 'pool').length,
    styleLayersOf,
    styleLayers: images => styleLayersOf(normaliseChannels(images, 'imagenet')),
    dispose: () => {
      for (const layer of layers) if (layer !== 'pool') tf.dispose([layer.filters, layer.bias]);
    },
  };
}

/**
 * VGG16 from a file with torchvision's tensor names, safetensors or PyTorch's own. The classifier, if there, is not read.
 * @returns a TaskEither: run it with settle()
 */
export const readVgg16 = (path: string): TE.TaskEither<Failure, Vgg> =>
  pipe(
    readCheckpoint(path, vggWanted()),
    TaskEither.map(checkpoint => vgg(checkpoint)),
  );
