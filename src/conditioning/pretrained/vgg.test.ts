import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { golden } from '../../../property-tests/golden.ts';
import { withVisionFile } from '../../../property-tests/vision-weights.ts';
import { settle } from '../../config/index.ts';
import { startBackend, tf } from '../../tensor/index.ts';
import { readVgg16, STYLE_LAYERS, vggWanted } from './vgg.ts';

await startBackend();

const images = await golden('images');
const arrays = await golden('vgg16');

test('full-size VGG16 through a safetensors file: style layers and Gram matrices', async () => {
  const before = tf.memory().numTensors;
  const network = await withVisionFile(vggWanted().shapes, path => settle(readVgg16(path)));
  assert.equal(network.styleWidths, [64, 128, 256, 512, 512]);
  tf.tidy(() => {
    const picture = tf.div(
      tf.tensor4d(Float32Array.from(images.a.data), [1, 128, 128, 3]),
      255,
    ) as tf.Tensor4D;
    network.styleLayers(picture).forEach((layer, i) => {
      const key = `a_${STYLE_LAYERS[i]}`;
      const planes = tf.transpose(layer, [0, 3, 1, 2]);
      assert.equal(planes.shape.slice(1), [...arrays[`${key}_shape`].data]);
      const values = planes.dataSync();
      const expected = arrays[`${key}_val_f64`].data;
      const largest = arrays[`${key}_max_f64`].data[0];
      // 1e-5 of the largest value for float32 arrays, 5e-6 for means and Gram matrices: the stored numbers' own tolerances.
      arrays[`${key}_idx`].data.forEach((index, j) => {
        assert.ok(Math.abs(values[index] - expected[j]) < 1e-5 * largest, `${key}[${index}]`);
      });
      const mean = tf.mean(layer).dataSync()[0];
      assert.ok(Math.abs(mean / arrays[`${key}_mean_f64`].data[0] - 1) < 5e-6, `${key} mean`);
      const flat = tf.reshape(layer, [-1, layer.shape[3]]) as tf.Tensor2D;
      const some = tf.slice(flat, [0, 0], [-1, 16]);
      const gram = tf.div(tf.matMul(some, some, true, false), flat.shape[0]).dataSync();
      const expectedGram = arrays[`${key}_gram16_f64`].data;
      const size = Math.max(...expectedGram.map(Math.abs));
      gram.forEach((x, j) => {
        assert.ok(Math.abs(x - expectedGram[j]) < 5e-6 * size, `${key} gram[${j}]`);
      });
    });
  });
  network.dispose();
  assert.is(tf.memory().numTensors, before);
});

test.run();
