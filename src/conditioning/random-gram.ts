/**
 * The encoder that needs no download: Gram statistics of fixed random filters at several scales, after Ustyuzhaninov, Brendel, Gatys
 * and Bethge (2017), "What does it take to generate natural textures?", plus colour moments.
 *
 * Colour (mean, spread, correlations, quantiles of each channel) and structure are kept apart: filters sum to zero, so a constant
 * picture gives no response, and the Gram matrix is split into log amplitudes (its diagonal) and correlations (the rest, scaled by
 * the diagonal), which do not change with the picture's contrast. Correlations are then projected at random to a moderate width.
 * In a single token structure is scaled down on its way out, so that standardised features of both kinds have the same total variance.
 * Pictures are read as tori, as a cellular automaton's are: shifting one around changes nothing.
 */
import * as TE from 'fp-ts/lib/TaskEither.js';
import * as t from 'io-ts';
import { natural, whole } from '../config/index.ts';
import type { Grid, GridTurn } from '../nca/index.ts';
import { randomStream, tf } from '../tensor/index.ts';
import type { Encoder, PictureCopy } from './encoder.ts';
import { orbitGrams } from './orbit-grams.ts';
import {
  COLOUR_FEATURES,
  colourFeatures,
  colourOrbit,
  type Distinct,
  distinct,
  structureFeatures,
} from './random-gram-statistics.ts';
import { registerEncoder } from './registry.ts';

/** Parameters of the encoder `random-gram`; all of it follows from them. */
export const RandomGramConfig = t.strict({
  /** Octaves: full resolution, and blurred by 2, 4, ... pixels with filters spread as far. */
  scales: natural,
  /** Random filters per scale. */
  filters: natural,
  /** Taps of the square filters along each side; they sum to zero, so one is too few. */
  filterSize: t.refinement(natural, taps => taps >= 2, 'a whole number from 2'),
  /** Random projections of the Gram correlations kept per scale. */
  correlations: natural,
  /** One token per scale and one of colour, or everything in a single token. */
  layout: t.union([t.literal('single'), t.literal('scales')]),
  seed: whole,
});
export type RandomGramConfig = t.TypeOf<typeof RandomGramConfig>;

const defaults: RandomGramConfig = {
  scales: 3,
  filters: 24,
  filterSize: 5,
  correlations: 40,
  layout: 'single',
  seed: 0,
};

/** The encoder with every default of `config` filled in. Its frozen part is all of it. */
export function randomGram(config: Partial<RandomGramConfig> = {}): Encoder {
  const options = { ...defaults, ...config };
  const { scales, filters, filterSize, correlations, layout, seed } = options;
  const structureWidth = filters + correlations;
  const width =
    layout === 'single'
      ? scales * structureWidth + COLOUR_FEATURES
      : Math.max(structureWidth, COLOUR_FEATURES);
  const tokens = layout === 'single' ? 1 : scales + 1;
  const filterBanks = Array.from({ length: scales }, (_, scale) =>
    randomFilters(seed, scale, filterSize, filters),
  );
  const banks = filterBanks.map(bank => tf.keep(tf.tensor4d(bank, [filterSize, filterSize, 3, filters])));
  const projections = Array.from({ length: scales }, (_, scale) =>
    tf.keep(
      tf.tensor2d(correlationProjection(seed, scale, filters, correlations), [filters ** 2, correlations]),
    ),
  );
  // With many structure features to few of colour, colour would hardly count in what is computed from standardised features.
  const balance = Float32Array.from({ length: width }, (_, i) =>
    layout === 'single' && i < scales * structureWidth
      ? Math.sqrt(COLOUR_FEATURES / (scales * structureWidth))
      : 1,
  );
  const smallest = (filterSize - 1) * 2 ** (scales - 1);

  /** [B, h, w, 3] without its mean colour, at every scale. */
  const levelsOf = (pictures: tf.Tensor4D): tf.Tensor4D[] => {
    const levels = [tf.sub(pictures, tf.mean(pictures, [1, 2], true)) as tf.Tensor4D];
    for (let scale = 1; scale < scales; scale++)
      levels.push(halveDetail(levels[scale - 1], 2 ** (scale - 1)));
    return levels;
  };

  /** Structure [B, filters + correlations] of every scale and colour [B, COLOUR_FEATURES], in the layout that was chosen. */
  const laidOut = (parts: tf.Tensor2D[]): tf.Tensor3D => {
    if (layout === 'single') return tf.expandDims(tf.concat(parts, 1), 1) as tf.Tensor3D;
    const padded = parts.map(part =>
      tf.pad(part, [
        [0, 0],
        [0, width - part.shape[1]],
      ]),
    );
    return tf.stack(padded, 1) as tf.Tensor3D;
  };

  const features = (images: tf.Tensor4D): tf.Tensor3D =>
    tf.tidy(() => {
      const pictures = atLeast(images, smallest);
      const structure = levelsOf(pictures).map((level, scale) =>
        structureFeatures(responseGram(level, banks[scale], 2 ** scale), projections[scale]),
      );
      return laidOut([...structure, colourFeatures(pictures)]);
    });

  const orbit = async (
    picture: Grid,
    copies: readonly PictureCopy[],
    grey: number,
  ): Promise<Float32Array | null> => {
    const turns = distinct(copies.map(({ turn }) => turn));
    const colours = distinct(copies.map(({ colour }) => colour));
    // Single channels are answered to once a turn, at the cost of three pictures: that pays where there are many colours to a turn.
    if (copies.length < 6 * turns.values.length) return null;
    return orbitOf(picture, turns, colours, grey);
  };

  const orbitOf = async (
    picture: Grid,
    turns: Distinct<GridTurn>,
    colours: Distinct<Float64Array>,
    grey: number,
  ): Promise<Float32Array> => {
    const kept: tf.Tensor[] = [];
    try {
      const { pictures, levels } = tf.tidy(() => {
        const { height, width, data } = picture;
        const pictures = atLeast(tf.tensor4d(Float32Array.from(data), [1, height, width, 3]), smallest);
        return { pictures, levels: levelsOf(pictures) };
      });
      kept.push(pictures, ...levels);
      const [, height, width] = pictures.shape;
      const grams: Float32Array[] = [];
      for (const [scale, level] of levels.entries()) {
        grams.push(
          orbitGrams({
            level: (await level.data()) as Float32Array,
            bank: filterBanks[scale],
            ...{ height, width, taps: filterSize, count: filters, rate: 2 ** scale },
            turns: turns.values,
            colours: colours.values,
          }),
        );
      }
      const found = tf.tidy(() => {
        const structure = grams.map((gram, scale) => {
          const all = tf.tensor3d(gram, [turns.values.length * colours.values.length, filters, filters]);
          const rows = turns.index.map((turn, k) => turn * colours.values.length + colours.index[k]);
          return structureFeatures(tf.gather(all, tf.tensor1d(rows, 'int32')), projections[scale]);
        });
        // Turning a picture leaves its colours as they are.
        const colour = colourOrbit(pictures, colours.values, grey);
        return laidOut([...structure, tf.gather(colour, tf.tensor1d(colours.index, 'int32'))]);
      });
      kept.push(found);
      return (await found.data()) as Float32Array;
    } finally {
      tf.dispose(kept);
    }
  };

  return {
    name: 'random-gram',
    tokens,
    featureWidth: width,
    width,
    fingerprint: `random-gram-1/${JSON.stringify(options)}`,
    variables: {},
    features,
    orbit,
    project: features => tf.tidy(() => tf.mul(features, tf.tensor1d(balance)) as tf.Tensor3D),
    dispose: () => tf.dispose([banks, projections]),
  };
}

