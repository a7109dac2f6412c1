import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { golden } from '../../../property-tests/golden.ts';
import { randomStream, startBackend, tf } from '../../tensor/index.ts';
import { type NcaSpec, SPECS, weightBlocks, weightCount } from '../spec.ts';
import { patchSlicedWasserstein } from '../texture-loss.ts';
import {
  initialWeights,
  learningRateAt,
  lowRankAdaptation,
  NcaTrainer,
  NormalisedAdam,
  trainNca,
} from './index.ts';

await startBackend();

const small: NcaSpec = { ...SPECS.compact, channels: 4, hidden: 8, filterScale: 1 / 8 };
const options = {
  height: 10,
  width: 12,
  iterations: 6,
  pool: 6,
  batch: 2,
  steps: [3, 7] as const,
  learningRate: 1e-2,
  milestones: [4],
  loss: patchSlicedWasserstein({ scales: 2, patch: 3, projections: 8, factor: 100 }),
};
const pictures = (count: number) =>
  tf.tensor4d(randomStream(5, 'pictures').uniforms(count * 14 * 14 * 3), [count, 14, 14, 3]);

test('gradient normalisation, Adam and milestones follow the recorded training', async () => {
  const trace = await golden('13_nca_train_trace');
  for (const run of ['trained', 'zero_w2']) {
    const flat = (stage: string) =>
      Float32Array.from(
        ['w1.weight', 'w1.bias', 'w2.weight'].flatMap(name =>
          Array.from(trace[`${run}.${stage}.${name}`].data as Float32Array),
        ),
      );
    const iterations = run === 'trained' ? 3 : 1;
    const adam = new NormalisedAdam(weightBlocks(SPECS.hypernca), flat('iter0'));
    for (let i = 0; i < iterations; i++) {
      adam.update(
        flat(`rawgrad${i}`),
        learningRateAt({ learningRate: 1e-3, milestones: [1000, 2000], decay: 0.5 }, i),
      );
      const expected = flat(`iter${i + 1}`);
      const worst = adam.weights.reduce((most, w, k) => Math.max(most, Math.abs(w - expected[k])), 0);
      // An update is 1e-3; float32 weights of about 0.1 round at 1e-8.
      assert.ok(worst < 1e-7, `${run} ${i}: ${worst}`);
    }
  }
});

test('the learning rate falls at the milestones', () => {
  const schedule = { learningRate: 8, milestones: [10, 20], decay: 0.5 };
  assert.equal(
    [0, 9, 10, 19, 20, 99].map(i => learningRateAt(schedule, i)),
    [8, 8, 4, 4, 2, 2],
  );
});

test('an NCA that starts from random weights moves: none of its blocks is stuck', async () => {
  const target = pictures(1);
  const start = initialWeights(small, 0);
  const { weights } = await trainNca(small, target, options);
  for (const [from, to] of [
    [0, 128],
    [128, 136],
    [136, 168],
  ]) {
    assert.ok(weights.subarray(from, to).some((w, i) => Math.abs(w - start[from + i]) > 1e-3));
  }
  target.dispose();
});

test('training side by side gives each NCA the weights it gets alone', async () => {
  const targets = pictures(3);
  const size = weightCount(small);
  const together = await trainNca(small, targets, options);
  for (let n = 0; n < 3; n++) {
    const target = tf.slice(targets, [n, 0, 0, 0], [1, 14, 14, 3]);
    const alone = await trainNca(small, target, options);
    const worst = alone.weights.reduce(
      (most, w, i) => Math.max(most, Math.abs(w - together.weights[n * size + i])),
      0,
    );
    // Gradients of a batch are summed in another order; six updates of 1e-2.
    assert.ok(worst < 1e-5, `${n}: ${worst}`);
    target.dispose();
  }
  targets.dispose();
});

test('a training that was stopped and restored goes on as if it had not stopped', async () => {
  const target = pictures(2);
  const whole = await trainNca(small, target, options);
  const stop = new AbortController();
  const begun = await trainNca(small, target, {
    ...options,
    signal: stop.signal,
    onProgress({ iteration }) {
      if (iteration === 3) stop.abort();
    },
  });
  assert.is(begun.finished, false);
  assert.is(begun.losses.length, 3);
  const rest = await trainNca(small, target, { ...options, state: begun.state });
  assert.is(rest.finished, true);
  assert.equal(rest.weights, whole.weights);
  assert.equal([...begun.losses, ...rest.losses], whole.losses);
  assert.throws(() => {
    const trainer = new NcaTrainer(small, target, { ...options, pool: 7 });
    trainer.restore(begun.state);
  }, /pool: expected shape 2x7x/);
  target.dispose();
});

