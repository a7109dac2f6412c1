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

export const gramLoss = (network: Vgg): TextureLoss =>
  vggLoss('vgg-gram', network, (pictures, targets) => {
    const layers = pictures.map((level, i) =>
      tf.mean(tf.square(tf.sub(gramMatrices(level), gramMatrices(targets[i]))), [1, 2]),
    );
    return tf.div(tf.addN(layers), layers.length) as tf.Tensor1D;
  });
