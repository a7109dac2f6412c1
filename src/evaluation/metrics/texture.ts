/**
 * Distances between textures: sliced Wasserstein over patches and Gram matrices, as pictures and as structure alone (mean colour removed).
 * Both ignore where in the picture something is.
 */
import { patchSlicedWasserstein, type TextureLoss } from '../../nca/index.ts';
import { randomStream, tf } from '../../tensor/index.ts';

/** A distance per pair. @param images [B, H, W, 3] in [0, 1]  @param targets [B or 1, H', W', 3]  @returns [B] */
export type TextureDistance = (images: tf.Tensor4D, targets: tf.Tensor4D) => tf.Tensor1D;

/**
 * A texture loss as a metric: the same random numbers (projections) in every call, so that figures of different models and runs
 * compare, and a picture's distance does not depend on its batch.
 */
export function lossAsDistance(loss: TextureLoss, seed = 0): TextureDistance {
  return (images, targets) =>
    tf.tidy(() => {
      const prepared = loss.prepare(targets);
      const distance = prepared.loss(images, randomStream(seed, `metric/${loss.name}`));
      prepared.dispose();
      return distance;
    });
}

/**
 * Patch sliced-Wasserstein distance: the root of the loss NCAs are trained with, so in units of brightness and a distance (zero for
 * equal pictures, symmetric, triangle inequality). Both pictures are taken as tori: shifting one by a multiple of 4 pixels changes nothing.
 */
export function patchDistance(seed = 0): TextureDistance {
  const squared = lossAsDistance(patchSlicedWasserstein({ wrap: true, wrapTarget: true }), seed);
  return (images, targets) => tf.tidy(() => tf.sqrt(squared(images, targets)) as tf.Tensor1D);
}

/** Each picture's mean colour moved to mid-grey: what is left is structure. */
export const withoutMeanColour = (pictures: tf.Tensor4D): tf.Tensor4D =>
  tf.tidy(() => tf.add(tf.sub(pictures, tf.mean(pictures, [1, 2], true)), 0.5) as tf.Tensor4D);

/** The same distance between structures only. Where the pictures' colours are equal it is the distance itself. */
export const structureOnly =
  (distance: TextureDistance): TextureDistance =>
  (images, targets) =>
    tf.tidy(() => distance(withoutMeanColour(images), withoutMeanColour(targets)));

/** Feature maps of a picture at several scales. @returns maps [B, h, w, C] */
export type FeatureMaps = (images: tf.Tensor4D) => tf.Tensor4D[];

/**
 * Gram distance (Gatys et al. 2015): per scale the mean square of the difference of F F^T / (h w), over the mean square of the target's,
 * averaged over scales. Relative, so that no scale outweighs the others.
 */
export const gramDistance =
  (features: FeatureMaps): TextureDistance =>
  (images, targets) =>
    tf.tidy(() => {
      const wanted = features(targets).map(gram);
      // What a faint texture has: a flat target must not make every difference a thousandfold one.
      const least = features(faintTexture(targets.shape[1], targets.shape[2])).map(gram);
      const terms = features(images).map((maps, scale) => {
        const difference = tf.mean(tf.square(tf.sub(gram(maps), wanted[scale])), [1, 2]);
        return tf.div(
          difference,
          tf.add(tf.mean(tf.square(wanted[scale]), [1, 2]), tf.mean(tf.square(least[scale]))),
        );
      });
      return tf.mean(tf.stack(terms), 0) as tf.Tensor1D;
    });

/** Grey noise of a deviation of 0.05 about mid-grey, [1, H, W, 3]. */
const faintTexture = (height: number, width: number): tf.Tensor4D =>
  tf.tensor4d(randomStream(0, 'metric/faint').normals(height * width * 3, 0.5, 0.05), [1, height, width, 3]);

/** [B, h, w, C] -> F^T F / (h w), [B, C, C]. */
function gram(maps: tf.Tensor4D): tf.Tensor3D {
  const [batch, height, width, channels] = maps.shape;
  const flat = tf.reshape(maps, [batch, height * width, channels]);
  return tf.div(tf.matMul(flat, flat, true, false), height * width);
}
