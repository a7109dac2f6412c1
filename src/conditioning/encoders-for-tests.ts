/**
 * One encoder of every kind and layout at a tiny size, with made-up frozen weights: for tests of encoders and of what is conditioned on
 * them. Nothing else should use them.
 */
import type { NdArray } from '../formats/index.ts';
import { gelu, quickGelu, randomStream, resize, tf } from '../tensor/index.ts';
import type { Encoder } from './encoder.ts';
import { gramEncoder } from './gram.ts';
import { pickTensors, type Wanted } from './pretrained/checkpoint.ts';
import { type VggLayout, vgg, vggWanted } from './pretrained/vgg.ts';
import type { VitShape } from './pretrained/vit.ts';
import { CLIP, frozenVit, TORCHVISION, type VitNaming, vitWanted } from './pretrained/vit-checkpoints.ts';
import { randomGram } from './random-gram.ts';
import { frozenVitEncoder, smallVit } from './vit-encoders.ts';

/** Seeded numbers in the shapes that a network asks for. */
export function madeUp({ shapes }: Wanted): Record<string, NdArray> {
  const entries = Object.entries(shapes).map(([name, shape]) => {
    const size = shape.reduce((a, b) => a * b, 1);
    return [name, { shape, data: randomStream(5, name).normals(size, 0, 0.4) }] as const;
  });
  return Object.fromEntries(entries);
}

const VGG: VggLayout = [4, 4, 'pool', 5, 5, 'pool', 6, 6, 6, 'pool', 6, 6, 6, 'pool', 6];

const TORCHVISION_SHAPE: VitShape = {
  ...{ image: 12, patch: 6, width: 8, layers: 2, heads: 2, mlp: 12 },
  activation: gelu,
  epsilon: 1e-6,
  patchBias: true,
  normBefore: false,
  projection: null,
};

const CLIP_SHAPE: VitShape = {
  ...TORCHVISION_SHAPE,
  activation: quickGelu,
  epsilon: 1e-5,
  patchBias: false,
  normBefore: true,
  projection: 6,
};

function smallFrozenVit(
  name: string,
  shape: VitShape,
  naming: VitNaming,
  layout: 'pooled' | 'patches',
  blocks: number,
  seed: number,
): Encoder {
  const network = frozenVit(
    pickTensors(name, madeUp(vitWanted(shape, naming)), vitWanted(shape, naming)),
    shape,
    naming,
  );
  const prepare = (images: tf.Tensor4D) =>
    tf.sub(resize(images, [12, 12], { filter: 'bicubic', antialias: true }), 0.5) as tf.Tensor4D;
  return frozenVitEncoder(network, shape, {
    name,
    layout,
    blocks,
    width: 9,
    seed,
    prepare,
    preparation: 'small',
  });
}

const smallGram = (layout: 'single' | 'layers', seed: number): Encoder =>
  gramEncoder(vgg(pickTensors('vgg', madeUp(vggWanted(VGG)), vggWanted(VGG)), VGG), {
    layout,
    width: 10,
    seed,
  });

const SMALL_VIT = { image: 12, patch: 6, layers: 2, heads: 2, mlp: 12 } as Parameters<typeof smallVit>[0];

/** By a label of kind and layout. Dispose of every one. */
export const smallEncoders = (seed: number): Record<string, Encoder> => ({
  'random-gram, single': randomGram({ filters: 4, correlations: 3, filterSize: 3 }),
  'random-gram, scales': randomGram({ filters: 4, correlations: 3, filterSize: 3, layout: 'scales' }),
  'gram, single': smallGram('single', seed),
  'gram, layers': smallGram('layers', seed),
  'vit, pooled': smallFrozenVit('vit', TORCHVISION_SHAPE, TORCHVISION, 'pooled', 3, seed),
  'vit, patches': smallFrozenVit('vit', TORCHVISION_SHAPE, TORCHVISION, 'patches', 3, seed),
  'clip, pooled': smallFrozenVit('clip', CLIP_SHAPE, CLIP, 'pooled', 0, seed),
  'clip, patches': smallFrozenVit('clip', CLIP_SHAPE, CLIP, 'patches', 1, seed),
  'vit-small, pooled': smallVit({ ...SMALL_VIT, layout: 'pooled' }, { seed, width: 8 }),
  'vit-small, patches': smallVit({ ...SMALL_VIT, layout: 'patches' }, { seed, width: 8 }),
});
