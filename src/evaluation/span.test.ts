import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { randomStream, startBackend } from '../tensor/index.ts';
import { spanProjections } from './index.ts';

await startBackend();

const near = (a: Float32Array, b: Float32Array) =>
  Math.max(...a.map((x, i) => Math.abs(x - b[i]))) / Math.max(1, ...b.map(Math.abs));

test('mixtures of training rows are their own projections; the share rises with the rank, and the rest is orthogonal', async () => {
  await fc.assert(
    fc.asyncProperty(fc.nat(), fc.integer({ min: 4, max: 9 }), async (seed, count) => {
      const size = 20;
      const stream = randomStream(seed, 'span');
      const train = stream.normals(count * size);
      const mixing = Array.from({ length: count }, () => stream.uniform(-1, 1));
      mixing[0] += 1 - mixing.reduce((sum, x) => sum + x, 0);
      const mixture = Float32Array.from({ length: size }, (_, d) =>
        mixing.reduce((sum, m, n) => sum + m * train[n * size + d], 0),
      );
      const [inside] = await spanProjections(train, mixture, size, [size]);
      // Directions are kept in float32, and those of little variance divide by it.
      assert.ok(near(inside.weights, mixture) < 1e-3, `${near(inside.weights, mixture)}`);
      const other = stream.normals(size);
      const [one, two, all] = await spanProjections(train, other, size, [1, 2, 99]);
      assert.ok(one.share <= two.share + 1e-6 && two.share <= all.share + 1e-6 && all.share <= 1 + 1e-6);
      // What is left is orthogonal to every difference of training rows.
      for (let n = 1; n < count; n++) {
        let product = 0;
        for (let d = 0; d < size; d++)
          product += (other[d] - all.weights[d]) * (train[n * size + d] - train[d]);
        assert.ok(Math.abs(product) < 1e-2, `${product}`);
      }
    }),
    { numRuns: 30 },
  );
});

test.run();
