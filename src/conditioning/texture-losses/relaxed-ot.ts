/**
 * Relaxed optimal transport (Kolkin, Salavon and Shakhnarovich 2019, "Style transfer by relaxed optimal transport and self-similarity"):
 * every sampled position goes to the most alike position of the other picture, both ways, and the costlier way counts; beside it
 * the means and covariances of the features are compared, as cosines alone do not see magnitudes.
 */
import type { TextureLoss } from '../../nca/index.ts';
import { type RandomStream, tf } from '../../tensor/index.ts';
import type { Vgg } from '../pretrained/vgg.ts';
import { positions, vggLoss } from './features.ts';

const EPSILON = 1e-10;

/** `count` positions of each picture drawn without replacement: [B, N, C] -> [B, count, C]. */
function sample(features: tf.Tensor3D, count: number, random: RandomStream): tf.Tensor3D {
  const [batch, available, channels] = features.shape;
  // Nothing below depends on the order of the positions: all of them need no draw.
  if (count === available) return features;
  const rows = Int32Array.from({ length: batch * count });
  for (let b = 0; b < batch; b++) {
    const order = random.permutation(available);
    for (let i = 0; i < count; i++) rows[b * count + i] = b * available + order[i];
  }
  const flat = tf.reshape(features, [batch * available, channels]);
  return tf.reshape(tf.gather(flat, tf.tensor1d(rows, 'int32')), [batch, count, channels]);
}

/** Over the last axis; the floor keeps the gradient finite where all features are 0, as on a flat picture. */
const norm = (x: tf.Tensor3D, keep = false): tf.Tensor =>
  tf.sqrt(tf.add(tf.sum(tf.square(x), 2, keep), EPSILON ** 2));

/** Cosines of [B, N, C] and [B, M, C] as [B, N, M]. */
function cosines(x: tf.Tensor3D, y: tf.Tensor3D): tf.Tensor3D {
  const norms = tf.mul(norm(x, true), tf.transpose(norm(y, true), [0, 2, 1]));
  return tf.div(tf.matMul(x, y, false, true), tf.add(norms, EPSILON));
}

/** Of each picture the features [B, N, C] at the positions `best` [B * N]. */
function at(features: tf.Tensor3D, best: ArrayLike<number>): tf.Tensor3D {
  const [batch, count, channels] = features.shape;
  const rows = Int32Array.from(best, (row, i) => row + count * Math.floor((i * batch) / best.length));
  const picked = tf.gather(tf.reshape(features, [batch * count, channels]), tf.tensor1d(rows, 'int32'));
  return tf.reshape(picked, [batch, -1, channels]);
}

/** Mean over positions of 1 - cosine between [B, N, C] and [B, N, C], position by position: [B]. */
function meanDistance(x: tf.Tensor3D, y: tf.Tensor3D): tf.Tensor {
  const norms = tf.mul(norm(x), norm(y));
  return tf.mean(tf.sub(1, tf.div(tf.sum(tf.mul(x, y), 2), tf.add(norms, EPSILON))), 1);
}

/**
 * Max of the two mean minimal cosine distances, [B]. The nearest positions are found first, and the gradient goes through the pairs
 * alone: it needs no second product of all with all, and of several equally near positions one counts.
 */
function transport(x: tf.Tensor3D, y: tf.Tensor3D): tf.Tensor1D {
  const [nearestX, nearestY] = tf.tidy(() => {
    const similarity = cosines(x, y);
    return [1, 2].map(axis => tf.argMax(similarity, axis).dataSync());
  });
  return tf.maximum(meanDistance(at(x, nearestX), y), meanDistance(x, at(y, nearestY))) as tf.Tensor1D;
}

/** |difference of means| mean + |difference of covariances| mean, [B]. */
function moments(x: tf.Tensor3D, y: tf.Tensor3D): tf.Tensor1D {
  const [mean, covariance] = [x, y]
    .map(features => {
      const centre = tf.mean(features, 1, true);
      const centred = tf.sub(features, centre);
      return [centre, tf.div(tf.matMul(centred, centred, true, false), features.shape[1] - 1)];
    })
    .reduce((a, b) => [tf.abs(tf.sub(a[0], b[0])), tf.abs(tf.sub(a[1], b[1]))]);
  return tf.add(tf.mean(mean, [1, 2]), tf.mean(covariance, [1, 2])) as tf.Tensor1D;
}

/** Sum over the style layers. `samples` bounds the positions taken of each. */
export const relaxedTransportLoss = (network: Vgg, { samples = 1024 } = {}): TextureLoss =>
  vggLoss('vgg-relaxed-transport', network, (pictures, targets, random) => {
    const layers = pictures.map((level, i) => {
      const [all, target] = [level, targets[i]].map(positions);
      const count = Math.min(samples, all.shape[1], target.shape[1]);
      const x = sample(all, count, random);
      const y = sample(target, count, random);
      const targetsOfAll: tf.Tensor3D = tf.broadcastTo(y, [x.shape[0], y.shape[1], y.shape[2]]);
      return tf.add(transport(x, targetsOfAll), moments(x, targetsOfAll));
    });
    return tf.addN(layers) as tf.Tensor1D;
  });
