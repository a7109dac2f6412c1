/**
 * Exact augmentation: a random element of symmetry groups acts on a sample's weights and on its picture, and the condition follows the
 * picture. Off unless asked for: on a zoo whose NCAs share a base it destroys the alignment that makes weight space learnable.
 */
import type { Encoder } from '../conditioning/index.ts';
import {
  actOnImage,
  actOnWeights,
  composeElements,
  elementSize,
  identityElement,
  type NcaSpec,
  SYMMETRIES,
  type SymmetryElement,
  type SymmetryName,
} from '../nca/index.ts';
import { tf } from '../tensor/index.ts';
import type { Augmentation, Sample } from './batches.ts';

/** Features of every sample under every element of a finite set: [N, K, T * F] flattened. */
export interface FeatureOrbit {
  readonly elements: readonly SymmetryElement[];
  readonly features: Float32Array;
}

/** Which symmetries augment, and where the features of changed pictures come from. */
export interface SymmetryAugmentationOptions {
  readonly spec: NcaSpec;
  /** A random element of each is applied, in this order. Those that change the picture need `condition`, if there is one. */
  readonly groups: readonly SymmetryName[];
  /** Where the changed picture's features come from: a cached orbit, from which its element is drawn, or the encoder, run anew. */
  readonly condition?: FeatureOrbit | Pick<Encoder, 'features'>;
}

/**
 * Augmentation by random elements of symmetry groups, acting on a sample's weights and picture; its features follow the picture.
 * @throws Error when a group is not exact for the spec, or changes pictures and there is nothing to take their features from
 */
export function symmetryAugmentation({ spec, groups, condition }: SymmetryAugmentationOptions): Augmentation {
  const orbit = condition && 'elements' in condition ? condition : undefined;
  const encoder =
    condition && 'features' in condition && !orbit ? (condition as Pick<Encoder, 'features'>) : undefined;
  for (const name of groups) {
    const obstacle = SYMMETRIES[name].obstacle(spec);
    if (obstacle) throw new Error(`augmentation by ${name} is not exact: ${obstacle}`);
    if (orbit && !SYMMETRIES[name].keepsPicture) {
      throw new Error(
        `augmentation by ${name}: the elements that change pictures come from the cached orbit`,
      );
    }
  }
  const changesPicture = groups.some(name => !SYMMETRIES[name].keepsPicture);

  return {
    name: groups.join(' + '),
    vary(sample, random) {
      let element = identityElement(elementSize(spec));
      const k = orbit ? random.integer(0, orbit.elements.length) : 0;
      if (orbit) element = orbit.elements[k];
      for (const name of groups) element = composeElements(SYMMETRIES[name].sample(spec, random), element);
      sample.weights.set(actOnWeights(spec, element, sample.weights));
      if (!orbit && !changesPicture) return;
      const picture = sample.image && turned(spec, element, sample.image);
      if (picture) sample.image!.set(picture);
      if (!sample.features) return;
      if (orbit) sample.features.set(cached(orbit, sample, k));
      else if (encoder && picture) sample.features.set(encoded(encoder, picture));
      else
        throw new Error('augmentation that changes pictures needs them, and an encoder or cached features');
    },
  };
}

/** Features of pictures [N, S, S, 3] under every element, a few pictures at a time. */
export function featureOrbit(
  spec: NcaSpec,
  elements: readonly SymmetryElement[],
  images: Float32Array,
  size: number,
  encoder: Pick<Encoder, 'features'>,
): FeatureOrbit {
  const pixels = size * size * 3;
  const count = images.length / pixels;
  const rows: Float32Array[] = [];
  for (let n = 0; n < count; n++) {
    const image = images.subarray(n * pixels, (n + 1) * pixels);
    const variants = new Float32Array(elements.length * pixels);
    elements.forEach((element, k) => {
      variants.set(turned(spec, element, image), k * pixels);
    });
    rows.push(encoded(encoder, variants, elements.length));
  }
  const features = new Float32Array(rows.length * (rows[0]?.length ?? 0));
  rows.forEach((row, n) => {
    features.set(row, n * row.length);
  });
  return { elements, features };
}

function turned(spec: NcaSpec, element: SymmetryElement, image: Float32Array): Float32Array {
  const side = Math.sqrt(image.length / 3);
  return actOnImage(spec, element, { height: side, width: side, data: image }).data;
}

function encoded(encoder: Pick<Encoder, 'features'>, images: Float32Array, count = 1): Float32Array {
  const side = Math.sqrt(images.length / count / 3);
  return tf.tidy(
    () => encoder.features(tf.tensor4d(images, [count, side, side, 3])).dataSync() as Float32Array,
  );
}

function cached(
  { elements, features }: FeatureOrbit,
  { index, features: row }: Sample,
  k: number,
): Float32Array {
  const from = (index * elements.length + k) * row!.length;
  return features.subarray(from, from + row!.length);
}
