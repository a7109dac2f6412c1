/** Procedural texture families: each a pattern with ranges for its continuous parameters. */
import type { RandomStream } from '../../tensor/index.ts';
import { oklch } from './colour.ts';
import { textureFrame } from './frame.ts';
import * as patterns from './patterns.ts';

export type { Parameters } from './patterns.ts';

/** An interval that a parameter is drawn from, uniformly: [low, high). */
export type Range = readonly [low: number, high: number];

/** A kind of procedural texture: a pattern, and the ranges of its parameters. */
export interface TextureFamily {
  readonly name: string;
  /** What is drawn, as a function on the plane of cells. */
  readonly pattern: patterns.Pattern;
  /** Ranges that `sampleParameters` draws from, own and shared ones. */
  readonly ranges: Readonly<Record<string, Range>>;
  /** After how many cells the pattern repeats (a tileable picture holds a multiple of it). */
  readonly period: 1 | 2;
}

/**
 * Parameters that every family has. `scale`: pixels per cell; `angle` in degrees; `phaseU`, `phaseV` in cells; `layout`: seed of the random
 * numbers of the cells; colours in Oklab: `lightness` and `chroma` of the mean colour, `hue` of the first colour and `hueShift` of the
 * second in turns; `contrast`: their difference in lightness; `relief` of the shades, `softness` of the edges in cells.
 */
export const SHARED_RANGES = {
  scale: [6, 10],
  angle: [0, 0],
  phaseU: [0, 1],
  phaseV: [0, 1],
  layout: [0, 2 ** 20],
  lightness: [0.5, 0.68],
  chroma: [0.06, 0.15],
  hue: [0, 1],
  hueShift: [-0.3, 0.3],
  contrast: [0.3, 0.55],
  softness: [0.06, 0.16],
} as const satisfies Record<string, Range>;

const family = (
  name: string,
  pattern: patterns.Pattern,
  own: Record<string, Range>,
  period: 1 | 2 = 1,
): TextureFamily => ({ name, pattern, ranges: { ...SHARED_RANGES, ...own }, period });

const list = [
  family(
    'stripes',
    patterns.stripes,
    { scale: [5, 9], angle: [-90, 90], duty: [0.35, 0.65], wobble: [0, 0.25] },
    2,
  ),
  family(
    'zigzag',
    patterns.zigzag,
    { scale: [5, 8], angle: [-20, 20], height: [0.6, 1.4], duty: [0.4, 0.6] },
    2,
  ),
  family('waves', patterns.waves, { scale: [5, 9], angle: [-90, 90], height: [0.1, 0.35] }, 2),
  family('checks', patterns.checks, { scale: [4, 8], angle: [-45, 45], duty: [0.42, 0.58] }, 2),
  family('plaid', patterns.plaid, { scale: [7, 12], angle: [-20, 20], duty: [0.4, 0.6], thread: [0.1, 0.8] }),
  family(
    'dots',
    patterns.dots,
    { scale: [6, 10], angle: [-45, 45], radius: [0.22, 0.38], jitter: [0, 0.3] },
    2,
  ),
  family('rings', patterns.rings, { scale: [10, 15], angle: [-45, 45], count: [2, 3] }),
  family('diamonds', patterns.diamonds, {
    scale: [7, 11],
    angle: [-15, 15],
    radius: [0.33, 0.45],
    bevel: [0, 1],
  }),
  family(
    'bricks',
    patterns.bricks,
    { scale: [5, 8], angle: [-10, 10], mortar: [0.08, 0.16], tone: [0, 0.8] },
    2,
  ),
  family(
    'weave',
    patterns.weave,
    { scale: [5, 9], angle: [-45, 45], width: [0.7, 0.95], relief: [0.3, 0.9] },
    2,
  ),
  family(
    'scales',
    patterns.scales,
    { scale: [8, 12], angle: [-20, 20], rim: [0.1, 0.2], relief: [0.3, 0.8] },
    2,
  ),
  family('cells', patterns.cells, { scale: [7, 11], wall: [0.08, 0.2], jitter: [0.6, 1], tone: [0, 0.9] }),
  family('pebbles', patterns.pebbles, { scale: [6, 10], jitter: [0.5, 0.9], relief: [0.4, 1] }),
  family('clouds', patterns.clouds, { scale: [7, 12], roughness: [0.2, 0.6], cover: [0.4, 0.6] }),
  family('camouflage', patterns.camouflage, { scale: [7, 12], roughness: [0.1, 0.4], cover: [0.4, 0.6] }),
  family('grain', patterns.grain, {
    scale: [4, 7],
    angle: [-90, 90],
    stretch: [2, 4],
    roughness: [0.2, 0.6],
  }),
  family('truchet', patterns.truchet, { scale: [7, 11], angle: [-45, 45], width: [0.3, 0.5] }),
  family(
    'hexagons',
    patterns.hexagons,
    { scale: [7, 11], angle: [-30, 30], wall: [0.08, 0.2], tone: [0, 0.8] },
    2,
  ),
];

/** All families by name. */
export const textureFamilies: Readonly<Record<string, TextureFamily>> = Object.fromEntries(
  list.map(item => [item.name, item]),
);

/** Draws one set of parameters uniformly from the family's ranges; `narrowed` replaces some of them. */
export function sampleParameters(
  { ranges }: TextureFamily,
  random: RandomStream,
  narrowed: Readonly<Record<string, Range>> = {},
): patterns.Parameters {
  // One draw for every range in its order, whatever is narrowed: the other parameters then stay as they were.
  return Object.fromEntries(
    Object.entries(ranges).map(([name, range]) => {
      const [low, high] = narrowed[name] ?? range;
      const value = random.uniform(low, high);
      return [name, name === 'layout' ? Math.floor(value) : value];
    }),
  );
}

/** Samples a side within a pixel: the box filter against jagged edges. */
const SUPERSAMPLING = 4;

/**
 * Draws the texture: [size, size, 3] in [0, 1].
 * @param tileable bends scale and angle so that the picture continues across its borders
 */
export function drawTexture(
  { pattern, period }: TextureFamily,
  parameters: patterns.Parameters,
  size: number,
  tileable = false,
): Float32Array {
  const { scale, angle, phaseU, phaseV, layout, lightness, chroma, hue, hueShift, contrast } = parameters;
  const frame = textureFrame({
    size,
    scale,
    angle: (angle * Math.PI) / 180,
    phase: [phaseU, phaseV],
    layout,
    tileable,
    period,
  });
  const dark = oklch(lightness - contrast / 2, chroma, hue);
  const light = oklch(lightness + contrast / 2, chroma, hue + hueShift);
  const picture = new Float32Array(size * size * 3);
  const share = 1 / SUPERSAMPLING ** 2;
  for (let y = 0, at = 0; y < size; y++) {
    for (let x = 0; x < size; x++, at += 3) {
      for (let sample = 0; sample < SUPERSAMPLING ** 2; sample++) {
        const dx = ((sample % SUPERSAMPLING) + 0.5) / SUPERSAMPLING;
        const dy = (Math.floor(sample / SUPERSAMPLING) + 0.5) / SUPERSAMPLING;
        const [u, v] = frame.toCell(x + dx, y + dy);
        const [mix, shade] = pattern(u, v, parameters, frame);
        const brightness = 1 + 0.45 * shade;
        for (let c = 0; c < 3; c++) {
          const colour = (dark[c] + (light[c] - dark[c]) * mix) * brightness;
          picture[at + c] += share * Math.min(1, Math.max(0, colour));
        }
      }
    }
  }
  return picture;
}
