// weightloom test my-encoder.test.ts
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { randomStream, startBackend, tf } from 'weightloom';
import { checkEncoder } from 'weightloom/testing';
import kind from './my-encoder.ts';

before(() => startBackend());

test('keeps what the interface promises', () =>
  // Shapes as announced, finite numbers, pictures apart, gradients for every variable, no tensor left behind; throws with the broken clause.
  checkEncoder(kind));

test('a histogram does not know where a colour is', () => {
  const encoder = kind.build(kind.defaults, { seed: 0 });
  tf.tidy(() => {
    const pictures = tf.tensor4d(randomStream(0, 'pictures').uniforms(2 * 12 * 12 * 3), [2, 12, 12, 3]);
    const [here, there] = [encoder.features(pictures), encoder.features(tf.reverse(pictures, [1, 2]))];
    // Sums of the same numbers in another order.
    assert.ok(tf.max(tf.abs(tf.sub(here, there))).dataSync()[0] < 1e-6);
  });
  encoder.dispose();
});
