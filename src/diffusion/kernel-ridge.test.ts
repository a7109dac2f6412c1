import fc from 'fast-check';
import { Matrix, solve } from 'ml-matrix';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { randomStream, startBackend } from '../tensor/index.ts';
import { fitGaussian, priorArrays, priorFromArrays } from './index.ts';
import { applyKernelMap, fitKernelRidge } from './kernel-ridge.ts';

await startBackend();

const problem = (seed: number, count: number, width = 3, size = 2) => {
  const stream = randomStream(seed, 'kernel');
  const features = Matrix.from1DArray(count, width, stream.normals(count * width));
  return {
    features,
    targets: { rows: count, columns: size, data: Float64Array.from(stream.normals(count * size)) },
  };
};

/** k(a, b) by its definition. */
const laplace = (a: ArrayLike<number>, b: ArrayLike<number>, bandwidth: number) =>
  Math.exp(-Math.hypot(...Array.from(a, (x, f) => x - b[f])) / bandwidth);

test('coefficients solve (K + lambda I) c = y, and a row left out is foretold as a fit without it would', async () => {
  await fc.assert(
    fc.asyncProperty(fc.nat(), fc.integer({ min: 4, max: 12 }), async (seed, count) => {
      const { features, targets } = problem(seed, count);
      const { map, lambda, leftOut } = await fitKernelRidge(features, targets);
      const row = (n: number) => map.rows.data.slice(n * 3, n * 3 + 3);
      const fitWithout = (out: number | null) => {
        const kept = Array.from({ length: count }, (_, n) => n).filter(n => n !== out);
        const K = new Matrix(
          kept.map(n => kept.map(m => laplace(row(n), row(m), map.bandwidth) + (n === m ? lambda : 0))),
        );
        const y = new Matrix(kept.map(n => [...targets.data.slice(n * 2, n * 2 + 2)]));
        const c = solve(K, y);
        return (n: number) =>
          [0, 1].map(d =>
            kept.reduce((sum, m, i) => sum + laplace(row(n), row(m), map.bandwidth) * c.get(i, d), 0),
          );
      };
      const whole = fitWithout(null);
      const fast = applyKernelMap(map, features);
      for (let n = 0; n < count; n++) {
        // float64, but the distances are differences of squares: 1e-7 of rounding near 0.
        whole(n).forEach((y, d) => {
          assert.ok(Math.abs(y - fast.data[n * 2 + d]) < 1e-5, `${y} and ${fast.data[n * 2 + d]}`);
        });
        fitWithout(n)(n).forEach((y, d) => {
          assert.ok(Math.abs(y - leftOut[n * 2 + d]) < 1e-4, `${y} and ${leftOut[n * 2 + d]}`);
        });
      }
    }),
    { numRuns: 25 },
  );
});

test('simulation: what bends is foretold better than by a line, and noise is not foretold at all', async () => {
  const stream = randomStream(3, 'bend');
  const [count, width] = [300, 2];
  const x = Matrix.from1DArray(count, width, stream.normals(count * width));
  const bend = (n: number) => Math.sin(2 * x.get(n, 0)) * x.get(n, 1);
  const data = (f: (n: number) => number) => Float64Array.from({ length: count }, (_, n) => f(n));
  const left = async (y: Float64Array) => {
    const mean = y.reduce((sum, v) => sum + v, 0) / count;
    const centred = y.map(v => v - mean);
    const { leftOut } = await fitKernelRidge(x, { rows: count, columns: 1, data: centred });
    const square = (values: Iterable<number>) => [...values].reduce((sum, v) => sum + v ** 2, 0);
    return square(centred.map((v, n) => v - leftOut[n])) / square(centred);
  };
  assert.ok((await left(data(bend))) < 0.25);
  const noise = stream.normals(count);
  const open = await left(data(n => noise[n]));
  // Nothing to foretell: what is left is all, and a few percent that any fit adds.
  assert.ok(open > 0.97 && open < 1.1, `${open}`);
});

test('a prior around it answers the same from its arrays', async () => {
  const stream = randomStream(4, 'prior');
  const [count, size] = [12, 5];
  const weights = stream.normals(count * size);
  const features = stream.normals(count * 3);
  const { prior, means } = await fitGaussian({ weights, features, size, mean: 'kernel' });
  assert.is(means.length, weights.length);
  const arrays = priorArrays(prior);
  const read = priorFromArrays(size, name => arrays[name] ?? null);
  const asked = stream.normals(2 * 3);
  const [a, b] = [prior.means(asked), read.means(asked)];
  a.forEach((x, i) => {
    // Kept in float32.
    assert.ok(Math.abs(x - b[i]) < 1e-5);
  });
});

test.run();
