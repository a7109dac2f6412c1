// weightloom test my-encoder.test.ts
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { type Encoder, randomStream, settle, startBackend, tf } from 'weightloom';
import kind from './my-encoder.ts';

before(() => startBackend());

const size = 12;
const pictures = (): tf.Tensor4D =>
  tf.tensor4d(randomStream(0, 'pictures').uniforms(3 * size * size * 3), [3, size, size, 3]);

/** Builds the encoder, works with it, and sees that it leaves no tensor behind. */
async function withEncoder(work: (encoder: Encoder) => void): Promise<void> {
  const before = tf.memory().numTensors;
  const encoder = await settle(kind.build(kind.defaults, { seed: 0 }));
  const held = tf.memory().numTensors;
  tf.engine().startScope();
  work(encoder);
  tf.engine().endScope();
  assert.equal(tf.memory().numTensors, held);
  encoder.dispose();
  assert.equal(tf.memory().numTensors, before);
}

test('gives the shapes it announces, and finite numbers', () =>
  withEncoder(encoder => {
    const features = encoder.features(pictures());
    assert.deepEqual(features.shape, [3, encoder.tokens, encoder.featureWidth]);
    const tokens = encoder.project(features);
    assert.deepEqual(tokens.shape, [3, encoder.tokens, encoder.width]);
    assert.ok(tokens.dataSync().every(Number.isFinite));
  }));

test('treats every picture apart', () =>
  withEncoder(encoder => {
    const all = pictures();
    const [alone, among] = [encoder.features(tf.slice(all, 1, 1)), tf.slice(encoder.features(all), 1, 1)];
    // Sums of the same numbers, perhaps in another order.
    assert.ok(tf.max(tf.abs(tf.sub(alone, among))).dataSync()[0] < 1e-6);
  }));

test('a histogram does not know where a colour is', () =>
  withEncoder(encoder => {
    const all = pictures();
    const [here, there] = [encoder.features(all), encoder.features(tf.reverse(all, [1, 2]))];
    assert.ok(tf.max(tf.abs(tf.sub(here, there))).dataSync()[0] < 1e-6);
  }));
