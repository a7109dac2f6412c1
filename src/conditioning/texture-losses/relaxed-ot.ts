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

/** max of the two mean minimal cosine distances, [B]. */
function transport(x: tf.Tensor3D, y: tf.Tensor3D): tf.Tensor1D {
  const norms = tf.mul(
    tf.norm(x, 'euclidean', 2, true),
    tf.transpose(tf.norm(y, 'euclidean', 2, true), [0, 2, 1]),
  );
  const cosine = tf.div(tf.matMul(x, y, false, true), tf.add(norms, EPSILON));
  const nearest = (axis: number) => tf.mean(tf.sub(1, tf.max(cosine, axis)), 1);
  return tf.maximum(nearest(1), nearest(2)) as tf.Tensor1D;
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
      const targetsOfAll = tf.broadcastTo(y, [x.shape[0], ...y.shape.slice(1)] as [number, number, number]);
      return tf.add(transport(x, targetsOfAll), moments(x, targetsOfAll));
    });
    return tf.addN(layers) as tf.Tensor1D;
  });
