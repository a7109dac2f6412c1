/**
 * Inception-v3 as FID was defined with it (Szegedy et al. 2016; Heusel et al. 2017): torchvision's network and tensor names, but average
 * pools leave out the padding and the last block's pool is a maximum. Batch norms (eps 1e-3) are folded into the convolutions.
 */
import * as TE from 'fp-ts/lib/TaskEither.js';
import {
  filtersLast,
  type Pretrained,
  type PretrainedShapes,
  readPretrained,
} from '../../conditioning/index.ts';
import type { Failure } from '../../config/index.ts';
import { resize, tf } from '../../tensor/index.ts';

interface Layer {
  readonly inputs: number;
  readonly outputs: number;
  /** Height and width of the filters. */
  readonly size: readonly [number, number];
  readonly stride: 1 | 2;
  readonly pad: 'same' | 'valid';
}

type Convolve = (x: tf.Tensor4D, name: string) => tf.Tensor4D;
type Block = (x: tf.Tensor4D, conv: Convolve) => tf.Tensor4D;

/** Every convolution by its name; filled by the blocks below as they are declared. */
const LAYERS: Record<string, Layer> = {};

function layer(
  name: string,
  inputs: number,
  outputs: number,
  size: readonly [number, number] = [1, 1],
  stride: 1 | 2 = 1,
  pad: 'same' | 'valid' = 'same',
): string {
  LAYERS[name] = { inputs, outputs, size, stride, pad };
  return name;
}

/** Convolutions one after another: each [suffix, outputs, size, stride]. */
type Link = readonly [suffix: string, outputs: number, size?: readonly [number, number], stride?: 1 | 2];

function chain(prefix: string, inputs: number, links: readonly Link[]): Block {
  let width = inputs;
  const names = links.map(([suffix, outputs, size, stride = 1]) => {
    const name = layer(`${prefix}${suffix}`, width, outputs, size, stride, stride === 1 ? 'same' : 'valid');
    width = outputs;
    return name;
  });
  return (x, conv) => names.reduce(conv, x);
}

const together =
  (...branches: Block[]): Block =>
  (x, conv) =>
    tf.concat(
      branches.map(branch => branch(x, conv)),
      3,
    ) as tf.Tensor4D;

const after =
  (first: Block, second: Block): Block =>
  (x, conv) =>
    second(first(x, conv), conv);

const shrink: Block = x => tf.maxPool(x, 3, 2, 'valid');
const average: Block = x => tf.avgPool(x, 3, 1, 'same');
const maximum: Block = x => tf.maxPool(x, 3, 1, 'same');

const ROW = [1, 7] as const;
const COLUMN = [7, 1] as const;

const blockA = (name: string, inputs: number, pooled: number): Block =>
  together(
    chain(`${name}.branch`, inputs, [['1x1', 64]]),
    chain(`${name}.branch5x5_`, inputs, [
      ['1', 48],
      ['2', 64, [5, 5]],
    ]),
    chain(`${name}.branch3x3dbl_`, inputs, [
      ['1', 64],
      ['2', 96, [3, 3]],
      ['3', 96, [3, 3]],
    ]),
    after(average, chain(`${name}.branch_`, inputs, [['pool', pooled]])),
  );

const blockB = (name: string, inputs: number): Block =>
  together(
    chain(`${name}.branch`, inputs, [['3x3', 384, [3, 3], 2]]),
    chain(`${name}.branch3x3dbl_`, inputs, [
      ['1', 64],
      ['2', 96, [3, 3]],
      ['3', 96, [3, 3], 2],
    ]),
    shrink,
  );

const blockC = (name: string, inputs: number, width: number): Block =>
  together(
    chain(`${name}.branch`, inputs, [['1x1', 192]]),
    chain(`${name}.branch7x7_`, inputs, [
      ['1', width],
      ['2', width, ROW],
      ['3', 192, COLUMN],
    ]),
    chain(`${name}.branch7x7dbl_`, inputs, [
      ['1', width],
      ['2', width, COLUMN],
      ['3', width, ROW],
      ['4', width, COLUMN],
      ['5', 192, ROW],
    ]),
    after(average, chain(`${name}.branch_`, inputs, [['pool', 192]])),
  );