test('training lowers the loss', async () => {
  // Stripes of two reds: far from the grey of the seed state.
  const colours = [
    [0.9, 0.2, 0.3],
    [0.7, 0.1, 0.2],
  ];
  const target = tf.tensor4d(
    Array.from({ length: 16 * 16 }, (_, i) => colours[(i >> 2) & 1]).flat(),
    [1, 16, 16, 3],
  );
  const { losses } = await trainNca(small, target, {
    ...options,
    iterations: 120,
    steps: [8, 16],
    learningRate: 4e-3,
    milestones: [80],
  });
  const mean = (from: number) => losses.slice(from, from + 10).reduce((sum, [x]) => sum + x / 10, 0);
  assert.ok(mean(110) < 0.5 * mean(0), `${mean(0)} to ${mean(110)}`);
  target.dispose();
});

test('a low-rank adaptation begins at its start, and its gradient is the transpose of its derivative', () => {
  const spec: NcaSpec = { ...small, outputBias: true };
  const size = weightCount(spec);
  const random = randomStream(7, 'adaptation');
  const start = random.normals(size);
  const { begin, weights, pullBack, count } = lowRankAdaptation(spec, 3, 1);
  const at = (parameters: Float32Array) => {
    const out = new Float32Array(size);
    weights(parameters, start, out);
    return out;
  };
  assert.equal(at(begin(start)), start);
  const parameters = random.normals(count);
  const way = random.normals(count);
  const slope = random.normals(size);
  // The map is quadratic in the parameters: its central difference is its derivative, up to rounding.
  const [ahead, behind] = [1, -1].map(sign => at(parameters.map((x, i) => x + sign * way[i])));
  const inWeights = slope.reduce((sum, g, i) => sum + (g * (ahead[i] - behind[i])) / 2, 0);
  const inParameters = pullBack(parameters, slope).reduce((sum, g, i) => sum + g * way[i], 0);
  // Sums of some hundred float32 products of about 1.
  assert.ok(Math.abs(inWeights - inParameters) < 1e-3, `${inWeights} and ${inParameters}`);
});

test('a low-rank training changes each layer by no more than its rank, and resumes exactly', async () => {
  const target = pictures(2);
  const start = initialWeights(small, 4);
  const settings = { ...options, initial: start, rank: 1 };
  const whole = await trainNca(small, target, settings);
  const [rows, columns] = [8, 16];
  const change = whole.weights.subarray(0, rows * columns).map((w, i) => w - start[i]);
  assert.ok(change.some(x => Math.abs(x) > 1e-4));
  // All 2 x 2 minors of a matrix of rank 1 are zero.
  const largest = change.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
  for (let i = 1; i < rows; i++) {
    for (let j = 1; j < columns; j++) {
      const minor = change[0] * change[i * columns + j] - change[j] * change[i * columns];
      // Differences of float32 weights of about 0.1.
      assert.ok(Math.abs(minor) < 1e-4 * largest * largest + 1e-7 * largest);
    }
  }
  const stop = new AbortController();
  const begun = await trainNca(small, target, {
    ...settings,
    signal: stop.signal,
    onProgress({ iteration }) {
      if (iteration === 3) stop.abort();
    },
  });
  const rest = await trainNca(small, target, { ...settings, state: begun.state });
  assert.equal(rest.weights, whole.weights);
  target.dispose();
});

test('a gradient that is not finite leaves weights alone and clears the states', () => {
  const target = pictures(2);
  const size = weightCount(small);
  const weights = new Float32Array(2 * size);
  weights.set(initialWeights(small, 1), 0);
  weights.fill(1e20, size);
  const trainer = new NcaTrainer(small, target, { ...options, initial: weights });
  const { diverged } = trainer.step();
  assert.equal(diverged, [1]);
  assert.equal(trainer.weights.subarray(size), weights.subarray(size));
  assert.ok((trainer.state().pool.data as Float32Array).every(Number.isFinite));
  trainer.dispose();
  target.dispose();
});

test('tensors do not leak', () => {
  const target = pictures(1);
  const before = tf.memory().numTensors;
  const trainer = new NcaTrainer(small, target, options);
  const one = tf.memory().numTensors;
  for (let i = 0; i < 3; i++) trainer.step();
  assert.is(tf.memory().numTensors, one);
  trainer.dispose();
  assert.is(tf.memory().numTensors, before);
  target.dispose();
});

test.run();
