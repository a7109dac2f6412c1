/**
 * Sliced Wasserstein loss on VGG16 features (Heitz et al. 2021): features of all positions are projected on random unit directions; in
 * one dimension the optimal transport between two sets is to sort both.
 */
import type { TextureLoss } from '../../nca/index.ts';
import { type RandomStream, tf } from '../../tensor/index.ts';
import type { Vgg } from '../pretrained/vgg.ts';
import { positions, vggLoss } from './features.ts';

/** Settings of the sliced Wasserstein loss on VGG16's features. */
export interface SlicedWassersteinOptions {
  /** Random directions per level. */
  readonly projections: number;
  /**
   * `mean` over positions and directions, which does not depend on the size of the picture; or their `sum`, as hypernca has it.
   */
  readonly reduction: 'mean' | 'sum';
}

const DEFAULTS: SlicedWassersteinOptions = { projections: 32, reduction: 'mean' };

/** Normal numbers [channels, count], each column scaled to norm 1. */
function directions(random: RandomStream, channels: number, count: number): tf.Tensor2D {
  const draws = tf.tensor2d(random.normals(channels * count), [channels, count]);
  return tf.div(draws, tf.norm(draws, 'euclidean', 0, true)) as tf.Tensor2D;
}

const bits = new Uint32Array(1);
const float = new Float32Array(bits.buffer);
const INDEX = 2 ** 21;

/**
 * The order that sorts `values`: each becomes one exact double, its bits in an order-preserving form above its index, and the native
 * sort does the rest. Equal values keep their order.
 */
export function sortingOrder(values: Float32Array): Int32Array {
  if (values.length > INDEX) throw new RangeError(`cannot sort more than ${INDEX} values`);
  const keys = new Float64Array(values.length);
  for (let i = 0; i < values.length; i++) {
    float[0] = values[i];
    const ordered = bits[0] >>> 31 ? ~bits[0] >>> 0 : (bits[0] | 0x80000000) >>> 0;
    keys[i] = ordered * INDEX + i;
  }
  keys.sort();
  return Int32Array.from(keys, key => key % INDEX);
}

/**
 * Sum over rows and ranks of (sorted picture - sorted target)^2 as [B]; the target's ranks are stretched to the picture's by nearest
 * neighbour. Differentiable in the pictures: the gradient goes back along the sort.
 * @param pictures [B, K, N]  @param targets [B or 1, K, M]
 */
function sortedDistance(pictures: tf.Tensor3D, targets: tf.Tensor3D): tf.Tensor1D {
  const [batch, rows, count] = pictures.shape;
  const [targetBatch, , targetCount] = targets.shape;
  const values = pictures.dataSync() as Float32Array;
  const sortedTargets = targets.dataSync().slice() as Float32Array;
  for (let row = 0; row < targetBatch * rows; row++) {
    sortedTargets.subarray(row * targetCount, (row + 1) * targetCount).sort();
  }
  const losses = new Float32Array(batch);
  const slope = new Float32Array(values.length);
  for (let b = 0; b < batch; b++) {
    let loss = 0;
    for (let r = 0; r < rows; r++) {
      const start = (b * rows + r) * count;
      const target = ((targetBatch === 1 ? 0 : b) * rows + r) * targetCount;
      const order = sortingOrder(values.subarray(start, start + count));
      for (let rank = 0; rank < count; rank++) {
        const at = start + order[rank];
        const difference = values[at] - sortedTargets[target + Math.floor((rank * targetCount) / count)];
        loss += difference * difference;
        slope[at] = 2 * difference;
      }
    }
    losses[b] = loss;
  }
  const distance = tf.customGrad(() => ({
    value: tf.tensor1d(losses),
    gradFunc: (dy: tf.Tensor) => tf.mul(tf.reshape(dy, [batch, 1, 1]), tf.tensor3d(slope, pictures.shape)),
  }));
  return distance(pictures) as tf.Tensor1D;
}

/**
 * Sliced Wasserstein loss on the picture itself and VGG16's five style layers, mean over the six levels; differentiable along the sort.
 * Pictures [B, H, W, 3] in [0, 1] and targets may differ in size. The network is the caller's to dispose of.
 * @throws RangeError for pictures smaller than `network.smallest`
 */
export function slicedWassersteinLoss(
  network: Vgg,
  options: Partial<SlicedWassersteinOptions> = {},
): TextureLoss {
  const { projections, reduction } = { ...DEFAULTS, ...options };
  return vggLoss(
    'vgg-sliced-wasserstein',
    network,
    (pictures, targets, random) => {
      const levels = pictures.map((level, i) => {
        const slices = directions(random, level.shape[3], projections);
        const project = (x: tf.Tensor4D): tf.Tensor3D => {
          const flat = positions(x);
          const product = tf.matMul(tf.reshape(flat, [-1, x.shape[3]]) as tf.Tensor2D, slices);
          return tf.transpose(tf.reshape(product, [flat.shape[0], flat.shape[1], projections]), [0, 2, 1]);
        };
        const distance = sortedDistance(project(level), project(targets[i]));
        return reduction === 'sum'
          ? distance
          : tf.div(distance, projections * level.shape[1] * level.shape[2]);
      });
      return tf.div(tf.addN(levels), levels.length) as tf.Tensor1D;
    },
    true,
  );
}
