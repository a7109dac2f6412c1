import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { golden } from '../../property-tests/golden.ts';
import { resize, resizeRows, startBackend, tf } from './index.ts';

await startBackend();

const images = await golden('images');
const arrays = await golden('resize');

test("PyTorch's resizes", () => {
  const before = tf.memory().numTensors;
  const cases = new Set(Object.keys(arrays).map(key => key.replace(/_(shape|idx|val_f64|mean_f64)$/, '')));
  assert.is(cases.size, 20);
  for (const name of cases) {
    const [picture, size, filter, antialias] = name.split('_');
    tf.tidy(() => {
      const { shape, data } = images[picture];
      const pixels = tf.div(
        tf.tensor4d(Float32Array.from(data), [1, ...shape] as [1, number, number, number]),
        255,
      );
      const [height, width] = size.split('x').map(Number);
      const resized = resize(pixels as tf.Tensor4D, [height, width], {
        filter: filter as 'bilinear' | 'bicubic',
        antialias: antialias === 'aa',
      });
      const planes = tf.transpose(resized, [0, 3, 1, 2]).dataSync();
      // Preprocessed pixels are compared at 2e-5 of the largest value: float32 sums of float64 coefficients.
      arrays[`${name}_idx`].data.forEach((index, i) => {
        const error = Math.abs(planes[index] - arrays[`${name}_val_f64`].data[i]);
        assert.ok(error < 2e-5, `${name}[${index}]: off by ${error}`);
      });
    });
  }
  assert.is(tf.memory().numTensors, before);
});

test('weights of every output pixel sum to 1 and lie inside', () => {
  for (const filter of ['bilinear', 'bicubic'] as const)
    for (const antialias of [false, true])
      for (const [size, target] of [
        [1, 5],
        [7, 3],
        [3, 7],
        [100, 1],
      ]) {
        for (const { start, weights } of resizeRows(size, target, { filter, antialias })) {
          assert.ok(start >= 0 && start + weights.length <= size);
          assert.ok(Math.abs(weights.reduce((a, b) => a + b, 0) - 1) < 1e-12);
        }
      }
});

test.run();
