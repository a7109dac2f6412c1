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
 * Gram distance (after Gatys et al. 2015): per scale the mean square of the difference of F F^T / (h w), over the mean squares of both, averaged over scales.
 * Relative, so that no scale outweighs the others, and to both pictures: Gram matrices go by the square of the contrast and this by its fourth power, so
 * that over the target's alone one nearly flat target would outweigh a hundred others. In [0, 1]: Gram matrices have no negative product.
 */
export const gramDistance =
  (features: FeatureMaps): TextureDistance =>
  (images, targets) =>
    tf.tidy(() => {
      const wanted = features(targets).map(gram);
      // What a faint texture has: between two nearly flat pictures every difference is small.
      const least = features(faintTexture(targets.shape[1], targets.shape[2])).map(gram);
      const size = (grams: tf.Tensor3D) => tf.mean(tf.square(grams), [1, 2]);
      const terms = features(images).map((maps, scale) => {
        const found = gram(maps);
        const difference = size(tf.sub(found, wanted[scale]) as tf.Tensor3D);
        return tf.div(difference, tf.add(tf.add(size(found), size(wanted[scale])), size(least[scale])));
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
