import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { SPECS } from '../../nca/index.ts';
import { randomStream, startBackend, tf } from '../../tensor/index.ts';
import { displayable, divergence, pairMetrics } from './index.ts';

await startBackend();

const batch = (seed: number, count: number) =>
  tf.tensor4d(randomStream(seed, 'pairs').uniforms(count * 24 * 24 * 3), [count, 24, 24, 3]);

for (const metric of pairMetrics()) {
  test(`${metric.name}: best for equal pictures, blind to the batch and to what a screen does not show, no leak`, async () => {
    const before = tf.memory().numTensors;
    const [a, b] = [batch(1, 3), batch(2, 3)];
    const values = await metric.compare(a, b);
    assert.is(values.length, 3);
    const sign = metric.better === 'lower' ? 1 : -1;
    const own = await metric.compare(a, a);
    assert.ok(
      values.every((v, i) => sign * own[i] < sign * v),
      `${own} against ${values}`,
    );
    const one = [tf.slice(a, 1, 1), tf.slice(b, 1, 1)] as tf.Tensor4D[];
    assert.ok(Math.abs((await metric.compare(one[0], one[1]))[0] - values[1]) < 1e-5 * Math.abs(values[1]));
    const loud = tf.tidy(() =>
      tf.where(tf.greater(a, 0.5), tf.add(tf.mul(tf.sub(a, 0.5), 40), 1), a),
    ) as tf.Tensor4D;
    const shown = displayable(loud);
    assert.equal(await metric.compare(loud, b), await metric.compare(shown, b));
    tf.dispose([a, b, ...one, loud, shown]);
    assert.is(tf.memory().numTensors, before);
  });
}

test('psnr and ssim refuse pictures of another size', async () => {
  const [a, b] = [batch(1, 1), tf.zeros([1, 12, 24, 3]) as tf.Tensor4D];
  for (const metric of pairMetrics().filter(({ name }) => name === 'psnr' || name === 'ssim')) {
    try {
      await metric.compare(a, b);
      assert.unreachable();
    } catch (error) {
      assert.match((error as Error).message, 'of one size');
    }
  }
  tf.dispose([a, b]);
});

test('rollouts are sound, saturated or not finite, each on its own', async () => {
  const before = tf.memory().numTensors;
  const { compact } = SPECS;
  const cells = 4 * 4 * 8;
  const data = new Float32Array(5 * cells).fill(0.2);
  data[cells + 77] = Number.NaN;
  data[2 * cells + 3] = Infinity;
  data.fill(9, 3 * cells, 4 * cells);
  data[4 * cells + 5] = 30;
  const states = tf.tensor4d(data, [5, 4, 4, 8]);
  assert.equal(await divergence(compact, states), [
    'sound',
    'non-finite',
    'non-finite',
    'saturated',
    'sound',
  ]);
  const clipped = { ...compact, clip: { ...compact.clip, state: 0.2 } };
  assert.is((await divergence(clipped, states))[0], 'saturated');
  states.dispose();
  assert.is(tf.memory().numTensors, before);
});

test('a screen shows NaN as black and clips the rest', () => {
  const shown = tf.tidy(() => displayable(tf.tensor1d([Number.NaN, -1, 0.5, 2, Infinity])).dataSync());
  assert.equal([...shown], [0, 0, 0.5, 1, 1]);
});

test.run();
