/**
 * LPIPS 0.1 (Zhang et al. 2018): distances of unit-normalised features of AlexNet or VGG16, weighted channel by channel with learned
 * non-negative weights, averaged over the picture and summed over five layers.
 */
import * as TE from 'fp-ts/lib/TaskEither.js';
import {
  filtersLast,
  type Pretrained,
  type PretrainedShapes,
  readPretrained,
} from '../../conditioning/index.ts';
import type { Failure } from '../../config/index.ts';
import { tf } from '../../tensor/index.ts';

/** A convolution with ReLU at an index of torchvision's `features`, or a maximum pool. `tap`: its output is compared. */
type Layer =
  | {
      readonly index: number;
      readonly outputs: number;
      readonly size: number;
      readonly stride?: number;
      readonly pad: number;
      readonly tap?: boolean;
    }
  | { readonly pool: number };

const convolution = (index: number, outputs: number, tap = false): Layer => ({
  index,
  outputs,
  size: 3,
  pad: 1,
  tap,
});

const TRUNKS: Record<LpipsNetwork, readonly Layer[]> = {
  alex: [
    { index: 0, outputs: 64, size: 11, stride: 4, pad: 2, tap: true },
    { pool: 3 },
    { index: 3, outputs: 192, size: 5, pad: 2, tap: true },
    { pool: 3 },
    convolution(6, 384, true),
    convolution(8, 256, true),
    convolution(10, 256, true),
  ],
  vgg: [
    convolution(0, 64),
    convolution(2, 64, true),
    { pool: 2 },
    convolution(5, 128),
    convolution(7, 128, true),
    { pool: 2 },
    convolution(10, 256),
    convolution(12, 256),
    convolution(14, 256, true),
    { pool: 2 },
    convolution(17, 512),
    convolution(19, 512),
    convolution(21, 512, true),
    { pool: 2 },
    convolution(24, 512),
    convolution(26, 512),
    convolution(28, 512, true),
  ],
};

/** The network whose features are compared: AlexNet, or VGG16. */
export type LpipsNetwork = 'alex' | 'vgg';

/** Layers with the number of channels each gets. */
function withInputs(network: LpipsNetwork) {
  let inputs = 3;
  return TRUNKS[network].map(layer => {
    if ('pool' in layer) return layer;
    const whole = { ...layer, inputs };
    inputs = layer.outputs;
    return whole;
  });
}

const taps = (network: LpipsNetwork) =>
  withInputs(network).flatMap(layer => ('pool' in layer || !layer.tap ? [] : [layer]));

/** Where the slices end that the lpips package cuts the trunk into: its module calls their layers `net.slice1.0`, `net.slice2.3`, ... */
const SLICE_ENDS: Record<LpipsNetwork, readonly number[]> = {
  alex: [2, 5, 8, 10, 12],
  vgg: [4, 9, 16, 23, 30],
};

/** The names in the state of the package's whole module. */
const namesInModule = (network: LpipsNetwork) => (name: string) => {
  const [, index, kind] = /^features\.(\d+)\.(\w+)$/.exec(name) ?? [];
  if (index === undefined) return [name.replace(/^lin/, 'lins.')];
  const slice = 1 + SLICE_ENDS[network].findIndex(end => Number(index) < end);
  return [`net.slice${slice}.${index}.${kind}`];
};

/** The trunk under torchvision's names and the weights of the comparison under those of the lpips package; or all as its module has them. */
export const lpipsWanted = (network: LpipsNetwork): PretrainedShapes => ({
  shapes: Object.fromEntries([
    ...withInputs(network).flatMap(layer =>
      'pool' in layer
        ? []
        : [
            [`features.${layer.index}.weight`, [layer.outputs, layer.inputs, layer.size, layer.size]],
            [`features.${layer.index}.bias`, [layer.outputs]],
          ],
    ),
    ...taps(network).map(({ outputs }, k) => [`lin${k}.model.1.weight`, [1, outputs, 1, 1]]),
  ]),
  aliases: namesInModule(network),
});

