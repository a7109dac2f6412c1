import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { golden, goldenPicture } from '../../../property-tests/golden.ts';
import { withVisionFile } from '../../../property-tests/vision-weights.ts';
import { settle } from '../../config/index.ts';
import { startBackend, tf } from '../../tensor/index.ts';
import { inceptionInput, inceptionWanted, readInception } from './inception.ts';

await startBackend();

const images = await golden('images');
const arrays = await golden('inception_fid');
const picture = (name: string) => goldenPicture(images[name]);

/** Largest difference over the largest reference value. */
function gap(found: ArrayLike<number>, wanted: ArrayLike<number>): number {
  const most = Math.max(...Array.from(wanted, Math.abs));
  return Math.max(...Array.from(found, (x, i) => Math.abs(x - wanted[i]))) / most;
}

test('full-size Inception: every stage and the pool features of two pictures', async () => {
  const before = tf.memory().numTensors;
  const network = await withVisionFile(inceptionWanted.shapes, path => settle(readInception(path)));
  const a = picture('a');
  const prepared = inceptionInput(a);
  const stages = network.stages(prepared);
  for (const [name, x] of Object.entries(stages)) {
    const planes = tf.tidy(() => tf.transpose(x, [0, 3, 1, 2]));
    const key = `a_${name}`;
    assert.equal(planes.shape.slice(1), [...arrays[`${key}_shape`].data], name);
    const values = Float64Array.from(planes.dataSync());
    const most = arrays[`${key}_max_f64`].data[0];
    // 2e-5: float32 networks whose resize is their own; means 5e-6. Wrong variants of pools and norms are off by 5e-3 and more.
    arrays[`${key}_idx`].data.forEach((index, k) => {
      const error = Math.abs(values[index] - arrays[`${key}_val_f64`].data[k]) / most;
      assert.ok(error < 2e-5, `${key}[${index}]: ${error}`);
    });
    const mean = values.reduce((sum, v) => sum + v, 0) / values.length;
    assert.ok(Math.abs(mean / arrays[`${key}_mean_f64`].data[0] - 1) < 5e-6, `${key} mean`);
    planes.dispose();
  }
  const pooled = tf.tidy(() => tf.mean(stages.Mixed_7c, [1, 2]).dataSync());
  assert.ok(gap(pooled, arrays.a_pool3_e2e64.data) < 2e-5, `pool ${gap(pooled, arrays.a_pool3_e2e64.data)}`);
  tf.dispose([stages, prepared]);
  const b = picture('b');
  const features = network.features(b);
  assert.equal(features.shape, [1, 2048]);
  assert.ok(gap(features.dataSync(), arrays.b_pool3_f64.data) < 2e-5);
  tf.dispose([a, b, features]);
  network.dispose();
  assert.is(tf.memory().numTensors, before);
});

test('the two ways to prepare a picture differ as they should', () => {
  tf.tidy(() => {
    const a = picture('a');
    const first = arrays.a_tf1_input_first16.data;
    const found = inceptionInput(a, 'tensorflow')
      .dataSync()
      .filter((_, i) => i % 3 === 0)
      .slice(0, 16);
    assert.ok(gap(found, first) < 2e-5);
    const plain = inceptionInput(a)
      .dataSync()
      .filter((_, i) => i % 3 === 0)
      .slice(0, 16);
    assert.ok(gap(plain, arrays.a_input_first16.data) < 2e-5 && gap(plain, first) > 1e-3);
  });
});

test.run();
