/** Feature maps of the random-gram encoder's filters at three scales: Gram distances without a download (Ustyuzhaninov et al. 2017). */
import { randomGramFilters } from '../../conditioning/index.ts';
import { tf } from '../../tensor/index.ts';
import type { FeatureMaps } from './texture.ts';

const SCALES = 3;
const FILTERS = 24;
const SIZE = 5;

/** Rectified responses of 24 fixed 5x5x3 filters without mean, and the colours about grey beside them, at full, half and quarter size. */
export function randomMaps(seed = 0): FeatureMaps {
  const banks = Array.from({ length: SCALES }, (_, scale) => randomGramFilters(seed, scale, SIZE, FILTERS));
  return images => {
    const maps: tf.Tensor4D[] = [];
    let level = tf.sub(images, 0.5) as tf.Tensor4D;
    for (const bank of banks) {
      const filters = tf.tensor4d(bank, [SIZE, SIZE, 3, FILTERS]);
      const responses = tf.relu(tf.conv2d(wrap(level), filters, 1, 'valid'));
      maps.push(tf.concat([responses, level], 3) as tf.Tensor4D);
      level = tf.avgPool(level, 2, 2, 'same');
    }
    return maps;
  };
}

/** Textures live on a torus: two rows and columns from the other side on each edge. */
function wrap(images: tf.Tensor4D): tf.Tensor4D {
  const reach = (SIZE - 1) / 2;
  const along = (x: tf.Tensor4D, axis: 1 | 2) => {
    const size = x.shape[axis];
    const part = (from: number) => {
      const begin = [0, 0, 0, 0];
      const extent = [-1, -1, -1, -1];
      begin[axis] = from;
      extent[axis] = reach;
      return tf.slice4d(
        x,
        begin as [number, number, number, number],
        extent as [number, number, number, number],
      );
    };
    return tf.concat([part(size - reach), x, part(0)], axis) as tf.Tensor4D;
  };
  return along(along(images, 1), 2);
}
