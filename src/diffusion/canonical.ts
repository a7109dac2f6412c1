/**
 * Canonicalised sampling: each picture is turned and recoloured by the group element that brings its condition closest to a training
 * condition; weights are sampled for that; the element is undone on them. Exact, and the denoiser stays where it was trained.
 */
import { type Encoder, fitStandardiser, orbitFeatures, standardise } from '../conditioning/index.ts';
import {
  actOnWeights,
  type CanonicalCondition,
  canonicalCondition,
  type SymmetryElement,
} from '../nca/index.ts';
import { tf } from '../tensor/index.ts';
import { type SampleWeightsOptions, sampleWeights } from './sample.ts';

/** Of `sampleWeights`, with pictures in the place of conditions, and what they are brought near to. */
export interface CanonicalSampleOptions extends Omit<SampleWeightsOptions, 'features' | 'encoder'> {
  /** Its features are compared; its `project` makes the condition. */
  readonly encoder: Encoder;
  /** [N * S * S * 3] in [0, 1]. */
  readonly pictures: Float32Array;
  /** S */
  readonly pictureSize: number;
  /** [M * T * F] frozen features of the training pictures. */
  readonly trainFeatures: Float32Array;
  /** Elements to try, such as `finiteOrbit(spec, ['colour', 'd4'])`. */
  readonly elements: readonly SymmetryElement[];
  /** Told after each picture whose element is found. */
  readonly onCanonical?: (done: number, total: number) => void;
}

/** Samples weights [N * count * D] as `sampleWeights` does, and tells what was done to each picture. */
export async function sampleCanonicalWeights(
  options: CanonicalSampleOptions,
): Promise<{ weights: Float32Array; conditions: readonly CanonicalCondition[] }> {
  const { denoiser, encoder, pictures, pictureSize: side, trainFeatures, elements, count = 1 } = options;
  const { spec } = denoiser;
  const { tokens, featureWidth } = encoder;
  const tensor = (features: Float32Array) =>
    tf.tensor3d(features, [features.length / (tokens * featureWidth), tokens, featureWidth]);
  const training = tensor(trainFeatures);
  const standardiser = await fitStandardiser(training);
  training.dispose();
  const numbersOf = async (made: () => tf.Tensor) => {
    const kept = tf.tidy(made);
    const numbers = (await kept.data()) as Float32Array;
    kept.dispose();
    return numbers;
  };
  const alike = (features: Float32Array) => numbersOf(() => standardise(tensor(features), standardiser));
  const train = await alike(trainFeatures);
  const pixels = side * side * 3;
  const total = pictures.length / pixels;

  const conditions: CanonicalCondition[] = [];
  const width = tokens * featureWidth;
  const raw = new Float32Array(total * width);
  for (let n = 0; n < total; n++) {
    const picture = { height: side, width: side, data: pictures.subarray(n * pixels, (n + 1) * pixels) };
    // Distances are taken between standardised features; the denoiser gets the picture's own.
    const orbit = await orbitFeatures(encoder, spec, picture, elements, options.signal);
    const found = canonicalCondition({ elements, features: await alike(orbit), trainFeatures: train });
    const chosen = elements.indexOf(found.element);
    raw.set(orbit.subarray(chosen * width, (chosen + 1) * width), n * width);
    conditions.push(found);
    options.onCanonical?.(n + 1, total);
  }

  const features = tensor(raw);
  try {
    const weights = await sampleWeights({ ...options, features });
    const size = weights.length / (total * count);
    conditions.forEach(({ undo }, n) => {
      const rows = weights.subarray(n * count * size, (n + 1) * count * size);
      rows.set(actOnWeights(spec, undo, rows));
    });
    return { weights, conditions };
  } finally {
    features.dispose();
  }
}
