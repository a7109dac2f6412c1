import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { randomStream, startBackend, tf } from '../tensor/index.ts';
import { fitStandardiser, randomGram, standardise, standardised } from './index.ts';

await startBackend();

const noise = (seed: number, size: number): tf.Tensor4D =>
  tf.tensor4d(randomStream(seed, 'pictures').uniforms(2 * size * size * 3), [2, size, size, 3]);

const largest = (a: tf.Tensor, b: tf.Tensor) => tf.tidy(() => tf.max(tf.abs(tf.sub(a, b))).dataSync()[0]);

test('the same seed gives the same filters, another seed others', () => {
  const images = noise(1, 24);
  const [one, same, other] = [0, 0, 1].map(seed => {
    const encoder = randomGram({ seed });
    const features = encoder.features(images);
    encoder.dispose();
    return features;
  });
  assert.is(largest(one, same), 0);
  assert.ok(largest(one, other) > 0.1);
  tf.dispose([images, one, same, other]);
});

test('structure ignores brightness and, but for its amplitudes, contrast', () => {
  const encoder = randomGram({ layout: 'scales' });
  const images = noise(2, 24);
  const before = tf.memory().numTensors;
  tf.tidy(() => {
    const structure = (pictures: tf.Tensor4D, from: number) =>
      tf.slice(encoder.features(pictures), [0, 0, from], [2, 3, 64 - from]);
    // Only rounding of the mean colour is left: 1e-4 of numbers of order one.
    assert.ok(largest(structure(images, 0), structure(tf.add(images, 0.1), 0)) < 1e-4);
    // The floor under the amplitudes (0.01 against about 0.05 at the coarsest scale) shows a little in the correlations.
    assert.ok(largest(structure(images, 24), structure(tf.mul(images, 0.5), 24)) < 0.3);
    assert.ok(largest(structure(images, 0), structure(tf.mul(images, 0.5), 0)) > 0.5);
  });
  assert.is(tf.memory().numTensors, before);
  encoder.dispose();
  images.dispose();
});

test('shifting a picture around the torus changes nothing', () => {
  const encoder = randomGram();
  const images = noise(4, 20);
  tf.tidy(() => {
    const rows = tf.concat(
      [tf.slice(images, [0, 7, 0, 0]), tf.slice(images, [0, 0, 0, 0], [-1, 7, -1, -1])],
      1,
    );
    // The same sums in another order; log of an amplitude near its floor magnifies rounding a little.
    assert.ok(largest(encoder.features(images), encoder.features(rows as tf.Tensor4D)) < 1e-3);
  });
  encoder.dispose();
  images.dispose();
});

test('standardised features have mean 0 and variance 1, constant ones are 0', async () => {
  const before = tf.memory().numTensors;
  const raw = randomGram();
  const images = tf.tensor4d(randomStream(3, 'many').uniforms(20 * 12 * 12 * 3), [20, 12, 12, 3]);
  const features = raw.features(images);
  const standardiser = await fitStandardiser(features);
  const encoder = standardised(raw, standardiser);
  tf.tidy(() => {
    const projected = encoder.project(features);
    const total = tf.sum(tf.moments(projected, 0).variance).dataSync()[0];
    // 33 features of colour, and as much from structure: 2 * 33 * 19 / 20, less what clipping and constant features take.
    assert.ok(Math.abs(total / 62.7 - 1) < 0.05, `${total}`);
    const { mean, variance } = tf.moments(standardise(features, standardiser), 0);
    // 20 samples, some clipped at five deviations; float32 sums of numbers of order one.
    assert.ok(tf.max(tf.abs(mean)).dataSync()[0] < 1e-3);
    for (const v of variance.dataSync()) assert.ok(v < 1e-3 || Math.abs(v - 19 / 20) < 1e-2);
  });
  raw.dispose();
  tf.dispose([images, features]);
  assert.is(tf.memory().numTensors, before);
});

test.run();
