/**
 * What kind of neural cellular automaton: everything about it but its weights. Shapes, parameter graphs and token layouts follow
 * from the spec.
 *
 * One step, for a state x of `channels` per cell on a torus:
 *   y = perception(x): per channel c four 3x3 cross-correlations, index 4c + f, f in (identity, sobel_x, sobel_y, laplacian)
 *   h = relu(w1 y + b1);  dx = w2 h (+ b2);  x' = x + m dx, with one random mask bit m per cell
 * with optional clips after perception, hidden, update and on the new state (Niklasson et al. 2021, "Self-organising textures").
 */
import * as t from 'io-ts';
import { finite, optional, positive } from '../config/index.ts';

export { perceptionSize, type WeightBlock, weightBlocks, weightCount } from './layout.ts';

/** The four filters of perception in their order: input 4c + f of the first layer is filter f of channel c. */
export const FILTERS = ['identity', 'sobel_x', 'sobel_y', 'laplacian'] as const;

const channels = t.refinement(
  t.number,
  x => Number.isSafeInteger(x) && x >= 3 && x <= 1024,
  'a whole number from 3 to 1024',
);
const hidden = t.refinement(
  t.number,
  x => Number.isSafeInteger(x) && x >= 1 && x <= 65_536,
  'a whole number from 1 to 65536',
);
const optionalClip = optional(positive);

/** Codec of specs, as zoos and configurations hold them. */
export const NcaSpecCodec = t.strict({
  name: t.string,
  /** State channels per cell; the first three are the picture. */
  channels,
  /** Hidden units. */
  hidden,
  /** Factor on the two Sobel filters and the Laplacian; the identity stays 1. */
  filterScale: finite,
  /** Whether the update has a bias b2. */
  outputBias: t.boolean,
  /** Values are clipped to [-clip, clip] (hidden: [0, clip]); null for no clip. */
  clip: t.strict({
    perception: optionalClip,
    hidden: optionalClip,
    update: optionalClip,
    state: optionalClip,
  }),
  /** picture = scale * state + offset. */
  rgb: t.strict({ scale: finite, offset: finite }),
});
/** Everything about an NCA but its weights: channels, hidden units, filter scale, output bias, clips, colours. */
export type NcaSpec = t.TypeOf<typeof NcaSpecCodec>;

const NO_CLIP = { perception: null, hidden: null, update: null, state: null };

/** The specs that have a name. */
export const SPECS = {
  /** Texture NCAs of the hypernca set: 5856 parameters. */
  hypernca: {
    name: 'hypernca',
    channels: 12,
    hidden: 96,
    filterScale: 1,
    outputBias: false,
    clip: NO_CLIP,
    rgb: { scale: 1, offset: 0.5 },
  },
  /** The quantised texture NCAs published with "Self-organising textures". */
  'self-organising-textures': {
    name: 'self-organising-textures',
    channels: 12,
    hidden: 96,
    filterScale: 1 / 8,
    outputBias: true,
    clip: { perception: 2, hidden: 2, update: 2, state: 2 },
    rgb: { scale: 0.5, offset: 0.5 },
  },
  /** Small enough that weight space is learnable from a few hundred NCAs: 1312 parameters. */
  compact: {
    name: 'compact',
    channels: 8,
    hidden: 32,
    filterScale: 1,
    outputBias: false,
    clip: NO_CLIP,
    rgb: { scale: 1, offset: 0.5 },
  },
} as const satisfies Record<string, NcaSpec>;

const NUMBER = (x: number) => String(Number(x.toPrecision(4)));

/** A spec in one line: sizes and everything that decides what its weights look like. */
export function specText(spec: NcaSpec): string {
  const { name, channels, hidden, filterScale, outputBias, clip, rgb } = spec;
  const clips = Object.entries(clip).flatMap(([where, x]) => (x === null ? [] : `${where} to ${NUMBER(x)}`));
  const scaled = rgb.scale === 1 ? 'state' : `${NUMBER(rgb.scale)} state`;
  return [
    `${name}: ${channels} channels, ${hidden} hidden units`,
    outputBias ? 'output bias' : 'no output bias',
    filterScale === 1 ? 'filters unscaled' : `filters times ${NUMBER(filterScale)}`,
    clips.length > 0 ? `clips ${clips.join(', ')}` : 'no clips',
    `picture = ${scaled}${rgb.offset === 0 ? '' : ` ${rgb.offset < 0 ? '-' : '+'} ${NUMBER(Math.abs(rgb.offset))}`}`,
  ].join('; ');
}
