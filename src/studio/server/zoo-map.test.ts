import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { randomStream } from '../../tensor/index.ts';
import { principalPlane } from './zoo-map.ts';

test('points of a plane keep their distances on the map', async () => {
  await fc.assert(
    fc.asyncProperty(fc.nat(999), fc.integer({ min: 3, max: 600 }), async (seed, count) => {
      const random = randomStream(seed, 'plane');
      const size = 40;
      const [u, v] = [random.normals(size), random.normals(size)];
      const all = new Float32Array(count * size);
      for (let row = 0; row < count; row++) {
        const [a, b] = [random.normal(3, 2), random.normal(-1, 1)];
        for (let i = 0; i < size; i++) all[row * size + i] = a * u[i] + b * v[i];
      }
      const points = await principalPlane({
        count,
        rows: async (first, wanted) => all.subarray(first * size, (first + wanted) * size),
      });
      for (let trial = 0; trial < 20; trial++) {
        const [a, b] = [random.integer(0, count), random.integer(0, count)];
        let squared = 0;
        for (let i = 0; i < size; i++) squared += (all[a * size + i] - all[b * size + i]) ** 2;
        const far = Math.sqrt(squared);
        const shown = Math.hypot(points[2 * a] - points[2 * b], points[2 * a + 1] - points[2 * b + 1]);
        // The axes and the products are float32, sums over 40 numbers of size 10.
        assert.ok(Math.abs(shown - far) < 1e-3 * (1 + far), `${shown} ${far}`);
      }
    }),
    { numRuns: 10 },
  );
});

test.run();
