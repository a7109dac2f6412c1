/**
 * Encoders on vision transformers: `vit` (ViT-B/16 of torchvision), `clip` (the vision tower of CLIP ViT-B/32) and `vit-small`, which is
 * trained from scratch together with the denoiser.
 */

import { pipe } from 'fp-ts/lib/function.js';
import * as TE from 'fp-ts/lib/TaskEither.js';
import * as t from 'io-ts';
import { natural, whole } from '../config/index.ts';
import { gelu, linear, Parameters, resize, tf } from '../tensor/index.ts';
import type { Encoder } from './encoder.ts';
import { normaliseChannels, pillowResizeAndCrop, resizeAndCrop } from './preprocess.ts';
import { locateWeights } from './pretrained/locate.ts';
import { patchCount, type Vit, type VitShape, vit } from './pretrained/vit.ts';
import {
  CLIP,
  CLIP_VIT_B_32,
  type FrozenVit,
  readVit,
  TORCHVISION,
  VIT_B_16,
} from './pretrained/vit-checkpoints.ts';
import { DEFAULT_WIDTH, registerEncoder } from './registry.ts';

const Layout = t.union([t.literal('pooled'), t.literal('patches')]);
type Layout = t.TypeOf<typeof Layout>;
const weights = t.union([t.string, t.null]);

/** Trained blocks behind a frozen network: linear and GELU, `blocks` times, without residual paths. */
function projectionBlocks(parameters: Parameters, inputs: number, width: number, blocks: number) {
  const layers = Array.from({ length: blocks }, (_, i) =>
    linear(parameters, `projection/${i}`, i === 0 ? inputs : width, width),
  );
  return (features: tf.Tensor3D): tf.Tensor3D =>
    layers.reduce<tf.Tensor3D>((x, layer, i) => {
      const y = layer(x);
      return i === layers.length - 1 ? y : (gelu(y) as tf.Tensor3D);
    }, features);
}

interface FrozenOptions {
  readonly name: string;
  readonly layout: Layout;
  /** Trained layers behind the frozen network; with none the features pass through. */
  readonly blocks: number;
  readonly width: number;
  readonly seed: number;
  /** Pictures in [0, 1] of any size -> normalised pictures of the network's size. */
  readonly prepare: (images: tf.Tensor4D) => tf.Tensor4D;
  /** Distinguishes ways to prepare in the key of the cache. */
  readonly preparation: string;
}

/** `pooled`: the class token after the last norm and projection; `patches`: the patch tokens after the last norm. */
export function frozenVitEncoder(network: FrozenVit, shape: VitShape, options: FrozenOptions): Encoder {
  const { name, layout, blocks, seed, prepare, preparation } = options;
  const parameters = new Parameters({ seed });
  const featureWidth = layout === 'pooled' ? (shape.projection ?? shape.width) : shape.width;
  const project = blocks > 0 ? projectionBlocks(parameters, featureWidth, options.width, blocks) : null;
  return {
    name,
    tokens: layout === 'pooled' ? 1 : patchCount(shape),
    featureWidth,
    width: project ? options.width : featureWidth,
    fingerprint: `${name}-1/${layout}/${preparation}/${network.hash}`,
    costly: true,
    variables: parameters.variables,
    features: images => tf.tidy(() => readOut(network, layout, network.tokens(prepare(images)))),
    project: features => tf.tidy(() => (project ? project(features) : tf.clone(features))),
    dispose: () => {
      parameters.dispose();
      network.dispose();
    },
  };
}

function readOut(network: Vit, layout: Layout, tokens: tf.Tensor3D): tf.Tensor3D {
  if (layout === 'patches') return network.norm(tf.slice(tokens, [0, 1, 0]));
  return network.project(network.norm(tf.slice(tokens, [0, 0, 0], [-1, 1, -1])));
}

/** Parameters of the encoder `vit`. */
export const VitConfig = t.strict({
  /** A file with the weights, or null for the cache that `weightloom encoders fetch` fills. */
  weights,
  /** `pooled`: one token, the class token; `patches`: one for each patch. */
  layout: Layout,
  /** Trained layers behind the frozen network. */
  blocks: whole,
});
export type VitConfig = t.TypeOf<typeof VitConfig>;

