import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { tinyDenoiser, tinySpec } from '../../property-tests/tiny.ts';
import { coefficients, edm, type Normaliser, normaliserOf } from '../diffusion/index.ts';
import {
  maskBit,
  meanSquare,
  patchSlicedWasserstein,
  plainRollout,
  seedsFor,
  weightCount,
} from '../nca/index.ts';
import { randomStream, startBackend, tf } from '../tensor/index.ts';
import type { Batch } from './batches.ts';
import { guardGradient, type RolloutLossOptions, rolloutLoss } from './rollout-loss.ts';
import { Trainer } from './trainer.ts';

const test = suite('loss through the rollout');
test.before(async () => {
  await startBackend();
});

const SIZE = 8;
const D = weightCount(tinySpec);
const normaliser: Normaliser = normaliserOf(
  randomStream(1, 'mean').normals(D, 0, 0.1),
  randomStream(1, 'scale').uniforms(D, 3, 6),
);

function batchOf(rows: number): Batch {
  const random = randomStream(2, 'batch');
  return {
    step: 3,
    indices: Uint32Array.from({ length: rows }, (_, i) => i),
    clean: random.normals(rows * D, 0, 0.5),
    noise: random.normals(rows * D),
    levels: Float64Array.from({ length: rows }, (_, i) => 0.1 + 0.3 * i),
    features: null,
    present: new Float32Array(rows).fill(1),
    images: random.uniforms(rows * SIZE * SIZE * 3),
  };
}

const loss = (more: Partial<RolloutLossOptions> = {}) =>
  rolloutLoss({
    spec: tinySpec,
    texture: meanSquare(),
    normaliser,
    diffusion: edm(),
    seed: 9,
    imageSize: SIZE,
    weight: 2,
    steps: [4, 8],
    clip: Number.POSITIVE_INFINITY,
    ...more,
  });

const trainerOf = (denoiser = tinyDenoiser(), more: Partial<RolloutLossOptions> = {}, microBatch?: number) =>
  new Trainer({
    denoiser,
    encoder: null,
    // Without the denoising loss, so that only the gradient in question is seen.
    diffusion: {
      ...edm(),
      objective(...given) {
        const { denoised, losses } = edm().objective(...given);
        return { denoised, losses: tf.mul(losses, 0) };
      },
    },
    clip: 1,
    averages: [],
    microBatch,
    rollout: loss(more),
  });

/** The term in float64, from the formulas: network, preconditioning, inverse normalisation, rollout, pixels. */
function plainTerm(variables: Record<string, Float64Array>, batch: Batch): number {
  const width = variables.bias.length;
  const random = randomStream(9, `rollout-loss/${batch.step}`);
  const steps = random.integer(4, 8);
  const rows = batch.indices.length;
  const seeds = seedsFor(random.uint32(), rows);
  let term = 0;
  for (let row = 0; row < rows; row++) {
    const sigma = batch.levels[row];
    const c = coefficients({ sigmaData: 0.5, parametrisation: 'edm' }, sigma);
    const noisy = Float64Array.from(
      { length: D },
      (_, i) => batch.clean[row * D + i] + sigma * batch.noise[row * D + i],
    );
    const inputs = [...noisy.map(x => c.in * x), c.noise];
    const hidden = Array.from({ length: width }, (_, j) =>
      Math.tanh(inputs.reduce((sum, x, i) => sum + x * variables.into[i * width + j], variables.bias[j])),
    );
    const weights = noisy.map((x, i) => {
      const raw = hidden.reduce((sum, h, j) => sum + h * variables.out[j * D + i], 0);
      return (c.skip * x + c.out * raw) / normaliser.scale[i] + normaliser.mean[i];
    });
    const state = plainRollout(
      tinySpec,
      weights,
      new Float64Array(SIZE * SIZE * 3),
      { height: SIZE, width: SIZE },
      steps,
      (step, y, x) => maskBit(seeds[row], step, y, x),
    );
    let sum = 0;
    state.forEach((value, i) => {
      const target = batch.images![row * state.length + i];
      sum += (value + 0.5 - target) ** 2 + Math.max(0, Math.abs(value) - 1);
    });
    term += (2 * (sum / state.length) * (0.25 / (0.25 + sigma ** 2))) / rows;
  }
  return term;
}

