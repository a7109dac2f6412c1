/** Where the published vision transformers keep what: the tensor names of torchvision's ViT and of CLIP's vision tower. */

import { pipe } from 'fp-ts/lib/function.js';
import * as TE from 'fp-ts/lib/TaskEither.js';
import type { Failure } from '../../config/index.ts';
import { gelu, Parameters, quickGelu } from '../../tensor/index.ts';
import { type Checkpoint, filtersLast, readCheckpoint, transposed, type Wanted } from './checkpoint.ts';
import { patchCount, type Vit, type VitShape, vit } from './vit.ts';

/** torchvision's vit_b_16, without its classification head. */
export const VIT_B_16: VitShape = {
  image: 224,
  patch: 16,
  width: 768,
  layers: 12,
  heads: 12,
  mlp: 3072,
  activation: gelu,
  epsilon: 1e-6,
  patchBias: true,
  normBefore: false,
  projection: null,
};

/** The vision tower of openai/clip-vit-base-patch32. */
export const CLIP_VIT_B_32: VitShape = {
  ...VIT_B_16,
  patch: 32,
  activation: quickGelu,
  epsilon: 1e-5,
  patchBias: false,
  normBefore: true,
  projection: 512,
};

/** One of our variables: the published tensor it comes from, or the third of it that holds queries, keys or values. */
interface Source {
  readonly name: string;
  /** Shape of the published tensor. */
  readonly shape: readonly number[];
  readonly layout: 'same' | 'linear' | 'filters';
  /** Which third of the rows. Default all of them. */
  readonly third?: number;
}

export interface VitNaming {
  readonly source: (shape: VitShape) => Readonly<Record<string, Source>>;
  readonly aliases?: (name: string) => readonly string[];
}

const same = (name: string, shape: readonly number[]): Source => ({ name, shape, layout: 'same' });

const linearSource = (ours: string, theirs: string, inputs: number, outputs: number, third?: number) => ({
  [`${ours}/weight`]: { name: `${theirs}weight`, shape: [outputs, inputs], layout: 'linear', third } as const,
  [`${ours}/bias`]: { name: `${theirs}bias`, shape: [outputs], layout: 'same', third } as const,
});

const normSource = (ours: string, theirs: string, width: number) => ({
  [`${ours}/weight`]: same(`${theirs}.weight`, [width]),
  [`${ours}/bias`]: same(`${theirs}.bias`, [width]),
});

const repeat = (layers: number, block: (i: number) => Record<string, Source>): Record<string, Source> =>
  Object.assign({}, ...Array.from({ length: layers }, (_, i) => block(i)));

/** torchvision's names of the tensors, piece by piece, in timm's. */
const TIMM: readonly (readonly [RegExp | string, string])[] = [
  [/^class_token$/, 'cls_token'],
  ['encoder.pos_embedding', 'pos_embed'],
  [/^conv_proj/, 'patch_embed.proj'],
  [/^encoder\.ln/, 'norm'],
  [/^encoder\.layers\.encoder_layer_(\d+)/, 'blocks.$1'],
  [/\.ln_([12])/, '.norm$1'],
  ['self_attention.in_proj_', 'attn.qkv.'],
  ['self_attention.out_proj', 'attn.proj'],
  ['.mlp.0.', '.mlp.fc1.'],
  ['.mlp.3.', '.mlp.fc2.'],
];

export const TORCHVISION: VitNaming = {
  source: shape => {
    const { width, mlp, layers, patch } = shape;
    return {
      'patch/weight': { name: 'conv_proj.weight', shape: [width, 3, patch, patch], layout: 'filters' },
      'patch/bias': same('conv_proj.bias', [width]),
      class: same('class_token', [1, 1, width]),
      position: same('encoder.pos_embedding', [1, 1 + patchCount(shape), width]),
      ...repeat(layers, i => {
        const ours = `block/${i}`;
        const theirs = `encoder.layers.encoder_layer_${i}`;
        return {
          ...normSource(`${ours}/norm1`, `${theirs}.ln_1`, width),
          ...Object.assign(
            {},
            ...['q', 'k', 'v'].map((part, third) =>
              linearSource(
                `${ours}/attention/${part}`,
                `${theirs}.self_attention.in_proj_`,
                width,
                3 * width,
                third,
              ),
            ),
          ),
          ...linearSource(`${ours}/attention/out`, `${theirs}.self_attention.out_proj.`, width, width),
          ...normSource(`${ours}/norm2`, `${theirs}.ln_2`, width),
          ...linearSource(`${ours}/mlp/0`, `${theirs}.mlp.0.`, width, mlp),
          ...linearSource(`${ours}/mlp/1`, `${theirs}.mlp.3.`, mlp, width),
        };
      }),
      ...normSource('norm', 'encoder.ln', width),
    };
  },
  // Files from before torchvision 0.12 number the layers of an MLP otherwise; timm has names of its own for the same tensors.
  aliases: name => [
    name.replace('.mlp.0.', '.mlp.linear_1.').replace('.mlp.3.', '.mlp.linear_2.'),
    TIMM.reduce((result, [theirs, timm]) => result.replace(theirs, timm), name),
  ],
};

