import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { deviation, golden } from '../../property-tests/golden.ts';
import type { Denoiser } from '../denoisers/index.ts';
import type { NdArray } from '../formats/index.ts';
import { startBackend, tf } from '../tensor/index.ts';
import { coefficients, EDM_DEFAULTS, edm, lossWeight } from './edm.ts';
import { binLevels, binOf } from './noise.ts';
import { karras } from './schedules.ts';

const test = suite('EDM against reference numbers');
test.before(async () => {
  await startBackend();
});

/** The network of the reference numbers: tanh(x A^T) / 2 + 0.1 c_noise (+ 0.3 cond), per token of 6, recording what it is given. */
function network(a: NdArray, calls: { input: number[]; label: number[]; output: number[] }[]): Denoiser {
  return {
    name: 'reference',
    spec: undefined as never,
    variables: {},
    symmetries: [],
    dispose: () => {},
    apply(weights, label, condition) {
      return tf.tidy(() => {
        const [batch, size] = weights.shape;
        const tokens = tf.reshape(weights, [batch * (size / 6), 6]);
        const mixed = tf.matMul(tokens, tf.tensor2d(a.data as Float32Array, [6, 6]), false, true);
        let out = tf.add(
          tf.reshape(tf.mul(tf.tanh(mixed), 0.5), [batch, -1, 6]),
          tf.mul(0.1, tf.reshape(label, [batch, 1, 1])),
        );
        if (condition) {
          const given = tf.mul(condition.tokens, tf.reshape(condition.present, [-1, 1, 1]));
          out = tf.add(out, tf.mul(0.3, given));
        }
        const flat = tf.reshape(out, [batch, size]) as tf.Tensor2D;
        calls.push({
          input: [...weights.dataSync()],
          label: [...label.dataSync()],
          output: [...flat.dataSync()],
        });
        return flat;
      });
    },
  };
}

test('coefficients, weights, bins and schedule', async () => {
  const g = await golden('06_edm');
  const sigmas = [...(g.sigma.data as Float32Array)];
  const c = sigmas.map(sigma => coefficients(EDM_DEFAULTS, sigma));
  // The reference computed these in float32: a few units in its last place.
  assert.ok(
    deviation(
      c.map(k => k.skip),
      g['get_c.c_skip'],
    ) < 3e-7,
  );
  assert.ok(
    deviation(
      c.map(k => k.out),
      g['get_c.c_out'],
    ) < 3e-7,
  );
  assert.ok(
    deviation(
      c.map(k => k.in),
      g['get_c.c_in'],
    ) < 3e-7,
  );
  assert.ok(
    deviation(
      c.map(k => k.noise),
      g['get_c.c_noise'],
    ) < 3e-7,
  );
  assert.ok(
    deviation(
      sigmas.map(s => lossWeight(EDM_DEFAULTS, s)),
      g.loss_weight,
    ) < 3e-7,
  );
  assert.equal(
    sigmas.map(s => binOf(EDM_DEFAULTS.noise, s, 25)),
    Array.from(g.bin_index.data, Number),
  );
  assert.ok(deviation(binLevels(EDM_DEFAULTS.noise, 25), g.sigma_bins) < 1e-6);
  for (const steps of [7, 18, 50, 100]) {
    const schedule = karras({ steps, sigmaMin: 0.002, sigmaMax: 80 });
    assert.ok(deviation(schedule, g[`t_steps_${steps}`]) < 1e-12);
  }
});

test('training loss', async () => {
  const g = await golden('06_edm');
  const process = edm();
  const sigmas = Array.from(g['loss.rnd_normal'].data, n => Math.exp(-1.2 + 1.8 * Number(n)));
  assert.ok(deviation(sigmas, g['loss.sigma']) < 1e-6);
  assert.equal(
    sigmas.map(s => process.binOf(s, 25)),
    Array.from(g['loss.bins'].data, Number),
  );
  const [denoised, losses] = tf.tidy(() => {
    const matrix = (name: string) => tf.tensor2d(g[name].data as Float32Array, [6, 42]);
    const tokens = tf.tensor3d(g['loss.cond'].data as Float32Array, [6, 1, 6]);
    const condition = { tokens, present: tf.ones([6]) as tf.Tensor1D };
    const objective = process.objective(
      network(g.A, []),
      matrix('loss.x'),
      matrix('loss.unit_noise'),
      sigmas,
      condition,
    );
    return [[...objective.denoised.dataSync()], [...objective.losses.dataSync()]];
  });
  assert.ok(deviation(denoised, g['loss.D_x']) < 3e-6);
  const elementwise = Array.from(g['loss.elementwise'].data, Number);
  losses.forEach((loss, row) => {
    const expected = elementwise.slice(row * 42, row * 42 + 42).reduce((a, b) => a + b, 0) / 42;
    assert.ok(Math.abs(loss - expected) < 2e-5 * expected, `${loss} ${expected}`);
  });
});

for (const [tag, steps, conditional, scale, churn] of [
  ['s18', 18, false, 1, 0],
  ['s7', 7, false, 1, 0],
  ['s18_cond', 18, true, 1, 0],
  ['s18_churn10', 18, false, 1, 10],
  ['s18_cfg5', 18, true, 5, 0],
  ['s7_churn10_cfg5', 7, true, 5, 10],
] as const) {
  test(`Heun sampler, ${tag}`, async () => {
    const g = await golden('06_edm');
    const before = tf.memory().numTensors;
    const draws = [Float64Array.from(g.x_init.data, Number)];
    if (churn > 0) {
      const noises = Float64Array.from(g[`${tag}.noises`].data, Number);
      for (let i = 0; i < steps; i++) draws.push(noises.slice(i * 84, i * 84 + 84));
    }
    const calls: { input: number[]; label: number[]; output: number[] }[] = [];
    const tokens = conditional ? tf.tensor3d(g.cond.data as Float32Array, [2, 1, 6]) : null;
    let drawn = 0;
    const out = await edm({ sampling: { churn: { amount: churn } } }).sample({
      denoiser: network(g.A, calls),
      condition: tokens && { tokens },
      shape: [2, 42],
      steps,
      guidance: { scale },
      noise: () => draws[drawn++],
    });
    tokens?.dispose();
    // The reference rounds noise levels and steps to float32 and guidance multiplies the network's rounding by 5.
    const tolerance = scale === 1 ? 3e-6 : 1.5e-5;
    assert.ok(deviation(out, g[`${tag}.out`]) < tolerance, `out ${deviation(out, g[`${tag}.out`])}`);
    const recorded = (what: 'input' | 'label' | 'output') => calls.flatMap(call => call[what]);
    assert.ok(deviation(recorded('input'), g[`${tag}.net_in`]) < tolerance);
    assert.ok(deviation(recorded('label'), g[`${tag}.net_c_noise`]) < tolerance);
    assert.ok(deviation(recorded('output'), g[`${tag}.net_out`]) < tolerance);
    assert.is(tf.memory().numTensors, before);
  });
}

test.run();