export const vitKind = registerEncoder<VitConfig>({
  name: 'vit',
  summary: "torchvision's ViT-B/16, class token or patch tokens, with trained projection layers",
  config: VitConfig,
  defaults: { weights: null, layout: 'pooled', blocks: 3 },
  build: ({ weights, layout, blocks }, { seed, width = DEFAULT_WIDTH }) =>
    pipe(
      locateWeights('vit-b-16', weights),
      TE.flatMap(path => readVit(path, VIT_B_16, TORCHVISION)),
      TE.map(network =>
        frozenVitEncoder(network, VIT_B_16, {
          name: 'vit',
          layout,
          blocks,
          width,
          seed,
          preparation: 'bilinear',
          prepare: images =>
            normaliseChannels(
              resizeAndCrop(images, VIT_B_16.image, { filter: 'bilinear', antialias: true }),
              'imagenet',
            ),
        }),
      ),
    ),
});

/** Parameters of the encoder `clip`: those of `vit`, and how pictures are resized. */
export const ClipConfig = t.strict({
  ...VitConfig.type.props,
  /** Resize as Pillow does, in bytes, like the published processors; or in floating point. */
  resize: t.union([t.literal('pillow'), t.literal('float')]),
});
export type ClipConfig = t.TypeOf<typeof ClipConfig>;

const CLIP_RESIZE = {
  pillow: (images: tf.Tensor4D) => pillowResizeAndCrop(images, CLIP_VIT_B_32.image),
  float: (images: tf.Tensor4D) =>
    resizeAndCrop(images, CLIP_VIT_B_32.image, { filter: 'bicubic', antialias: true }),
};

export const clipKind = registerEncoder<ClipConfig>({
  name: 'clip',
  summary: 'vision tower of CLIP ViT-B/32, picture embedding or patch tokens, with trained projection layers',
  config: ClipConfig,
  defaults: { weights: null, layout: 'pooled', blocks: 1, resize: 'pillow' },
  build: ({ weights, layout, blocks, resize: way }, { seed, width = DEFAULT_WIDTH }) =>
    pipe(
      locateWeights('clip-vit-b-32', weights),
      TE.flatMap(path => readVit(path, CLIP_VIT_B_32, CLIP)),
      TE.map(network =>
        frozenVitEncoder(network, CLIP_VIT_B_32, {
          name: 'clip',
          layout,
          blocks,
          width,
          seed,
          preparation: way,
          prepare: images => normaliseChannels(CLIP_RESIZE[way](images), 'clip'),
        }),
      ),
    ),
});

/** Parameters of the encoder `vit-small`, which is trained with the denoiser. */
export const SmallVitConfig = t.strict({
  /** Pictures are resized to this many pixels along each side. */
  image: natural,
  /** Pixels along each side of a patch; must divide `image`. */
  patch: natural,
  layers: natural,
  /** Must divide the width of the tokens. */
  heads: natural,
  /** Width of the MLPs between their two layers. */
  mlp: natural,
  layout: Layout,
});
export type SmallVitConfig = t.TypeOf<typeof SmallVitConfig>;

/** All of it is trained: its frozen features are the prepared pictures' pixels, cut into as many rows as there are tokens. */
export function smallVit(config: SmallVitConfig, { seed, width }: { seed: number; width: number }): Encoder {
  const { image, patch, layers, heads, mlp, layout } = config;
  const shape: VitShape = {
    ...{ image, patch, width, layers, heads, mlp },
    activation: gelu,
    epsilon: 1e-6,
    patchBias: true,
    normBefore: false,
    projection: null,
  };
  const parameters = new Parameters({ seed });
  const network = vit(parameters, shape);
  const tokens = layout === 'pooled' ? 1 : patchCount(shape);
  return {
    name: 'vit-small',
    tokens,
    featureWidth: (image * image * 3) / tokens,
    width,
    ownScale: true,
    fingerprint: `vit-small-1/${layout}/${image}/${patch}`,
    variables: parameters.variables,
    features: images =>
      tf.tidy(() => {
        const resized = resize(images, [image, image], { filter: 'bilinear', antialias: true });
        return tf.reshape(normaliseChannels(resized, 'imagenet'), [-1, tokens, (image * image * 3) / tokens]);
      }),
    project: features =>
      tf.tidy(() =>
        readOut(network, layout, network.tokens(tf.reshape(features, [-1, image, image, 3]) as tf.Tensor4D)),
      ),
    dispose: () => parameters.dispose(),
  };
}

export const smallVitKind = registerEncoder<SmallVitConfig>({
  name: 'vit-small',
  summary: 'a small vision transformer trained from scratch with the denoiser',
  config: SmallVitConfig,
  defaults: {
    image: 128,
    patch: 16,
    layers: 6,
    heads: 8,
    mlp: 512,
    layout: 'pooled',
  },
  build: (config, { seed, width = DEFAULT_WIDTH }) => TE.right(smallVit(config, { seed, width })),
});
