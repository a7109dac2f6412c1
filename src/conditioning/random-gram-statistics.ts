/** What random-gram tells of a picture: statistics of filter responses, given as Gram matrices, and of colours. */
import { tf } from '../tensor/index.ts';

const QUANTILES = [0.02, 0.1, 0.25, 0.5, 0.75, 0.9, 0.98];
/** Per channel: mean, log spread, skewness and the quantiles; and the three correlations between channels. */
export const COLOUR_FEATURES = 3 * (3 + QUANTILES.length) + 3;
/** Amplitudes below this are as good as none: about three grey levels of 256. */
const FLOOR = 0.01;

/** Mean products [B, filters, filters] -> [B, filters + correlations]: log amplitudes of the responses and projected correlations between them. */
export function structureFeatures(gram: tf.Tensor3D, projection: tf.Tensor2D): tf.Tensor2D {
  const [batch, filters] = gram.shape;
  const diagonal = tf.sum(tf.mul(gram, tf.eye(filters)), 2);
  const amplitude = tf.sqrt(tf.add(diagonal, FLOOR ** 2));
  const correlation = tf.div(gram, tf.mul(tf.expandDims(amplitude, 1), tf.expandDims(amplitude, 2)));
  const projected = tf.matMul(tf.reshape(correlation, [batch, filters * filters]), projection);
  return tf.concat([tf.log(amplitude), projected], 1) as tf.Tensor2D;
}

/** Things without those that come again. */
export interface Distinct<T> {
  readonly values: readonly T[];
  /** Which of them each one is. */
  readonly index: number[];
}

/** Rows of numbers without those that come again. */
export function distinct<T extends ArrayLike<number>>(rows: readonly T[]): Distinct<T> {
  const places = new Map<string, number>();
  const values: T[] = [];
  const index = rows.map(row => {
    const key = Array.from(row, x => x + 0).join();
    if (!places.has(key)) places.set(key, values.push(row) - 1);
    return places.get(key)!;
  });
  return { values, index };
}

/** What is told of every channel [B, pixels, C] by itself. */
function channelStatistics(values: tf.Tensor3D) {
  const [batch, pixels, channels] = values.shape;
  const mean = tf.mean(values, 1, true);
  const centred = tf.sub(values, mean);
  const spread = tf.sqrt(tf.add(tf.mean(tf.square(centred), 1, true), FLOOR ** 2));
  /** [B, pixels, C], of mean 0 and spread 1. */
  const scaled = tf.div(centred, spread) as tf.Tensor3D;
  const skewness = tf.mean(tf.mul(scaled, tf.square(scaled)), 1);
  // topk sorts in descending order: row i of the sorted pixels is the quantile 1 - i / (pixels - 1).
  const sorted = tf.topk(tf.transpose(values, [0, 2, 1]), pixels, true).values;
  const rows = tf.tensor1d(
    QUANTILES.map(q => Math.round((1 - q) * (pixels - 1))),
    'int32',
  );
  const flat = [tf.squeeze(mean, [1]), tf.log(tf.squeeze(spread, [1])), skewness] as tf.Tensor2D[];
  /** [B, C, QUANTILES.length] */
  const quantiles = tf.reshape(tf.gather(sorted, rows, 2), [batch, channels, QUANTILES.length]);
  return { scaled, flat, quantiles };
}

/** @param pictures [B, H, W, 3]  @returns [B, COLOUR_FEATURES] */
export function colourFeatures(pictures: tf.Tensor4D): tf.Tensor2D {
  const [batch, height, width] = pictures.shape;
  const { scaled, flat, quantiles } = channelStatistics(tf.reshape(pictures, [batch, height * width, 3]));
  const [red, green, blue] = tf.split(scaled, 3, 2);
  const pairs = [tf.mul(red, green), tf.mul(red, blue), tf.mul(green, blue)].map(x => tf.mean(x, 1));
  return tf.concat([...flat, ...pairs, tf.reshape(quantiles, [batch, -1])] as tf.Tensor2D[], 1);
}

/**
 * `colourFeatures` of one picture [1, H, W, 3] under colour maps x -> A (x - grey) + grey: [maps, COLOUR_FEATURES]. A channel of a copy is one row of its map:
 * what is told of a channel is worked out once for rows that are the same.
 */
export function colourOrbit(pictures: tf.Tensor4D, maps: readonly Float64Array[], grey: number): tf.Tensor2D {
  const [, height, width] = pictures.shape;
  const rows = distinct(maps.flatMap(map => [map.slice(0, 3), map.slice(3, 6), map.slice(6)]));
  const mixing = tf.tensor2d(Float32Array.from(rows.values.flatMap(row => [...row])), [
    rows.values.length,
    3,
  ]);
  const centred = tf.reshape(tf.sub(pictures, grey), [height * width, 3]);
  const channels = tf.expandDims(tf.add(tf.matMul(centred, mixing, false, true), grey), 0) as tf.Tensor3D;
  const { scaled, flat, quantiles } = channelStatistics(channels);
  const correlation = tf.div(tf.matMul(scaled, scaled, true, false), height * width);
  const index = tf.tensor2d(rows.index, [maps.length, 3], 'int32');
  const [red, green, blue] = tf.split(index, 3, 1).map(column => tf.reshape(column, [maps.length]));
  const pair = (a: tf.Tensor, b: tf.Tensor) => {
    const places = tf.add(tf.mul(a, rows.values.length), b);
    return tf.gather(tf.reshape(correlation, [-1, 1]), tf.cast(places, 'int32') as tf.Tensor1D);
  };
  return tf.concat(
    [
      ...flat.map(statistic => tf.gather(tf.reshape(statistic, [-1]), index)),
      ...[pair(red, green), pair(red, blue), pair(green, blue)],
      tf.reshape(tf.gather(tf.squeeze(quantiles, [0]), index), [maps.length, -1]),
    ] as tf.Tensor2D[],
    1,
  );
}