test('its gradient with respect to the denoiser is that of the formulas in float64', async () => {
  const before = tf.memory().numTensors;
  const denoiser = tinyDenoiser();
  const batch = batchOf(3);
  const trainer = trainerOf(denoiser);
  const { gradients } = await trainer.gradients(batch);
  const values = Object.fromEntries(
    Object.entries(denoiser.variables).map(([name, v]) => [name, Float64Array.from(v.dataSync())]),
  );
  const random = randomStream(5, 'coordinates');
  let largest = 0;
  for (const [name, gradient] of Object.entries(gradients)) {
    const found = gradient.dataSync();
    const most = Math.max(...found.map(Math.abs));
    largest = Math.max(largest, most);
    for (let k = 0; k < 12; k++) {
      const variable = values[name.replace('denoiser/', '')];
      const i = random.integer(0, variable.length);
      const [kept, step] = [variable[i], 1e-6];
      variable[i] = kept + step;
      const above = plainTerm(values, batch);
      variable[i] = kept - step;
      const below = plainTerm(values, batch);
      variable[i] = kept;
      const difference = (above - below) / (2 * step);
      // Float32 along the way; the fixed seed keeps the differences off the kinks of ReLU.
      assert.ok(Math.abs(difference - found[i]) < 2e-4 * most, `${name}[${i}]: ${found[i]} ${difference}`);
    }
  }
  assert.ok(largest > 1e-3);
  tf.dispose(gradients);
  trainer.dispose();
  denoiser.dispose();
  assert.is(tf.memory().numTensors, before);
});

test('parts of a batch give the gradient of the whole, and `rows` bounds how many are rolled out', async () => {
  const denoiser = tinyDenoiser();
  const batch = batchOf(5);
  for (const rows of [5, 3]) {
    const of = async (part?: number) => {
      const trainer = trainerOf(denoiser, { rows, texture: meanSquare() }, part);
      const { gradients, rollouts } = await trainer.gradients(batch);
      assert.is(rollouts!.length, rows);
      const values = Object.values(gradients).flatMap(g => [...g.dataSync()]);
      tf.dispose(gradients);
      trainer.dispose();
      return values;
    };
    const [whole, parts] = [await of(), await of(2)];
    const most = Math.max(...whole.map(Math.abs));
    assert.ok(whole.every((g, i) => Math.abs(g - parts[i]) < 1e-5 * most));
  }
  denoiser.dispose();
});

test('it acts only from its first step on, and at every so manyth', () => {
  const at = (step: number) => ({ ...batchOf(2), step });
  assert.not.ok(loss({ from: 10 }).actsOn(at(9), 0, 2));
  assert.ok(loss({ from: 10 }).actsOn(at(10), 0, 2));
  assert.equal(
    [0, 1, 2, 3, 4].map(step => loss({ every: 2 }).actsOn(at(step), 0, 2)),
    [true, false, true, false, true],
  );
  assert.not.ok(loss({ rows: 2 }).actsOn(at(0), 2, 4));
});

test('a rollout that diverges gives no gradient and leaves the others alone', async () => {
  const batch = batchOf(3);
  const before = tf.memory().numTensors;
  const gradientOf = async (scale: number) => {
    const x = tf.tensor2d(batch.clean, [3, D]);
    const factors = tf.tensor2d([1, scale, 1], [3, 1]);
    const scaled = (w: tf.Tensor) => tf.mul(w, factors) as tf.Tensor2D;
    const term = await loss({
      texture: patchSlicedWasserstein({ scales: 1, patch: 3, projections: 8 }),
      steps: [60, 61],
      clip: 1,
    }).prepare(batch, 0, 3, () => scaled(x));
    let penalty = 0;
    const rows = tf.tidy(() => {
      const gradient = tf.grad(w => {
        const evaluated = term.evaluate(scaled(w));
        penalty = evaluated.penalty.dataSync()[0];
        return evaluated.penalty;
      })(x);
      return [0, 1, 2].map(row => [...gradient.dataSync().slice(row * D, (row + 1) * D)]);
    });
    term.release();
    tf.dispose([x, factors]);
    return { penalty, rows };
  };
  const tame = await gradientOf(1);
  const wild = await gradientOf(1e4);
  assert.ok(Number.isFinite(wild.penalty));
  assert.ok(wild.rows[1].every(g => g === 0));
  assert.equal(wild.rows[0], tame.rows[0]);
  assert.equal(wild.rows[2], tame.rows[2]);
  assert.is(tf.memory().numTensors, before);
});

test('the guard passes small gradients on and cuts large ones to its norm', () => {
  const slopes = [
    [0.3, 0.4],
    [30, 40],
    [Number.NaN, 1],
    [Number.POSITIVE_INFINITY, 0],
  ];
  const found = tf.tidy(() =>
    tf
      .grad(x =>
        tf.sum(tf.mul(guardGradient(x as tf.Tensor2D, Float32Array.of(1, 1, 1, 1)), tf.tensor2d(slopes))),
      )(tf.zeros([4, 2]))
      .dataSync(),
  );
  const expected = [0.3, 0.4, 0.6, 0.8, 0, 0, 0, 0];
  assert.ok(
    found.every((x, i) => Math.abs(x - expected[i]) < 1e-6),
    `${found}`,
  );
});

test.run();