/** [size, size, 3, count] row-major: Gaussian numbers, each filter with zero sum over space in every channel and norm 1. */
export function randomFilters(seed: number, scale: number, size: number, count: number): Float32Array {
  const random = randomStream(seed, `random-gram/filters/${scale}`);
  const area = size * size;
  const bank = new Float32Array(area * 3 * count);
  for (let k = 0; k < count; k++) {
    const filter = random.normals(area * 3);
    for (let c = 0; c < 3; c++) {
      let mean = 0;
      for (let i = 0; i < area; i++) mean += filter[i * 3 + c] / area;
      for (let i = 0; i < area; i++) filter[i * 3 + c] -= mean;
    }
    const norm = Math.hypot(...filter);
    for (let i = 0; i < area * 3; i++) bank[i * count + k] = filter[i] / norm;
  }
  return bank;
}

/** [filters^2, width]: unit-norm random directions on the entries above the diagonal, zero elsewhere. */
function correlationProjection(seed: number, scale: number, filters: number, width: number): Float32Array {
  const random = randomStream(seed, `random-gram/projection/${scale}`);
  const factor = 1 / Math.sqrt((filters * (filters - 1)) / 2);
  const matrix = new Float32Array(filters * filters * width);
  for (let i = 0; i < filters; i++) {
    for (let j = i + 1; j < filters; j++) {
      matrix.set(random.normals(width, 0, factor), (i * filters + j) * width);
    }
  }
  return matrix;
}

/** Enlarges pictures that the coarsest filters would not fit on. */
function atLeast(images: tf.Tensor4D, side: number): tf.Tensor4D {
  const [, height, width] = images.shape;
  if (Math.min(height, width) >= side) return images;
  const factor = side / Math.min(height, width);
  return tf.image.resizeBilinear(
    images,
    [Math.ceil(height * factor), Math.ceil(width * factor)],
    false,
    true,
  );
}

/** Pads the two picture axes after their ends with their beginnings. */
function wrap(images: tf.Tensor4D, by: number): tf.Tensor4D {
  const [, height, width] = images.shape;
  const rows = tf.concat([images, tf.slice(images, [0, 0, 0, 0], [-1, Math.min(by, height), -1, -1])], 1);
  return tf.concat([rows, tf.slice(rows, [0, 0, 0, 0], [-1, -1, Math.min(by, width), -1])], 2) as tf.Tensor4D;
}

/** The next octave at the same resolution (a trous): each pixel averaged with those `step` away, on the torus. */
function halveDetail(level: tf.Tensor4D, step: number): tf.Tensor4D {
  const [, height, width] = level.shape;
  const padded = wrap(level, step);
  const at = (y: number, x: number) => tf.slice(padded, [0, y, x, 0], [-1, height, width, -1]);
  return tf.div(tf.addN([at(0, 0), at(0, step), at(step, 0), at(step, step)]), 4);
}

/**
 * @param level [B, h, w, 3] without its mean colour
 * @param rate distance between the taps of the filters, in pixels
 * @returns [B, filters, filters]: mean products of the rectified responses
 */
function responseGram(level: tf.Tensor4D, bank: tf.Tensor4D, rate: number): tf.Tensor3D {
  const padded = wrap(level, (bank.shape[0] - 1) * rate);
  const responses = tf.relu(tf.conv2d(padded, bank, 1, 'valid', 'NHWC', rate));
  const [batch, height, width, filters] = responses.shape;
  const flat = tf.reshape(responses, [batch, height * width, filters]);
  return tf.div(tf.matMul(flat, flat, true, false), height * width);
}

export const randomGramKind = registerEncoder({
  name: 'random-gram',
  summary: 'Gram statistics of fixed random multi-scale filters and colour moments; needs no download',
  config: RandomGramConfig,
  defaults,
  build: config => TE.right(randomGram(config)),
});
