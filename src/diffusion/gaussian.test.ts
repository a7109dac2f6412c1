import fc from 'fast-check';
import { inverse, Matrix } from 'ml-matrix';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { SPECS, weightCount } from '../nca/index.ts';
import { randomStream, startBackend, tf } from '../tensor/index.ts';
import { gaussianEstimate, priorOf } from './gaussian.ts';
import {
  edm,
  fitGaussian,
  type GaussianPrior,
  normaliserOf,
  nothingAdded,
  type PriorRequest,
  priorArrays,
  priorFor,
  priorFromArrays,
  regression,
  sampleWeights,
  shrunkCovariance,
} from './index.ts';

await startBackend();

const spec = { ...SPECS.compact, name: 'tiny', channels: 4, hidden: 6 };
const size = weightCount(spec);
const WIDTH = 3;

/** Weights that are linear in their features, with residuals along one direction and everywhere. */
function population(count = 60, seed = 0) {
  const random = randomStream(seed, 'population');
  const features = random.normals(count * WIDTH);
  const loading = random.normals(WIDTH * size, 0, 0.3);
  const direction = random.normals(size, 0, 1);
  const weights = new Float32Array(count * size);
  for (let n = 0; n < count; n++) {
    const along = random.normal(0, 0.6);
    for (let d = 0; d < size; d++) {
      let mean = 0;
      for (let f = 0; f < WIDTH; f++) mean += features[n * WIDTH + f] * loading[f * size + d];
      weights[n * size + d] = mean + along * direction[d] + random.normal(0, 0.1);
    }
  }
  return { weights, features: Float32Array.from(features) };
}

