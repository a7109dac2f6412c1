import { test } from 'uvu';
import * as assert from 'uvu/assert';
import {
  initialWeights,
  type NcaSpec,
  patchSlicedWasserstein,
  SPECS,
  trainNca,
  weightCount,
} from '../nca/index.ts';
import { randomStream, startBackend, tf } from '../tensor/index.ts';
import { fineTune } from './fine-tuning.ts';

await startBackend();

const spec: NcaSpec = { ...SPECS.compact, channels: 4, hidden: 8 };
const size = weightCount(spec);
const training = {
  height: 10,
  width: 10,
  pool: 4,
  batch: 2,
  steps: [2, 5] as const,
  learningRate: 1e-2,
  milestones: [],
  loss: patchSlicedWasserstein({ scales: 2, patch: 3, projections: 8, factor: 100 }),
};
const initial = new Float32Array(3 * size);
for (let n = 0; n < 3; n++) initial.set(initialWeights(spec, n), n * size);

test('checkpoints hold what training for as long gives each NCA alone, however many train together; nothing leaks', async () => {
  const before = tf.memory().numTensors;
  const targets = tf.tensor4d(randomStream(1, 'pictures').uniforms(3 * 12 * 12 * 3), [3, 12, 12, 3]);
  const done: number[] = [];
  const { weights, skipped } = await fineTune({
    spec,
    initial,
    targets,
    checkpoints: [0, 2, 5],
    training,
    together: 2,
    onProgress: (count, total) => done.push(count / total),
  });
  assert.equal(weights[0], initial);
  assert.equal([...skipped], [0, 0, 0]);
  assert.is(done.at(-1), 1);
  assert.equal(
    [...done].sort((a, b) => a - b),
    done,
  );
  for (const [at, iterations] of [
    [1, 2],
    [2, 5],
  ]) {
    for (let n = 0; n < 3; n++) {
      const target = tf.slice4d(targets, [n, 0, 0, 0], [1, 12, 12, 3]);
      const alone = await trainNca(spec, target, {
        ...training,
        iterations,
        initial: initial.slice(n * size, (n + 1) * size),
      });
      target.dispose();
      const worst = alone.weights.reduce(
        (most, w, i) => Math.max(most, Math.abs(w - weights[at][n * size + i])),
        0,
      );
      // Gradients of a batch are summed in another order; five updates of 1e-2.
      assert.ok(worst < 1e-5, `${iterations} ${n}: ${worst}`);
    }
  }
  targets.dispose();
  assert.is(tf.memory().numTensors, before);
});

test('a raised signal ends it with its reason, and nothing leaks', async () => {
  const before = tf.memory().numTensors;
  const targets = tf.zeros([3, 12, 12, 3]) as tf.Tensor4D;
  const stop = new AbortController();
  const reason = new Error('enough');
  try {
    await fineTune({
      spec,
      initial,
      targets,
      checkpoints: [4],
      training,
      signal: stop.signal,
      onProgress: done => done >= 6 && stop.abort(reason),
    });
    assert.unreachable();
  } catch (error) {
    assert.is(error, reason);
  }
  targets.dispose();
  assert.is(tf.memory().numTensors, before);
});

test('checkpoints out of order and weights of another size are refused', async () => {
  const targets = tf.zeros([3, 12, 12, 3]) as tf.Tensor4D;
  const refused = async (options: object, message: RegExp) => {
    try {
      await fineTune({ spec, initial, targets, checkpoints: [0, 1], training, ...options });
      assert.unreachable();
    } catch (error) {
      assert.match((error as Error).message, message);
    }
  };
  await refused({ checkpoints: [0, 4, 2] }, /not rising/);
  await refused({ initial: initial.slice(1) }, /initial weights for 3 textures/);
  targets.dispose();
});

test.run();
