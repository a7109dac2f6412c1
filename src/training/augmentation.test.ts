import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { tinyData, tinyDenoiser } from '../../property-tests/tiny.ts';
import type { Encoder } from '../conditioning/index.ts';
import { edm, fitNormaliser, sampleCanonicalWeights, sampleWeights } from '../diffusion/index.ts';
import { actOnImage, actOnWeights, finiteOrbit, inverseElement, SPECS, weightCount } from '../nca/index.ts';
import { randomStream, startBackend, tf } from '../tensor/index.ts';
import { featureOrbit, symmetryAugmentation } from './augmentation.ts';

const test = suite('exact augmentation and canonicalised sampling');
test.before(async () => {
  await startBackend();
});

const spec = { ...SPECS.compact, channels: 5, hidden: 4 };
const D = weightCount(spec);
const SIDE = 4;
const PIXELS = SIDE * SIDE * 3;

/** The picture itself, halved in size, as one token: it tells all elements of the group apart. */
const encoder: Encoder = {
  name: 'pixels',
  tokens: 1,
  featureWidth: 12,
  width: 12,
  fingerprint: 'pixels',
  variables: {},
  features: images => tf.tidy(() => tf.reshape(tf.avgPool(images, 2, 2, 'valid'), [images.shape[0], 1, 12])),
  project: features => tf.clone(features),
  dispose: () => {},
};
const featuresOf = (image: Float32Array) =>
  tf.tidy(() => encoder.features(tf.tensor4d(image, [1, SIDE, SIDE, 3])).dataSync());
const pictureOf = (data: Float32Array) => ({ height: SIDE, width: SIDE, data });
const close = (a: ArrayLike<number>, b: ArrayLike<number>, tolerance = 1e-6) =>
  a.length === b.length && Array.from(a).every((x, i) => Math.abs(x - b[i]) < tolerance);

const images = randomStream(1, 'images').uniforms(3 * PIXELS);
const { weights } = tinyData(3, { spec });
const row = (values: Float32Array, n: number, width: number) => values.slice(n * width, (n + 1) * width);
const elements = finiteOrbit(spec, ['colour', 'd4']);

test('weights, picture and features follow the same element, recomputed or from the cache', () => {
  const before = tf.memory().numTensors;
  const orbit = featureOrbit(spec, elements, images, SIDE, encoder);
  for (const augmentation of [
    symmetryAugmentation({ spec, groups: ['colour', 'd4'], condition: encoder }),
    symmetryAugmentation({ spec, groups: [], condition: orbit }),
  ]) {
    const seen = new Set<number>();
    for (let n = 0; n < 3; n++) {
      const image = row(images, n, PIXELS);
      const sample = {
        index: n,
        weights: row(weights, n, D),
        image: image.slice(),
        features: new Float32Array(12),
      };
      augmentation.vary(sample, randomStream(2, `${n}`));
      const k = elements.findIndex(g => close(actOnWeights(spec, g, row(weights, n, D)), sample.weights));
      assert.ok(k >= 0, 'an element of the orbit');
      assert.ok(close(actOnImage(spec, elements[k], pictureOf(image)).data, sample.image));
      assert.ok(close(featuresOf(sample.image), sample.features));
      seen.add(k);
    }
    assert.ok(seen.size > 1);
  }
  assert.is(tf.memory().numTensors, before);
});

test('groups that keep the picture leave condition and picture as they are', () => {
  const augmentation = symmetryAugmentation({ spec, groups: ['hidden-permutation', 'channel-sign'] });
  const sample = {
    index: 0,
    weights: row(weights, 0, D),
    image: row(images, 0, PIXELS),
    features: new Float32Array(12),
  };
  augmentation.vary(sample, randomStream(3, 'keep'));
  assert.not.equal(sample.weights, row(weights, 0, D));
  assert.equal([...sample.weights.map(Math.abs)].sort(), [...row(weights, 0, D).map(Math.abs)].sort());
  assert.equal(sample.image, row(images, 0, PIXELS));
});

test('refuses what would not be exact', () => {
  const clipped = { ...spec, clip: { ...spec.clip, state: 1 } };
  assert.throws(() => symmetryAugmentation({ spec: clipped, groups: ['channel-rotation'] }), /not exact/);
  const blind = symmetryAugmentation({ spec, groups: ['d4'] });
  const sample = { index: 0, weights: row(weights, 0, D), image: null, features: new Float32Array(12) };
  assert.throws(() => blind.vary(sample, randomStream(1, 'x')), /need/);
});

test('sampling for a turned and recoloured training picture gives the turned and recoloured sample', async () => {
  const before = tf.memory().numTensors;
  const denoiser = tinyDenoiser({ spec, tokens: 12 });
  const normaliser = fitNormaliser(spec, tinyData(20, { spec }).weights);
  const shared = { denoiser, diffusion: edm(), normaliser, seed: 4, steps: 6 };
  const trainFeatures = new Float32Array([0, 1, 2].flatMap(n => [...featuresOf(row(images, n, PIXELS))]));
  const tokens = tf.tensor3d(trainFeatures, [3, 1, 12]);
  const straight = await sampleWeights({ ...shared, encoder, features: tokens });
  tokens.dispose();
  const turns = [5, 77, 200].map(k => elements[k]);
  const pictures = new Float32Array(3 * PIXELS);
  turns.forEach((g, n) => {
    pictures.set(actOnImage(spec, g, pictureOf(row(images, n, PIXELS))).data, n * PIXELS);
  });
  const { weights: sampled, conditions } = await sampleCanonicalWeights({
    ...shared,
    encoder,
    pictures,
    pictureSize: SIDE,
    trainFeatures,
    elements,
  });
  turns.forEach((g, n) => {
    assert.is(conditions[n].nearest, n);
    const back = actOnWeights(spec, inverseElement(g), row(sampled, n, D));
    // Colours were mapped there and back in float32 before encoding; the network amplifies that a little.
    assert.ok(close(back, row(straight, n, D), 1e-3));
  });
  denoiser.dispose();
  assert.is(tf.memory().numTensors, before);
});

test.run();