export const CLIP: VitNaming = {
  source: shape => {
    const { width, mlp, layers, patch, projection } = shape;
    const root = 'vision_model';
    return {
      'patch/weight': {
        name: `${root}.embeddings.patch_embedding.weight`,
        shape: [width, 3, patch, patch],
        layout: 'filters',
      },
      class: same(`${root}.embeddings.class_embedding`, [width]),
      position: same(`${root}.embeddings.position_embedding.weight`, [1 + patchCount(shape), width]),
      // Spelt so in the published files.
      ...normSource('norm-before', `${root}.pre_layrnorm`, width),
      ...repeat(layers, i => {
        const ours = `block/${i}`;
        const theirs = `${root}.encoder.layers.${i}`;
        return {
          ...normSource(`${ours}/norm1`, `${theirs}.layer_norm1`, width),
          ...Object.assign(
            {},
            ...['q', 'k', 'v'].map(part =>
              linearSource(`${ours}/attention/${part}`, `${theirs}.self_attn.${part}_proj.`, width, width),
            ),
          ),
          ...linearSource(`${ours}/attention/out`, `${theirs}.self_attn.out_proj.`, width, width),
          ...normSource(`${ours}/norm2`, `${theirs}.layer_norm2`, width),
          ...linearSource(`${ours}/mlp/0`, `${theirs}.mlp.fc1.`, width, mlp),
          ...linearSource(`${ours}/mlp/1`, `${theirs}.mlp.fc2.`, mlp, width),
        };
      }),
      ...normSource('norm', `${root}.post_layernorm`, width),
      ...(projection === null
        ? {}
        : {
            'projection/weight': {
              name: 'visual_projection.weight',
              shape: [projection, width],
              layout: 'linear' as const,
            },
          }),
    };
  },
};

export function vitWanted(shape: VitShape, naming: VitNaming): Wanted {
  const entries = Object.values(naming.source(shape)).map(source => [source.name, source.shape] as const);
  return { shapes: Object.fromEntries(entries), aliases: naming.aliases };
}

/** A frozen network and the hash of its weights. */
export interface FrozenVit extends Vit {
  readonly hash: string;
  dispose(): void;
}

/** Our values from the published tensor: its third, if only that, and linear weights transposed to [in, out]. */
function convert({ name, shape, layout, third }: Source, tensors: Checkpoint['tensors']): Float32Array {
  const whole = tensors[name];
  if (layout === 'filters') return filtersLast(whole, shape);
  const size = whole.length / 3;
  const data = third === undefined ? whole : whole.subarray(third * size, (third + 1) * size);
  return layout === 'linear' ? transposed(data, [data.length / shape[1], shape[1]]) : data;
}

export function frozenVit({ tensors, hash }: Checkpoint, shape: VitShape, naming: VitNaming): FrozenVit {
  const sources = naming.source(shape);
  const parameters = new Parameters({
    seed: 0,
    trainable: false,
    values: name => convert(sources[name], tensors),
  });
  return { ...vit(parameters, shape), hash, dispose: () => parameters.dispose() };
}

export const readVit = (
  path: string,
  shape: VitShape,
  naming: VitNaming,
): TE.TaskEither<Failure, FrozenVit> =>
  pipe(
    readCheckpoint(path, vitWanted(shape, naming)),
    TE.map(checkpoint => frozenVit(checkpoint, shape, naming)),
  );
