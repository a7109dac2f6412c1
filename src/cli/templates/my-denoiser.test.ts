// weightloom test my-denoiser.test.ts
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { randomStream, SPECS, startBackend, tf, weightCount } from 'weightloom';
import { checkDenoiser, smallConfig, verifyDenoiser } from 'weightloom/testing';
import kind from './my-denoiser.ts';

before(() => startBackend());

test('keeps what the interface promises', () => {
  // Shapes, samples apart, absent conditions, gradients for every variable, no tensor left behind; throws with the broken clause.
  checkDenoiser(kind);
});

test('keeps the symmetries it claims', async () => {
  const verdicts = await verifyDenoiser(kind, { spec: SPECS.compact, config: smallConfig(kind), trials: 5 });
  const claimed = verdicts.filter(verdict => verdict.claimed);
  assert.ok(claimed.length > 0);
  for (const { symmetry, holds, counterexample } of claimed) {
    assert.ok(holds, `${symmetry}: ${counterexample?.text}`);
  }
});

test('learns', async () => {
  const spec = { ...SPECS.compact, channels: 3, hidden: 6 };
  const denoiser = kind.build(kind.defaults, { spec, condition: null, seed: 0 });
  const D = weightCount(spec);
  const weights = tf.tensor2d(randomStream(0, 'weights').normals(8 * D), [8, D]);
  const noise = tf.zeros<tf.Rank.R1>([8]);
  const optimiser = tf.train.adam(0.003);
  const loss = () =>
    tf.tidy(() => tf.mean(tf.square(tf.sub(denoiser.apply(weights, noise, null), weights))) as tf.Scalar);
  const first = loss().dataSync()[0];
  for (let step = 0; step < 60; step++) optimiser.minimize(loss, false, Object.values(denoiser.variables));
  assert.ok(loss().dataSync()[0] < 0.5 * first);
  denoiser.dispose();
});
