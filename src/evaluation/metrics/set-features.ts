/** Features of whole sets of pictures, and the set metrics under names that say what they were measured with. */
import type { Encoder } from '../../conditioning/index.ts';
import { tf } from '../../tensor/index.ts';
import type { Inception } from '../pretrained/index.ts';
import { displayable } from './divergence.ts';
import { FeatureSet, fid, fidInfinity, type KidOptions, kid, type SetDistance } from './sets.ts';

/** A source of features by which sets of pictures are compared. */
export interface SetFeatures {
  /** `inception` for the published metrics; anything else appears in their names. */
  readonly name: string;
  readonly width: number;
  /** @param images [B, H, W, 3] in [0, 1]  @returns [B, width] */
  features(images: tf.Tensor4D): tf.Tensor2D;
}

/** Inception's pool features [B, 2048], by which FID and KID are published. */
export const inceptionFeatures = (network: Inception): SetFeatures => ({
  name: 'inception',
  width: network.width,
  features: network.features,
});

/** Any encoder's frozen features, its tokens side by side. */
export const encoderFeatures = (encoder: Encoder): SetFeatures => ({
  name: encoder.name,
  width: encoder.tokens * encoder.featureWidth,
  features: images =>
    tf.tidy(() =>
      tf.reshape(encoder.features(images), [images.shape[0], encoder.tokens * encoder.featureWidth]),
    ),
});

/** Adds pictures [B, H, W, 3] to a set, a few at a time. They are clipped to [0, 1] first, as a screen would. */
export async function addPictures(
  set: FeatureSet,
  source: SetFeatures,
  images: tf.Tensor4D,
  chunk = 16,
): Promise<void> {
  for (let from = 0; from < images.shape[0]; from += chunk) {
    const count = Math.min(chunk, images.shape[0] - from);
    const features = tf.tidy(() =>
      source.features(displayable(tf.slice4d(images, [from, 0, 0, 0], [count, -1, -1, -1]))),
    );
    set.add(await features.data());
    features.dispose();
  }
}

/** The set of features of pictures that come in any number of batches; batches are disposed of when they have been read. */
export async function featuresOf(
  source: SetFeatures,
  batches: Iterable<tf.Tensor4D> | AsyncIterable<tf.Tensor4D>,
): Promise<FeatureSet> {
  const set = new FeatureSet(source.width);
  for await (const images of batches) {
    await addPictures(set, source, images);
    images.dispose();
  }
  return set;
}

/** `fid` on Inception, `fid@random-gram` on that encoder: figures of different features never share a name. */
export const setMetricName = (metric: string, source: Pick<SetFeatures, 'name'>): string =>
  source.name === 'inception' ? metric : `${metric}@${source.name}`;

/** Options of FID, FID-infinity and KID together. */
export interface SetMetricOptions extends KidOptions {}

/** FID, FID-infinity and KID of two sets of one source's features, by name. */
export function setMetrics(
  source: Pick<SetFeatures, 'name'>,
  images: FeatureSet,
  targets: FeatureSet,
  options: SetMetricOptions = {},
): Record<string, SetDistance> {
  return {
    [setMetricName('fid', source)]: fid(images, targets),
    [setMetricName('fid-infinity', source)]: fidInfinity(images, targets, options),
    [setMetricName('kid', source)]: kid(images, targets, options),
  };
}
