import * as fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { deviation, golden } from '../../property-tests/golden.ts';
import { randomStream, startBackend, tf } from '../tensor/index.ts';
import { gammaOf, movingAverage, reconstruction } from './averages.ts';
import { learningRateAt } from './learning-rate.ts';
import { adam } from './optimiser.ts';

const test = suite('optimiser, learning rate, averages');
test.before(async () => {
  await startBackend();
});

test('the learning rate follows the reference numbers', async () => {
  const g = await golden('11_lr');
  const course = (base: number, warmupFactor: number) =>
    Array.from({ length: 101 }, (_, step) =>
      learningRateAt({ base, warmup: 10, warmupFactor }, step, step / 100),
    );
  assert.ok(deviation(course(1, 0), g.factor) < 1e-12);
  assert.ok(deviation(course(1, 0.1), g.factor_wf0p1) < 1e-12);
  assert.ok(deviation(course(2e-4, 0), g['lr_2e-4']) < 1e-12);
});

test('Adam and AdamW against the formulas in float64', () => {
  const before = tf.memory().numTensors;
  for (const weightDecay of [0, 0.1]) {
    const random = randomStream(3, 'adam');
    const variable = tf.tidy(() => tf.variable(tf.tensor1d(random.normals(20))));
    const optimiser = adam({ w: variable }, { weightDecay });
    const w = Array.from(variable.dataSync());
    const [m, v] = [new Float64Array(20), new Float64Array(20)];
    for (let t = 1; t <= 30; t++) {
      const gradient = random.normals(20);
      const tensor = tf.tensor1d(gradient);
      optimiser.update({ w: tensor }, 0.01, 0.5);
      tensor.dispose();
      for (let i = 0; i < 20; i++) {
        const g = 0.5 * gradient[i];
        m[i] = 0.9 * m[i] + 0.1 * g;
        v[i] = 0.999 * v[i] + 0.001 * g * g;
        w[i] -= 0.01 * weightDecay * w[i];
        w[i] -= (0.01 * (m[i] / (1 - 0.9 ** t))) / (Math.sqrt(v[i] / (1 - 0.999 ** t)) + 1e-8);
      }
    }
    // Thirty float32 updates.
    assert.ok(deviation(variable.dataSync(), { shape: [20], data: Float64Array.from(w) }) < 2e-6);
    optimiser.dispose();
    variable.dispose();
  }
  assert.is(tf.memory().numTensors, before);
});

/** The power-function average of a history by its definition: weights (s^(gamma+1) - (s-1)^(gamma+1)) / t^(gamma+1). */
function average(history: readonly Float32Array[], sigmaRel: number, t = history.length): Float64Array {
  const power = gammaOf(sigmaRel) + 1;
  const sum = new Float64Array(history[0].length);
  for (let s = 1; s <= t; s++) {
    const weight = (s / t) ** power - ((s - 1) / t) ** power;
    history[s - 1].forEach((x, i) => {
      sum[i] += weight * x;
    });
  }
  return sum;
}

test('a moving average is the power-function average; swapping twice changes nothing', () => {
  const before = tf.memory().numTensors;
  fc.assert(
    fc.property(
      fc.double({ min: 0.02, max: 0.25, noNaN: true }),
      fc.integer({ min: 1, max: 30 }),
      (width, steps) => {
        const random = randomStream(1, 'history');
        const variable = tf.tidy(() => tf.variable(tf.zeros([5])));
        const moving = movingAverage({ w: variable }, width);
        const history = Array.from({ length: steps }, () => random.normals(5));
        history.forEach((values, i) => {
          tf.tidy(() => variable.assign(tf.tensor1d(values)));
          moving.update(i + 1);
        });
        const expected = { shape: [5], data: average(history, width) };
        const last = variable.dataSync();
        assert.ok(deviation(moving.values.w.dataSync(), expected) < 1e-5);
        moving.swap();
        assert.ok(deviation(variable.dataSync(), expected) < 1e-5);
        assert.equal(moving.values.w.dataSync(), last);
        moving.swap();
        assert.equal(variable.dataSync(), last);
        moving.dispose();
        variable.dispose();
      },
    ),
    { numRuns: 20 },
  );
  assert.is(tf.memory().numTensors, before);
});

test('an average of any width is put together from saved ones of two widths', () => {
  const steps = 2000;
  const random = randomStream(2, 'walk');
  // A training that settles down, with noise on it.
  const history = Array.from({ length: steps }, (_, s) =>
    random.normals(8, 0, 0.05).map((noise, i) => noise + Math.exp((-s * (i + 1)) / 800)),
  );
  const saved = [];
  for (let step = 125; step <= steps; step += 125) {
    for (const sigmaRel of [0.05, 0.1]) saved.push({ sigmaRel, step });
  }
  for (const sigmaRel of [0.05, 0.07, 0.1, 0.15]) {
    const { factors: weights, error: misfit } = reconstruction(saved, { sigmaRel, step: steps });
    assert.ok(misfit < 0.05, `${sigmaRel}: ${misfit}`);
    const found = new Float64Array(8);
    saved.forEach((profile, k) => {
      average(history, profile.sigmaRel, profile.step).forEach((x, i) => {
        found[i] += weights[k] * x;
      });
    });
    const expected = average(history, sigmaRel);
    const error = Math.max(...found.map((x, i) => Math.abs(x - expected[i])));
    // The last weights alone are off by about 0.05 here.
    assert.ok(error < 2e-3, `${sigmaRel}: ${error}`);
  }
});

test('coefficients of an average sum to 1, however few averages were kept, and say how bad a fit is', () => {
  const few = [0.05, 0.1].map(sigmaRel => ({ sigmaRel, step: 20 }));
  for (const sigmaRel of [0.03, 0.1, 0.25]) {
    const { factors, error } = reconstruction(few, { sigmaRel, step: 20 });
    assert.ok(Math.abs(factors.reduce((a, b) => a + b, 0) - 1) < 1e-9);
    // Weights that stood still come out as they are.
    if (sigmaRel === 0.1) assert.ok(error < 1e-6, `${error}`);
    else assert.ok(error > 0.1, `${sigmaRel}: ${error}`);
  }
});

test.run();
