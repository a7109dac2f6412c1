import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { deviation, golden } from '../../property-tests/golden.ts';
import type { Denoiser } from '../denoisers/index.ts';
import type { NdArray } from '../formats/index.ts';
import { startBackend, tf } from '../tensor/index.ts';
import { ddim, squaredCosineBetas, trailingTimes, zeroTerminalSnr } from './ddim.ts';

const test = suite('DDIM against reference numbers');
test.before(async () => {
  await startBackend();
});

/** The reference's own schedule, whose thousand factors were multiplied in float32: their rounding is worth 1e-4 of a sample. */
const schedule = (g: Record<string, NdArray>) => Float64Array.from(g.alphas_cumprod.data, Number);

/** The reference numbers come from a fixed stride and a rescale over the batch. */
const asReference = { stride: 'fixed', rescaleOver: 'batch' } as const;

/** tanh(x A^T) amp + tcoef t (+ 0.5 cond). */
function network(a: NdArray, amp: number, tcoef: number, calls: number[][] = []): Denoiser {
  return {
    name: 'reference',
    spec: undefined as never,
    variables: {},
    symmetries: [],
    dispose: () => {},
    apply: (x, time, condition) =>
      tf.tidy(() => {
        calls.push([...x.dataSync()]);
        const mixed = tf.matMul(x, tf.tensor2d(a.data as Float32Array, [20, 20]), false, true);
        const out = tf.add(tf.mul(tf.tanh(mixed), amp), tf.mul(tcoef, tf.reshape(time, [-1, 1])));
        if (!condition) return out as tf.Tensor2D;
        const given = tf.mul(tf.squeeze(condition.tokens, [1]), tf.reshape(condition.present, [-1, 1]));
        return tf.add(out, tf.mul(0.5, given)) as tf.Tensor2D;
      }),
  };
}

test('schedule', async () => {
  const g = await golden('07_ddim');
  const raw = squaredCosineBetas(1000);
  const { betas, alphaBars } = zeroTerminalSnr(raw);
  // The reference multiplied a thousand factors in float32.
  assert.ok(deviation(raw, g.betas_raw_squaredcos) < 1e-6);
  assert.ok(deviation(alphaBars, g.alphas_cumprod) < 5e-6);
  assert.ok(deviation(betas, g.betas) < 1e-5);
  assert.is(alphaBars[999], 0);
  for (const steps of [18, 50]) {
    assert.equal(trailingTimes(1000, steps), Array.from(g[`s${steps}.timesteps`].data, Number));
  }
});

test('training loss', async () => {
  const g = await golden('07_ddim');
  const matrix = (name: string) => tf.tensor2d(g[name].data as Float32Array, [5, 20]);
  const calls: number[][] = [];
  const net = network(g.A, Number(g['s50.amp'].data[0]), Number(g['s50.tcoef'].data[0]), calls);
  const [denoised, losses] = tf.tidy(() => {
    const times = Array.from(g['add_noise.t'].data, Number);
    const process = ddim({}, schedule(g));
    const objective = process.objective(net, matrix('add_noise.x'), matrix('add_noise.noise'), times, null);
    return [[...objective.denoised.dataSync()], [...objective.losses.dataSync()]];
  });
  assert.ok(deviation(calls[0], g['add_noise.out']) < 2e-6);
  assert.ok(deviation(denoised, g['loss.model_out']) < 5e-6);
  const mean = losses.reduce((a, b) => a + b, 0) / 5;
  assert.ok(Math.abs(mean / Number(g['loss.mean'].data[0]) - 1) < 5e-6);
});

for (const [tag, steps, conditional, scale, eta] of [
  ['s50', 50, false, 1, 0],
  ['s50_cond', 50, true, 1, 0],
  ['s50_cfg5', 50, true, 5, 0],
  ['s50_cfg5_clip', 50, true, 5, 0],
  ['s50_clip', 50, false, 1, 0],
  ['s18', 18, false, 1, 0],
  ['s50_eta0p5', 50, false, 1, 0.5],
  ['s50_default_guidance', 50, true, 1, 0],
] as const) {
  test(`sampler, ${tag}`, async () => {
    const g = await golden('07_ddim');
    const constants = tag === 's50_default_guidance' ? 's50_cond' : tag;
    const before = tf.memory().numTensors;
    const draws = [Float64Array.from(g.x_init.data, Number)];
    if (eta > 0) {
      const noises = Float64Array.from(g[`${tag}.noises`].data, Number);
      for (let i = 0; i < steps; i++) draws.push(noises.slice(i * 60, i * 60 + 60));
    }
    let drawn = 0;
    const trajectory: number[] = [];
    const tokens = conditional ? tf.tensor3d(g.cond.data as Float32Array, [3, 1, 20]) : null;
    const out = await ddim({ ...asReference, eta }, schedule(g)).sample({
      denoiser: network(g.A, Number(g[`${constants}.amp`].data[0]), Number(g[`${constants}.tcoef`].data[0])),
      condition: tokens && { tokens },
      shape: [3, 20],
      steps,
      guidance: { scale },
      noise: () => draws[drawn++],
      onStep: ({ x }) => trajectory.push(...x),
    });
    tokens?.dispose();
    // These numbers differ by 5e-6 between machines; the reference keeps the state in float32 over all steps, we do not.
    assert.ok(deviation(out, g[`${tag}.out`]) < 2e-5, `out ${deviation(out, g[`${tag}.out`])}`);
    const steplog = g[`${constants}.x_at_step`];
    assert.ok(deviation(trajectory, steplog) < 2e-5, `steps ${deviation(trajectory, steplog)}`);
    assert.is(tf.memory().numTensors, before);
  });
}

test('by default a sample does not depend on its batch', async () => {
  const g = await golden('07_ddim');
  const sample = async (rows: number) => {
    const tokens = tf.tensor3d((g.cond.data as Float32Array).slice(0, rows * 20), [rows, 1, 20]);
    const out = await ddim().sample({
      denoiser: network(g.A, 2, 0),
      condition: { tokens },
      shape: [rows, 20],
      steps: 10,
      guidance: { scale: 5 },
      noise: () => Float64Array.from(g.x_init.data, Number).slice(0, rows * 20),
    });
    tokens.dispose();
    return [...out.slice(0, 20)];
  };
  assert.equal(await sample(1), await sample(3));
});

test.run();
