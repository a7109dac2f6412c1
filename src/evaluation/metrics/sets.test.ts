import fc from 'fast-check';
import { Matrix } from 'ml-matrix';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { golden } from '../../../property-tests/golden.ts';
import { randomStream } from '../../tensor/index.ts';
import { FeatureSet, fid, fidInfinity, frechet, kernelDistance, kid } from './sets.ts';

const stats = await golden('stats');
const matrix = (name: string) => {
  const { shape, data } = stats[name];
  return Matrix.from1DArray(shape[0], shape[1], data as Float64Array);
};
const [X, Y] = [matrix('X'), matrix('Y')];
const rowsOf = (m: Matrix, rows: ArrayLike<number>) => new Matrix(Array.from(rows, i => m.getRow(i)));

function agrees(found: readonly number[], name: string, tolerance: number): void {
  const wanted = Array.from(stats[name].data as Float64Array);
  const most = Math.max(...wanted.map(Math.abs));
  found.forEach((x, i) => {
    assert.ok(Math.abs(x - wanted[i]) <= tolerance * most, `${name}[${i}]: ${x} for ${wanted[i]}`);
  });
}

test('the Frechet distance and its parts agree with the golden numbers, of full and of deficient rank', () => {
  const full = frechet(X, Y);
  // 1e-10: float64 statistics, three algorithms apart. Singular covariances are good to 1e-7 only, in the reference itself.
  for (const name of ['fid_symmetric', 'fid_eigvals', 'fid_sqrtm']) {
    agrees([...full.parts, full.distance], name, 1e-10);
  }
  const few = (m: Matrix, n: number) => m.subMatrix(0, n - 1, 0, m.columns - 1);
  const deficient = frechet(few(X, 10), few(Y, 12));
  agrees([...deficient.parts, deficient.distance], 'fid_rankdef_X10_Y12_symmetric', 1e-7);
});

test('the kernel distance agrees with the golden numbers, whole and in subsets', () => {
  agrees([kernelDistance(X, Y)], 'kid_full', 1e-10);
  const [ix, iy] = [stats.kid_idx_X.data, stats.kid_idx_Y.data] as Int32Array[];
  const found = Array.from({ length: 10 }, (_, k) =>
    kernelDistance(rowsOf(X, ix.subarray(20 * k, 20 * k + 20)), rowsOf(Y, iy.subarray(20 * k, 20 * k + 20))),
  );
  agrees(found, 'kid_subsets', 1e-10);
});

const set = (seed: number, count: number, width: number, mean = 0, std = 1) => {
  const features = new FeatureSet(width);
  features.add(randomStream(seed, 'sets').normals(count * width, mean, std));
  return features;
};

test('in one dimension it is (m1 - m2)^2 + (s1 - s2)^2', () => {
  fc.assert(
    fc.property(
      fc.nat(999),
      fc.integer({ min: 2, max: 30 }),
      fc.integer({ min: 2, max: 30 }),
      (seed, n, m) => {
        const [a, b] = [set(seed, n, 1, 2, 3).matrix(), set(seed + 1000, m, 1).matrix()];
        const closed =
          (a.mean() - b.mean()) ** 2 +
          (a.standardDeviation('column')[0] - b.standardDeviation('column')[0]) ** 2;
        return Math.abs(frechet(a, b).distance - closed) < 1e-10 * (1 + closed);
      },
    ),
  );
});

test('large Gaussian sets come near the closed form, and extrapolating comes nearer', () => {
  const [a, b] = [set(1, 300, 6), set(2, 300, 6, 0.5, 1.5)];
  const exact = 6 * (0.25 + 0.25);
  const plain = fid(a, b);
  const { value: extrapolated } = fidInfinity(a, b);
  // Sampling error of means and deviations of 300 pictures: some 0.3.
  assert.ok(Math.abs(plain.value - exact) < 0.5 && Math.abs(extrapolated - exact) < 0.5);
  assert.equal([plain.low, plain.high], [null, null]);
  // Of two sets from one distribution FID is all bias; the extrapolation has most of it gone.
  const [p, q] = [set(3, 60, 20), set(4, 60, 20)];
  assert.ok(Math.abs(fidInfinity(p, q).value) < 0.5 * fid(p, q).value);
});

test('order and batching of pictures do not matter; a set is at distance 0 from itself', () => {
  fc.assert(
    fc.property(
      fc.nat(999),
      fc.integer({ min: 10, max: 25 }),
      fc.integer({ min: 1, max: 30 }),
      (seed, n, width) => {
        const [x, y] = [set(seed, n, width), set(seed + 1, n + 3, width, 1)];
        const shuffled = new FeatureSet(width);
        const order = randomStream(seed, 'order').permutation(n);
        for (const row of order) shuffled.add(Float32Array.from(x.matrix([row]).to1DArray()));
        const [a, b] = [fid(x, y).value, fid(shuffled, y).value];
        assert.ok(Math.abs(a - b) < 1e-9 * (1 + a));
        assert.ok(fid(x, shuffled).value < 1e-9 * width);
        const kernels = [x, shuffled].map(s => kid(s, y, { subsets: 2 }).value);
        assert.ok(Math.abs(kernels[0] - kernels[1]) < 1e-9 * (1 + Math.abs(kernels[0])));
      },
    ),
    { numRuns: 20 },
  );
});

test('KID of one distribution has zero inside its interval, of two it has not', () => {
  const same = kid(set(5, 80, 8), set(6, 80, 8), { subsetSize: 40 });
  assert.ok(same.low! < 0 && same.high! > 0);
  assert.ok(kid(set(5, 80, 8), set(7, 80, 8, 1), { subsetSize: 40 }).low! > 0);
  assert.equal(kid(set(5, 20, 4), set(6, 20, 4)), kid(set(5, 20, 4), set(6, 20, 4)));
});

test('too few pictures and features that are not finite are refused', () => {
  for (const metric of [fid, kid, fidInfinity]) {
    assert.throws(
      () => metric(set(1, 9, 3), set(2, 30, 3)),
      'needs at least 10 pictures in each set, found 9',
    );
  }
  const features = set(1, 2, 3);
  assert.throws(() => features.add([1, Number.NaN, 2]), 'feature 1 of picture 2 is NaN');
  assert.throws(() => features.add([1, 2]), 'no rows of 3');
});

test.run();
