import fc from 'fast-check';
import { Matrix } from 'ml-matrix';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { rowDotsInPieces, statistics, transposed } from '../compute/index.ts';
import { randomStream } from '../tensor/index.ts';
import { symmetricEigen } from './eigen.ts';
import { product, rowsOf } from './products.ts';

const matrix = (seed: number, rows: number, columns: number) =>
  Matrix.from1DArray(rows, columns, randomStream(seed, 'matrix').normals(rows * columns));

/** The largest difference of two matrices. */
const apart = (a: Matrix, b: Matrix) => Matrix.sub(a, b).abs().max();

const sizes = fc.tuple(
  fc.integer({ min: 1, max: 300 }),
  fc.integer({ min: 1, max: 600 }),
  fc.integer({ min: 1, max: 9 }),
);

test('products are those of ml-matrix, whatever the sizes', async () => {
  const held = statistics().held;
  await fc.assert(
    fc.asyncProperty(sizes, fc.nat(1e6), async ([n, k, m], seed) => {
      const [a, b] = [matrix(seed, n, k), matrix(seed + 1, k, m)];
      const slow = a.mmul(b);
      // Sums of at most 600 products of size 1 in float64, in another order.
      assert.ok(apart(product(a, b), slow) < 1e-11);
      const found = await rowDotsInPieces(rowsOf(a), transposed(rowsOf(b)));
      assert.ok(apart(Matrix.from1DArray(n, m, found.data), slow) < 1e-11);
    }),
    { numRuns: 30 },
  );
  assert.is(statistics().held, held);
});

test('a product and a decomposition end with the reason of a signal', async () => {
  const held = statistics().held;
  const rows = rowsOf(matrix(1, 700, 3));
  const control = new AbortController();
  setImmediate(() => control.abort(new Error('stopped')));
  for (const work of [
    () => rowDotsInPieces(rows, rows, control.signal),
    () => symmetricEigen(rows, control.signal),
  ]) {
    const error = await work().catch(reason => reason);
    assert.is(error.message, 'stopped');
  }
  assert.is(statistics().held, held);
});

test('eigenvectors give the matrix back, the largest first, here and on a thread beside', async () => {
  for (const size of [1, 40, 260]) {
    const half = matrix(2, size, size);
    const whole = half.mmul(half.transpose());
    const { values, vectors } = await symmetricEigen(rowsOf(whole));
    assert.ok(values.every((value, k) => k === 0 || value <= values[k - 1]));
    const v = Matrix.from1DArray(size, size, vectors.data);
    const again = v.transpose().mmul(v.clone().mulColumnVector([...values]));
    // Eigenvalues of up to some 1,000, in float64.
    assert.ok(apart(again, whole) < 1e-9, `${size}`);
  }
});

test.run();
