import fc from 'fast-check';
import { Matrix } from 'ml-matrix';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { edm, normaliserOf, sampleWeights } from '../diffusion/index.ts';
import { SPECS, weightCount } from '../nca/index.ts';
import { randomStream, startBackend, tf } from '../tensor/index.ts';
import {
  bestOf,
  distinctRows,
  energyScores,
  fitGaussian,
  gaussianDenoiser,
  shrunkCovariance,
  spreadToError,
} from './index.ts';

await startBackend();

/** K samples and a truth of M conditions, all of N(mean_m, std^2) but for the factors. */
function draws(seed: number, K: number, M: number, D: number, spread = 1, offset = 0) {
  const random = randomStream(seed, 'draws');
  const means = random.normals(M * D, 0, 3);
  const around = (std: number, shift: number) => means.map(mean => mean + shift + random.normal(0, std));
  return { truth: around(1, 0), samples: Array.from({ length: K }, () => around(spread, offset)) };
}

test('the ratio of spread and error is 1 for draws of the truth’s own distribution, whatever K', () => {
  fc.assert(
    fc.property(fc.nat(1e6), fc.integer({ min: 2, max: 9 }), (seed, K) => {
      const { samples, truth } = draws(seed, K, 40, 50);
      // 2,000 coordinates: the error's relative standard error is 1 / sqrt(4000) = 1.6 %; five of them.
      assert.ok(Math.abs(spreadToError(samples, truth).ratio - 1) < 0.08);
    }),
    { numRuns: 20 },
  );
  const { samples, truth } = draws(1, 8, 40, 50, 0.01);
  assert.ok(spreadToError(samples, truth).ratio < 0.02);
});

test('the energy score is least in the mean for the true distribution', () => {
  const score = (spread: number, offset: number) => {
    const { samples, truth } = draws(3, 8, 200, 10, spread, offset);
    return energyScores(samples, truth, 10).reduce((sum, x) => sum + x, 0) / 200;
  };
  const best = score(1, 0);
  for (const [spread, offset] of [
    [0.05, 0],
    [0.5, 0],
    [2, 0],
    [1, 1],
  ])
    assert.ok(score(spread, offset) > best + 0.01, `${spread}, ${offset}`);
});

test('best of K chooses by one measure and reports the other', () => {
  assert.equal(
    bestOf(
      [Float64Array.of(1, 5), Float64Array.of(2, 3)],
      [Float64Array.of(10, 20), Float64Array.of(30, 40)],
    ),
    Float64Array.of(10, 40),
  );
});

test('rows that are one are counted once', () => {
  const rows = randomStream(0, 'rows').normals(5 * 20);
  const copies = Float32Array.from([...rows, ...rows.map(x => x + 0.01)]);
  assert.is(distinctRows(copies, 20, 0.1), 5);
  assert.is(distinctRows(copies, 20, 0.001), 10);
});

test('the shrunk covariance lies between the sample’s and a multiple of the identity, of the same trace', () => {
  fc.assert(
    fc.property(fc.nat(1e6), fc.integer({ min: 5, max: 40 }), (seed, count) => {
      const size = 12;
      const rows = Matrix.from1DArray(count, size, randomStream(seed, 'rows').normals(count * size));
      const { spectrum, directions, rest } = shrunkCovariance(rows);
      const trace = spectrum.reduce((sum, x) => sum + x, 0) + (size - spectrum.length) * rest;
      const wanted = rows.norm('frobenius') ** 2 / count;
      // float32 directions do not enter the trace.
      assert.ok(Math.abs(trace / wanted - 1) < 1e-9);
      const basis = Matrix.from1DArray(spectrum.length, size, directions);
      const identity = basis.mmul(basis.transpose());
      const error = Matrix.sub(identity, Matrix.eye(spectrum.length)).norm('frobenius');
      assert.ok(error < 1e-4, `${error}`);
    }),
    { numRuns: 20 },
  );
});

test('the sampler gives the closed-form denoiser’s own mean and covariance, in the full dimension', async () => {
  const before = tf.memory().numTensors;
  const spec = { ...SPECS.compact, name: 'tiny', channels: 4, hidden: 6 };
  const size = weightCount(spec);
  const [count, width] = [60, 3];
  const random = randomStream(0, 'population');
  const features = random.normals(count * width);
  const loading = random.normals(width * size, 0, 0.3);
  const direction = random.normals(size, 0, 1);
  const weights = new Float32Array(count * size);
  for (let n = 0; n < count; n++) {
    const along = random.normal(0, 0.6);
    for (let d = 0; d < size; d++) {
      let mean = 0;
      for (let f = 0; f < width; f++) mean += features[n * width + f] * loading[f * size + d];
      weights[n * size + d] = mean + along * direction[d] + random.normal(0, 0.1);
    }
  }
  const fit = fitGaussian({ weights, features: Float32Array.from(features), size });
  const diffusion = edm({
    noise: { kind: 'log-normal', mean: -0.5, std: 2 },
    sampling: { steps: 40, sigmaMin: 0.003, sigmaMax: 300 },
  });
  const denoiser = gaussianDenoiser(spec, fit, diffusion.config);
  const asked = Float32Array.of(1, -0.5, 0.2);
  const mean = fit.mean(asked);
  const condition = tf.tensor3d(mean, [1, 1, size]);
  const K = 600;
  const identity = normaliserOf(new Float32Array(size), new Float32Array(size).fill(1));
  const samples = await sampleWeights({
    denoiser,
    diffusion,
    normaliser: identity,
    condition,
    count: K,
    seed: 5,
    batch: 200,
  });
  const project = (row: number, k: number) => {
    let sum = 0;
    for (let d = 0; d < size; d++) sum += (samples[row * size + d] - mean[d]) * fit.directions[k * size + d];
    return sum;
  };
  // Variances along the first directions: relative standard error sqrt(2 / 600) = 5.8 %, and the sampler's own error; four of them.
  for (const k of [0, 1, 5, fit.spectrum.length - 1]) {
    let [first, second] = [0, 0];
    for (let row = 0; row < K; row++) {
      first += project(row, k) / K;
      second += project(row, k) ** 2 / K;
    }
    assert.ok(Math.abs(first) < 4 * Math.sqrt(fit.spectrum[k] / K), `mean along ${k}: ${first}`);
    assert.ok(
      Math.abs(second / fit.spectrum[k] - 1) < 0.24,
      `variance along ${k}: ${second} for ${fit.spectrum[k]}`,
    );
  }
  tf.dispose(condition);
  denoiser.dispose();
  assert.is(tf.memory().numTensors, before);
});

test.run();