const SHIFT = [-0.03, -0.088, -0.188];
const SCALE = [0.458, 0.448, 0.45];

/** LPIPS 0.1 on one network, frozen. Dispose of it. */
export interface Lpips {
  readonly network: LpipsNetwork;
  /** Hash of the weights. */
  readonly hash: string;
  /** Smallest side of a picture. */
  readonly smallest: number;
  /** The five compared layers [B, h, w, C] of pictures [B, H, W, 3] in [0, 1]. */
  layers(images: tf.Tensor4D): tf.Tensor4D[];
  /** One distance per pair and layer, [5, B]. Their sum over layers is LPIPS. Differentiable. */
  perLayer(images: tf.Tensor4D, targets: tf.Tensor4D): tf.Tensor2D;
  dispose(): void;
}

export function lpips(network: LpipsNetwork, { tensors, hash }: Pretrained): Lpips {
  const trunk = withInputs(network).map(layer => {
    if ('pool' in layer) return layer;
    const { index, inputs, outputs, size } = layer;
    const filters = filtersLast(tensors[`features.${index}.weight`], [outputs, inputs, size, size]);
    return {
      ...layer,
      filter: tf.keep(tf.tensor4d(filters, [size, size, inputs, outputs])),
      bias: tf.keep(tf.tensor1d(tensors[`features.${index}.bias`])),
    };
  });
  const weights = taps(network).map((_, k) => tf.keep(tf.tensor1d(tensors[`lin${k}.model.1.weight`])));
  const layers = (images: tf.Tensor4D) => {
    const found: tf.Tensor4D[] = [];
    let x = tf.div(
      tf.sub(tf.sub(tf.mul(images, 2), 1), tf.tensor1d(SHIFT)),
      tf.tensor1d(SCALE),
    ) as tf.Tensor4D;
    for (const layer of trunk) {
      if ('pool' in layer) {
        x = tf.maxPool(x, layer.pool, 2, 'valid');
        continue;
      }
      const { filter, bias, stride = 1, pad, tap } = layer;
      const side: [number, number] = [pad, pad];
      const padded = stride === 1 ? x : (tf.pad(x, [[0, 0], side, side, [0, 0]]) as tf.Tensor4D);
      x = tf.fused.conv2d({
        x: padded,
        filter,
        strides: stride,
        pad: stride === 1 ? 'same' : 'valid',
        bias,
        activation: 'relu',
      }) as tf.Tensor4D;
      if (tap) found.push(x);
    }
    return found;
  };
  const unit = (x: tf.Tensor4D) => tf.div(x, tf.add(tf.sqrt(tf.sum(tf.square(x), 3, true)), 1e-10));
  return {
    network,
    hash,
    smallest: network === 'alex' ? 31 : 16,
    layers: images => tf.tidy(() => layers(images)),
    perLayer: (images, targets) =>
      tf.tidy(() => {
        const [ours, theirs] = [layers(images), layers(targets)];
        const terms = ours.map((x, k) => {
          const difference = tf.square(tf.sub(unit(x), unit(theirs[k])));
          return tf.mean(tf.sum(tf.mul(difference, weights[k]), 3), [1, 2]);
        });
        return tf.stack(terms) as tf.Tensor2D;
      }),
    dispose: () => {
      tf.dispose(weights);
      for (const layer of trunk) if (!('pool' in layer)) tf.dispose([layer.filter, layer.bias]);
    },
  };
}

/**
 * LPIPS from one file that has the trunk's and the comparison's tensors, safetensors or PyTorch's own.
 * @returns a TaskEither: run it with settle()
 */
export const readLpips = (network: LpipsNetwork, path: string): TE.TaskEither<Failure, Lpips> =>
  TE.map((checkpoint: Pretrained) => lpips(network, checkpoint))(readPretrained(path, lpipsWanted(network)));
