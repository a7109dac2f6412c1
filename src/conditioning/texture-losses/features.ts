/** What the texture losses on VGG16 share: targets whose style layers are computed once, and which picture is compared with which. */
import type { PreparedTexture, TextureLoss } from '../../nca/index.ts';
import { type RandomStream, tf } from '../../tensor/index.ts';
import { normaliseChannels } from '../preprocess.ts';
import type { Vgg } from '../pretrained/vgg.ts';

/**
 * Compares features of pictures [B, h, w, C] with those of their targets ([B, h', w', C] or, one for all, [1, h', w', C]), level by level,
 * from the finest, and gives [B].
 */
export type Comparison = (
  pictures: readonly tf.Tensor4D[],
  targets: readonly tf.Tensor4D[],
  random: RandomStream,
) => tf.Tensor1D;

/**
 * A texture loss from a comparison of VGG16's style layers. With `withImage` the normalised picture itself is the first level.
 * The network is the caller's to dispose of.
 */
export function vggLoss(name: string, network: Vgg, compare: Comparison, withImage = false): TextureLoss {
  const levels = (images: tf.Tensor4D): tf.Tensor4D[] => {
    const [, height, width] = images.shape;
    if (Math.min(height, width) < network.smallest) {
      throw new RangeError(
        `pictures of ${width}x${height} are too small for VGG16: it takes ${network.smallest} pixels`,
      );
    }
    const normalised = normaliseChannels(images, 'imagenet');
    const layers = network.styleLayersOf(normalised);
    return withImage ? [normalised, ...layers] : layers;
  };
  return {
    name,
    prepare: (targets): PreparedTexture => {
      const count = targets.shape[0];
      const kept = tf.tidy(() => levels(targets)).map(level => tf.keep(level));
      return {
        loss: (images, random) =>
          tf.tidy(() => {
            const batch = images.shape[0];
            const rows = Array.from({ length: batch }, (_, b) => Math.floor((b * count) / batch));
            const matched = count === 1 || count === batch ? kept : kept.map(level => tf.gather(level, rows));
            return compare(levels(images), matched, random);
          }),
        dispose: () => tf.dispose(kept),
      };
    },
  };
}

/** [B, h, w, C] -> [B, h w, C] */
export const positions = (level: tf.Tensor4D): tf.Tensor3D => {
  const [batch, height, width, channels] = level.shape;
  return tf.reshape(level, [batch, height * width, channels]);
};
