/** Ten thousand steps of training hold as much memory at the end as after the first few. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { setThreadCount, statistics } from '../src/compute/index.ts';
import {
  fused,
  layerNorm,
  linear,
  Parameters,
  selfAttention,
  startBackend,
  tf,
} from '../src/tensor/index.ts';
import { adam } from '../src/training/index.ts';

const STEPS = 10_000;
const WARM_UP = 20;

test('10,000 steps of linear, layer norm, attention and Adam leave nothing behind', async () => {
  await startBackend({ prefer: 'loom' });
  // So small a model is one band to each kernel: threads would only wait.
  setThreadCount(1);
  const parameters = new Parameters({ seed: 1 });
  const into = linear(parameters, 'in', 3, 4);
  const norm = layerNorm(parameters, 'norm', 4);
  const attention = selfAttention(parameters, 'attention', 4, 2);
  const out = linear(parameters, 'out', 4, 3);
  // tf.variableGrads speaks of variables by the names tfjs gave them.
  const variables = Object.fromEntries(Object.values(parameters.variables).map(v => [v.name, v]));
  const optimiser = adam(variables, { weightDecay: 0.01 });
  const x = tf.tensor3d([1, -1, 0.5, 0, 2, -0.5, 1, 1, 0.25, -1, 0.5, 2], [2, 2, 3]);
  const step = () =>
    tf.tidy(() => {
      const { value, grads } = tf.variableGrads(
        () => tf.mean(tf.squaredDifference(out(fused.gelu(attention(norm(into(x))))), x)) as tf.Scalar,
      );
      optimiser.update(grads, 1e-3);
      return value.dataSync()[0] as never;
    }) as unknown as number;
  const held = () => {
    const { numTensors, numBytes, numDataBuffers } = tf.memory();
    return { numTensors, numBytes, numDataBuffers, ...statistics() };
  };
  const first = step();
  for (let i = 1; i < WARM_UP; i++) step();
  const before = held();
  let last = first;
  for (let i = WARM_UP; i < STEPS; i++) last = step();
  assert.equal(held(), before);
  assert.ok(last < first / 10, `the loss went from ${first} to ${last}: nothing was learned`);
  parameters.dispose();
  optimiser.dispose();
  x.dispose();
  assert.is(tf.memory().numTensors, 0);
});

test.run();