const blockD = (name: string, inputs: number): Block =>
  together(
    chain(`${name}.branch3x3_`, inputs, [
      ['1', 192],
      ['2', 320, [3, 3], 2],
    ]),
    chain(`${name}.branch7x7x3_`, inputs, [
      ['1', 192],
      ['2', 192, ROW],
      ['3', 192, COLUMN],
      ['4', 192, [3, 3], 2],
    ]),
    shrink,
  );

/** A row filter and a column filter side by side. */
const cross = (prefix: string, inputs: number): Block =>
  together(chain(prefix, inputs, [['a', 384, [1, 3]]]), chain(prefix, inputs, [['b', 384, [3, 1]]]));

const blockE = (name: string, inputs: number, pool: Block): Block =>
  together(
    chain(`${name}.branch`, inputs, [['1x1', 320]]),
    after(chain(`${name}.branch3x3_`, inputs, [['1', 384]]), cross(`${name}.branch3x3_2`, 384)),
    after(
      chain(`${name}.branch3x3dbl_`, inputs, [
        ['1', 448],
        ['2', 384, [3, 3]],
      ]),
      cross(`${name}.branch3x3dbl_3`, 384),
    ),
    after(pool, chain(`${name}.branch_`, inputs, [['pool', 192]])),
  );

const one =
  (name: string): Block =>
  (x, conv) =>
    conv(x, name);

/** The stages in their order, under torchvision's names. */
const STAGES: readonly (readonly [name: string, block: Block])[] = [
  ['Conv2d_1a_3x3', one(layer('Conv2d_1a_3x3', 3, 32, [3, 3], 2, 'valid'))],
  ['Conv2d_2a_3x3', one(layer('Conv2d_2a_3x3', 32, 32, [3, 3], 1, 'valid'))],
  ['Conv2d_2b_3x3', one(layer('Conv2d_2b_3x3', 32, 64, [3, 3]))],
  ['maxpool1', shrink],
  ['Conv2d_3b_1x1', one(layer('Conv2d_3b_1x1', 64, 80))],
  ['Conv2d_4a_3x3', one(layer('Conv2d_4a_3x3', 80, 192, [3, 3], 1, 'valid'))],
  ['maxpool2', shrink],
  ['Mixed_5b', blockA('Mixed_5b', 192, 32)],
  ['Mixed_5c', blockA('Mixed_5c', 256, 64)],
  ['Mixed_5d', blockA('Mixed_5d', 288, 64)],
  ['Mixed_6a', blockB('Mixed_6a', 288)],
  ['Mixed_6b', blockC('Mixed_6b', 768, 128)],
  ['Mixed_6c', blockC('Mixed_6c', 768, 160)],
  ['Mixed_6d', blockC('Mixed_6d', 768, 160)],
  ['Mixed_6e', blockC('Mixed_6e', 768, 192)],
  ['Mixed_7a', blockD('Mixed_7a', 768)],
  ['Mixed_7b', blockE('Mixed_7b', 1280, average)],
  ['Mixed_7c', blockE('Mixed_7c', 2048, maximum)],
];

const EPSILON = 1e-3;
const NORMS = ['weight', 'bias', 'running_mean', 'running_var'] as const;

/** Every tensor the network needs, by torchvision's names. The classifier is not read. */
export const inceptionWanted: PretrainedShapes = {
  shapes: Object.fromEntries(
    Object.entries(LAYERS).flatMap(([name, { inputs, outputs, size }]) => [
      [`${name}.conv.weight`, [outputs, inputs, ...size]],
      ...NORMS.map(norm => [`${name}.bn.${norm}`, [outputs]]),
    ]),
  ),
};