test('the shrunk covariance lies between the sample’s and a multiple of the identity, of the same trace', async () => {
  await fc.assert(
    fc.asyncProperty(fc.nat(1e6), fc.integer({ min: 5, max: 40 }), async (seed, count) => {
      const size = 12;
      const data = Float64Array.from(randomStream(seed, 'rows').normals(count * size));
      const { spectrum, directions, rest } = await shrunkCovariance({ rows: count, columns: size, data });
      const trace = spectrum.reduce((sum, x) => sum + x, 0) + (size - spectrum.length) * rest;
      const wanted = data.reduce((sum, x) => sum + x ** 2, 0) / count;
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

/** S (S + s^2 I)^-1 x and the rms deviation left, by a dense inverse in float64. */
function dense({ conditional: { spectrum, directions, rest } }: GaussianPrior, x: number[], sigma: number) {
  const S = Matrix.eye(size).mul(rest);
  spectrum.forEach((variance, k) => {
    const e = Matrix.columnVector([...directions.subarray(k * size, (k + 1) * size)]);
    S.add(e.mmul(e.transpose()).mul(variance - rest));
  });
  const gain = S.mmul(inverse(Matrix.add(S, Matrix.eye(size).mul(sigma ** 2))));
  return {
    mean: gain.mmul(Matrix.columnVector(x)).to1DArray(),
    deviation: sigma * Math.sqrt(gain.trace() / size),
  };
}

test('the estimate of weights through noise is the one of a dense inverse, with and without condition', async () => {
  const before = tf.memory().numTensors;
  const { prior } = await fitGaussian({ ...population(), size });
  const means = prior.means(Float32Array.of(1, -0.5, 0.2, 0, 0.3, 1));
  for (const sigma of [0.01, 0.3, 5]) {
    const x = randomStream(3, `${sigma}`).normals(2 * size);
    const at = (present: number[], complete = false) =>
      tf.tidy(() => {
        const condition = {
          tokens: tf.zeros<tf.Rank.R3>([2, 1, 1]),
          present: tf.tensor1d(present),
          means: tf.tensor2d(means, [2, size]),
          complete,
        };
        const found = gaussianEstimate(prior, tf.tensor2d(x, [2, size]), [sigma, sigma], condition);
        return { mean: found.mean.arraySync(), deviation: found.deviation.dataSync() };
      });
    const free = { ...prior, conditional: prior.marginal };
    const row = (n: number) => [...x.subarray(n * size, (n + 1) * size)];
    const offset = row(0).map((value, d) => value - means[d]);
    const wanted = [dense(prior, offset, sigma), dense(free, row(1), sigma)];
    wanted[0].mean = wanted[0].mean.map((value, d) => value + means[d]);
    const found = at([1, 0]);
    wanted.forEach(({ mean, deviation }, n) => {
      // float32 products over some 100 numbers of size 1 to 5.
      const error = Math.max(...mean.map((value, d) => Math.abs(value - found.mean[n][d])));
      assert.ok(error < 2e-5 * (1 + sigma), `${sigma} ${n}: ${error}`);
      assert.ok(Math.abs(found.deviation[n] / deviation - 1) < 1e-5);
    });
    const [one, two] = [at([1, 1], true), at([1, 1])].map(({ mean }) => mean[0]);
    assert.ok(one.every((value, d) => Math.abs(value - two[d]) < 1e-5 * (1 + sigma)));
  }
  assert.is(tf.memory().numTensors, before);
});

test('means are cross-fitted: the residuals of rows the ridge has not seen are larger than those of rows it has', async () => {
  const { weights, features } = population(24, 4);
  const { prior, means } = await fitGaussian({ weights, features, size });
  const error = (found: Float32Array) => weights.reduce((sum, w, i) => sum + (w - found[i]) ** 2, 0);
  assert.ok(error(means) > 1.05 * error(prior.means(features)));
});

test('a fit tells of its parts, and ends with the reason of a signal that is raised in it', async () => {
  const input = { ...population(), size, folds: 2 };
  const told: [number, number][] = [];
  await fitGaussian({ ...input, onProgress: (done, total) => told.push([done, total]) });
  assert.equal(
    told,
    told.map((_, i) => [i, told.length - 1]),
  );
  for (let at = 0; at < told.length - 1; at++) {
    const control = new AbortController();
    let last = 0;
    const stopped = fitGaussian({
      ...input,
      signal: control.signal,
      onProgress(done) {
        last = done;
        if (done === at) control.abort(new Error('stopped'));
      },
    });
    const error = await stopped.then(
      () => null,
      reason => reason,
    );
    assert.is(error?.message, 'stopped', `${at} of ${told.length}`);
    // What runs beside may end its part.
    assert.ok(last <= at + 1, `${last}`);
  }
});

test('without features the prior has the one covariance and means of zero', async () => {
  const { prior, means } = await fitGaussian({ weights: population().weights, features: null, size });
  assert.is(prior.map, null);
  assert.equal(prior.conditional, prior.marginal);
  assert.ok(means.every(x => x === 0));
  assert.throws(() => prior.means(new Float32Array(3)), /without a condition/);
});

test('a prior comes back from its arrays', async () => {
  const { prior } = await fitGaussian({ ...population(), size });
  const arrays = priorArrays(prior);
  const read = priorFromArrays(size, name => arrays[name] ?? null);
  const asked = Float32Array.of(0.4, 2, -9);
  const [a, b] = [prior, read].map(({ means }) => means(asked));
  // Coefficients are kept in float32.
  assert.ok(a.every((x, d) => Math.abs(x - b[d]) < 1e-5));
  assert.ok(
    prior.conditional.spectrum.every((v, k) => Math.abs(v / read.conditional.spectrum[k] - 1) < 1e-6),
  );
  assert.equal(read.marginal.directions, prior.marginal.directions);
});

test('for Gaussian weights a network that adds nothing has a loss of 1 at every level; regression begins at ridge', async () => {
  const before = tf.memory().numTensors;
  const { prior } = await fitGaussian({ ...population(), size });
  const { spectrum, directions, rest } = prior.conditional;
  const rows = 200;
  const random = randomStream(8, 'draws');
  const means = new Float32Array(rows * size);
  const clean = Float32Array.from(random.normals(rows * size, 0, Math.sqrt(rest)));
  for (let n = 0; n < rows; n++) {
    means.set(prior.means(Float32Array.from(random.normals(WIDTH))), n * size);
    spectrum.forEach((variance, k) => {
      const e = directions.subarray(k * size, (k + 1) * size);
      let along = 0;
      for (let d = 0; d < size; d++) along += clean[n * size + d] * e[d];
      const step = random.normal(0, Math.sqrt(variance)) - along;
      for (let d = 0; d < size; d++) clean[n * size + d] += step * e[d];
    });
    for (let d = 0; d < size; d++) clean[n * size + d] += means[n * size + d];
  }
  const process = edm({ noise: { kind: 'log-normal', mean: -0.5, std: 2 } }, prior);
  tf.tidy(() => {
    const condition = {
      tokens: tf.zeros<tf.Rank.R3>([rows, 1, 1]),
      present: tf.ones<tf.Rank.R1>([rows]),
      means: tf.tensor2d(means, [rows, size]),
    };
    const x = tf.tensor2d(clean, [rows, size]);
    for (const sigma of [0.02, 0.3, 4]) {
      const noise = tf.tensor2d(random.normals(rows * size), [rows, size]);
      const levels = new Array<number>(rows).fill(sigma);
      const { losses } = process.objective(nothingAdded(spec, prior), x, noise, levels, condition);
      const mean = tf.mean(losses).dataSync()[0];
      // A mean of squares over 200 rows whose largest direction alone holds most of the variance: standard error at most sqrt(2 / 200) = 10 %.
      assert.ok(Math.abs(mean - 1) < 0.35, `${sigma}: ${mean}`);
    }
    const { denoised } = regression({}, prior).objective(nothingAdded(spec, prior), x, x, [], condition);
    // The estimate at noise without bound, to float32.
    assert.ok(denoised.dataSync().every((value, i) => Math.abs(value - means[i]) < 1e-5));
  });
  assert.is(tf.memory().numTensors, before);
});

test('the sampler gives the prior’s own mean and covariance, in the full dimension', async () => {
  const before = tf.memory().numTensors;
  const { prior } = await fitGaussian({ ...population(), size });
  const { conditional } = prior;
  const diffusion = edm(
    {
      noise: { kind: 'log-normal', mean: -0.5, std: 2 },
      sampling: { steps: 40, sigmaMin: 0.003, sigmaMax: 300 },
    },
    prior,
  );
  const asked = tf.tensor3d([1, -0.5, 0.2], [1, 1, WIDTH]);
  const mean = prior.means(asked.dataSync() as Float32Array);
  const K = 600;
  const identity = normaliserOf(new Float32Array(size), new Float32Array(size).fill(1));
  const samples = await sampleWeights({
    denoiser: nothingAdded(spec, prior),
    encoder: { project: features => tf.clone(features) },
    diffusion,
    normaliser: identity,
    features: asked,
    count: K,
    seed: 5,
    batch: 200,
  });
  const project = (row: number, k: number) => {
    let sum = 0;
    for (let d = 0; d < size; d++)
      sum += (samples[row * size + d] - mean[d]) * conditional.directions[k * size + d];
    return sum;
  };
  // Variances along the first directions: relative standard error sqrt(2 / 600) = 5.8 %, and the sampler's own error; four of them.
  for (const k of [0, 1, 5, conditional.spectrum.length - 1]) {
    let [first, second] = [0, 0];
    for (let row = 0; row < K; row++) {
      first += project(row, k) / K;
      second += project(row, k) ** 2 / K;
    }
    assert.ok(Math.abs(first) < 4 * Math.sqrt(conditional.spectrum[k] / K), `mean along ${k}: ${first}`);
    assert.ok(
      Math.abs(second / conditional.spectrum[k] - 1) < 0.24,
      `variance along ${k}: ${second} for ${conditional.spectrum[k]}`,
    );
  }
  asked.dispose();
  assert.is(tf.memory().numTensors, before);
});

test('a prior does not go with clean estimates', async () => {
  const { prior } = await fitGaussian({ ...population(), size });
  assert.throws(
    () => edm({ parametrisation: 'clean' }, prior),
    /parametrisation.*expected edm where there is a prior/,
  );
  assert.throws(() => priorOf({ ...prior, size: 3 }).means(new Float32Array(WIDTH)), /means of/);
});

test('a prior is fitted once for the same weights, features and normaliser, and anew for others', async () => {
  const { weights, features } = population();
  const normaliser = normaliserOf(new Float32Array(size), new Float32Array(size).fill(1));
  const ask = (changes: Partial<PriorRequest> = {}) =>
    priorFor({ weights, features: features!.slice(), normaliser, size, ...changes });
  const first = await ask();
  assert.is(await ask(), first);
  assert.is(
    await ask({ normaliser: normaliserOf(normaliser.mean.slice(), normaliser.scale.slice()) }),
    first,
  );
  assert.is.not(await ask({ mean: 'kernel' }), first);
  assert.is.not(await ask({ features: features!.map(x => x + 1) }), first);
  assert.is.not(await ask({ features: null }), first);
  assert.is.not(
    await ask({
      normaliser: normaliserOf(
        normaliser.mean,
        normaliser.scale.map(x => 2 * x),
      ),
    }),
    first,
  );
  const aborted = AbortSignal.abort(new Error('stop'));
  const others = features!.map(x => x - 1);
  let stopped = false;
  await ask({ features: others, signal: aborted }).catch(() => {
    stopped = true;
  });
  assert.ok(stopped);
  // A fit that was interrupted is not taken for one.
  assert.ok((await ask({ features: others })).means.length > 0);
});

test.run();
