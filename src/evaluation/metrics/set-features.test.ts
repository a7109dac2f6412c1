import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { randomGram } from '../../conditioning/index.ts';
import { randomStream, startBackend, tf } from '../../tensor/index.ts';
import { encoderFeatures, featuresOf, setMetricName, setMetrics } from './index.ts';

await startBackend();

const encoder = randomGram();
const source = encoderFeatures(encoder);
const pictures = (seed: number, count: number, contrast: number) =>
  randomStream(seed, 'set-pictures').uniforms(count * 24 * 24 * 3, 0.5 - contrast, 0.5 + contrast);
const batch = (data: Float32Array, from: number, to: number) =>
  tf.tensor4d(data.slice(from * 24 * 24 * 3, to * 24 * 24 * 3), [to - from, 24, 24, 3]);

test('how pictures are batched does not matter, and every name says what it was measured with', async () => {
  const before = tf.memory().numTensors;
  const [a, b] = [pictures(1, 12, 0.2), pictures(2, 14, 0.4)];
  const targets = await featuresOf(source, [batch(b, 0, 14)]);
  const whole = await featuresOf(source, [batch(a, 0, 12)]);
  const parts = await featuresOf(source, [batch(a, 0, 1), batch(a, 1, 8), batch(a, 8, 12)]);
  const options = { subsets: 5 };
  const [one, other] = [whole, parts].map(set => setMetrics(source, set, targets, options));
  assert.equal(Object.keys(one), ['fid@random-gram', 'fid-infinity@random-gram', 'kid@random-gram']);
  for (const [name, { value }] of Object.entries(one)) {
    // 1e-4: float32 features of batches of other sizes.
    assert.ok(Math.abs(value - other[name].value) <= 1e-4 * (1 + Math.abs(value)), name);
  }
  assert.ok(one['kid@random-gram'].value > 0 && one['fid@random-gram'].value > 0);
  assert.is(setMetricName('fid', { name: 'inception' }), 'fid');
  assert.is(tf.memory().numTensors, before);
});

test('a screen is what is measured: values beyond it change nothing', async () => {
  const a = pictures(3, 10, 0.3);
  const loud = a.map(x => (x > 0.7 ? 9 : x));
  const shown = a.map(x => (x > 0.7 ? 1 : x));
  const [p, q] = await Promise.all([loud, shown].map(data => featuresOf(source, [batch(data, 0, 10)])));
  assert.equal(p.matrix().to1DArray(), q.matrix().to1DArray());
});

test.after(() => encoder.dispose());

test.run();
