/** Gram loss (Gatys, Ecker and Bethge 2015): mean square of the difference of F F^T / (h w), mean over the five style layers. */
import type { TextureLoss } from '../../nca/index.ts';
import { tf } from '../../tensor/index.ts';
import type { Vgg } from '../pretrained/vgg.ts';
import { positions, vggLoss } from './features.ts';

/** [B, C, C] */
function gramMatrices(level: tf.Tensor4D): tf.Tensor3D {
  const flat = positions(level);
  return tf.div(tf.matMul(flat, flat, true, false), flat.shape[1]);
}

/**
 * The Gram loss on VGG16's five style layers, mean over layers of the mean square of G(picture) - G(target), G = F F^T / (h w).
 * Pictures [B, H, W, 3] in [0, 1] and targets may differ in size. The network is the caller's to dispose of.
 * @throws RangeError for pictures smaller than `network.smallest`
 */
export const gramLoss = (network: Vgg): TextureLoss =>
  vggLoss('vgg-gram', network, (pictures, targets) => {
    const layers = pictures.map((level, i) =>
      tf.mean(tf.square(tf.sub(gramMatrices(level), gramMatrices(targets[i]))), [1, 2]),
    );
    return tf.div(tf.addN(layers), layers.length) as tf.Tensor1D;
  });
