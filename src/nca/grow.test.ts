import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { randomStream, startBackend, tf } from '../tensor/index.ts';
import { grow, rollout, SPECS, seedState, seedsFor, weightCount } from './index.ts';

await startBackend();

const spec = SPECS.hypernca;
const size = weightCount(spec);
const BATCH = 8;
const SIDE = 64;

test('what is grown in pieces is what one rollout grows, number for number; a signal ends it between two pieces', async () => {
  const before = tf.memory().numTensors;
  const weights = tf.tensor2d(randomStream(1, 'grow').normals(BATCH * size, 0, 0.05), [BATCH, size]);
  const first = seedState(spec, BATCH, SIDE, SIDE);
  // More than two pieces of some twenty steps.
  const options = { steps: 45, seeds: seedsFor(3, BATCH), firstStep: 2 };
  const whole = rollout(spec, weights, first, options);
  const found = await grow(spec, weights, first, options);
  assert.equal(found.dataSync(), whole.dataSync());
  const control = new AbortController();
  setImmediate(() => control.abort(new Error('stopped')));
  const error = await grow(spec, weights, first, { ...options, signal: control.signal }).catch(
    reason => reason,
  );
  assert.is(error.message, 'stopped');
  tf.dispose([weights, first, whole, found]);
  assert.is(tf.memory().numTensors, before);
});

test.run();