/** Inception-v3 as FID was defined with it, frozen. Dispose of it. */
export interface Inception {
  /** Hash of the weights. */
  readonly hash: string;
  readonly width: 2048;
  /**
   * Pool features [B, 2048]: the spatial mean after the last block.
   * @param images [B, H, W, 3] in [0, 1], of any size
   */
  features(images: tf.Tensor4D): tf.Tensor2D;
  /** The output of every stage from a prepared input [B, 299, 299, 3], in order. */
  stages(input: tf.Tensor4D): Record<string, tf.Tensor4D>;
  dispose(): void;
}

/**
 * How a picture becomes 299 x 299 numbers about zero. `pytorch-fid`: bilinear with pixel centres at half integers, 2x - 1.
 * `tensorflow`: bytes, bilinear with corners aligned at the top left, (x - 128) / 128, as the first FID figures were made.
 */
export type InceptionInput = 'pytorch-fid' | 'tensorflow';

/** Pictures [B, H, W, 3] in [0, 1] -> [B, 299, 299, 3] about zero, as the network was given them. */
export const inceptionInput = (images: tf.Tensor4D, kind: InceptionInput = 'pytorch-fid'): tf.Tensor4D =>
  tf.tidy(() => {
    if (kind === 'tensorflow') {
      const bytes = tf.round(tf.mul(images, 255)) as tf.Tensor4D;
      return tf.div(tf.sub(tf.image.resizeBilinear(bytes, [299, 299]), 128), 128);
    }
    const resized = resize(images, [299, 299], { filter: 'bilinear', antialias: false });
    return tf.sub(tf.mul(resized, 2), 1);
  });

export function inception({ tensors, hash }: Pretrained, input: InceptionInput = 'pytorch-fid'): Inception {
  const layers = Object.fromEntries(
    Object.entries(LAYERS).map(([name, given]) => [name, { ...given, ...folded(tensors, name, given) }]),
  );
  const conv: Convolve = (x, name) => {
    const { filter, bias, stride, pad } = layers[name];
    return tf.fused.conv2d({ x, filter, strides: stride, pad, bias, activation: 'relu' }) as tf.Tensor4D;
  };
  return {
    hash,
    width: 2048,
    features: images =>
      tf.tidy(() => {
        let x = inceptionInput(images, input);
        for (const [, block] of STAGES) {
          const before = x;
          x = tf.tidy(() => block(before, conv));
          before.dispose();
        }
        return tf.mean(x, [1, 2]) as tf.Tensor2D;
      }),
    stages(prepared) {
      let x = prepared;
      return Object.fromEntries(
        STAGES.map(([name, block]) => {
          const before = x;
          x = tf.tidy(() => block(before, conv));
          return [name, x];
        }),
      );
    },
    dispose: () => tf.dispose(Object.values(layers).flatMap(({ filter, bias }) => [filter, bias])),
  };
}

/** A convolution with its batch norm: w g / sqrt(v + eps), beta - mean g / sqrt(v + eps). */
function folded(tensors: Pretrained['tensors'], name: string, { inputs, outputs, size }: Layer) {
  const [gamma, beta, mean, variance] = NORMS.map(norm => tensors[`${name}.bn.${norm}`]);
  const weight = tensors[`${name}.conv.weight`];
  const each = weight.length / outputs;
  const factor = Float64Array.from(gamma, (g, o) => g / Math.sqrt(variance[o] + EPSILON));
  const scaled = weight.map((w, i) => w * factor[Math.floor(i / each)]);
  return {
    filter: tf.keep(tf.tensor4d(filtersLast(scaled, [outputs, inputs, ...size]), [...size, inputs, outputs])),
    bias: tf.keep(tf.tensor1d(beta.map((b, o) => b - mean[o] * factor[o]))),
  };
}

/**
 * The network from a file with torchvision's tensor names (such as pytorch-fid's), safetensors or PyTorch's own.
 * @returns a TaskEither: run it with settle()
 */
export const readInception = (path: string): TE.TaskEither<Failure, Inception> =>
  TE.map((checkpoint: Pretrained) => inception(checkpoint))(readPretrained(path, inceptionWanted));
