import fc from 'fast-check';
import { Matrix } from 'ml-matrix';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { fitRidge } from '../diffusion/index.ts';
import { SPECS, weightCount } from '../nca/index.ts';
import { randomStream } from '../tensor/index.ts';
import { baselines } from './baselines.ts';

const spec = { ...SPECS.compact, channels: 3, hidden: 4 };
const size = weightCount(spec);

function problem(seed: number, count: number, width: number, queries: number) {
  const random = randomStream(seed, 'baselines-test');
  return {
    spec,
    trainWeights: random.normals(count * size),
    trainFeatures: random.normals(count * width, 3, 2),
    queryFeatures: random.normals(queries * width, 3, 2),
    base: random.normals(size),
    seed,
  };
}

test('every baseline answers every query, finitely and the same each time', async () => {
  const input = problem(1, 6, 4, 3);
  const first = await baselines(input);
  for (const [name, weights] of Object.entries(first)) {
    assert.is(weights.length, 3 * size, name);
    assert.ok(weights.every(Number.isFinite), name);
  }
  assert.equal(first, await baselines(input));
  assert.not('base' in (await baselines({ ...input, base: null })));
});

test('asked for a training condition, nearest and interpolated answer with that training NCA', async () => {
  const input = problem(2, 7, 5, 1);
  for (let n = 0; n < 7; n++) {
    const query = input.trainFeatures.slice(n * 5, (n + 1) * 5);
    const found = await baselines({ ...input, queryFeatures: query });
    assert.equal(found.nearest, input.trainWeights.slice(n * size, (n + 1) * size));
    assert.equal(found['interpolated-two'], found.nearest);
    const exact = await baselines({ ...input, queryFeatures: query, noise: 0 });
    assert.equal(exact['nearest-noise'], found.nearest);
  }
});

test('rescaling and shifting a feature changes no choice', async () => {
  const input = problem(3, 8, 4, 4);
  const move = (x: Float32Array) => x.map((v, i) => (i % 4 === 2 ? 32 * v - 8 : v));
  const moved = {
    ...input,
    trainFeatures: move(input.trainFeatures),
    queryFeatures: move(input.queryFeatures),
  };
  const [a, b] = [await baselines(input), await baselines(moved)];
  assert.equal(a.nearest, b.nearest);
  // 1e-4: float32 features after the shift.
  assert.ok(a.ridge!.every((x, i) => Math.abs(x - b.ridge![i]) < 1e-4));
});

test('a different order of the training set gives the same answers', async () => {
  const input = problem(4, 6, 3, 2);
  const order = randomStream(0, 'order').permutation(6);
  const shuffled = {
    ...input,
    trainWeights: Float32Array.from(
      [...order].flatMap(n => [...input.trainWeights.slice(n * size, (n + 1) * size)]),
    ),
    trainFeatures: Float32Array.from(
      [...order].flatMap(n => [...input.trainFeatures.slice(n * 3, (n + 1) * 3)]),
    ),
  };
  const [a, b] = [await baselines(input), await baselines(shuffled)];
  for (const name of ['nearest', 'interpolated-two', 'mean', 'ridge'] as const) {
    // 1e-6: sums in another order, then rounded to float32.
    assert.ok(
      a[name]!.every((x, i) => Math.abs(x - b[name]![i]) < 1e-6),
      name,
    );
  }
});

const matrices = fc
  .record({
    count: fc.integer({ min: 4, max: 14 }),
    width: fc.integer({ min: 1, max: 20 }),
    seed: fc.nat(999),
  })
  .map(({ count, width, seed }) => {
    const random = randomStream(seed, 'ridge-test');
    return {
      x: Matrix.from1DArray(count, width, random.normals(count * width)),
      y: Matrix.from1DArray(count, 2, random.normals(count * 2)),
      query: Matrix.from1DArray(3, width, random.normals(3 * width)),
    };
  });

test('ridge solves its normal equations, with more rows than columns and with fewer', async () => {
  await fc.assert(
    fc.asyncProperty(
      matrices,
      fc.double({ min: 0.01, max: 50, noNaN: true }),
      async ({ x, y, query }, lambda) => {
        const mean = x.mean('column');
        const std = x.standardDeviation('column', { unbiased: false });
        const z = x.clone().subRowVector(mean).divRowVector(std);
        const offset = y.mean('column');
        const system = z.transpose().mmul(z).add(Matrix.eye(z.columns).mul(lambda));
        const beta = new Matrix(inverse(system)).mmul(z.transpose()).mmul(y.clone().subRowVector(offset));
        const asked = query.clone().subRowVector(mean).divRowVector(std);
        // Beyond five deviations features are held, as an encoder's are.
        const held = new Matrix(asked.to2DArray().map(row => row.map(x => Math.min(5, Math.max(-5, x)))));
        const slow = held.mmul(beta).addRowVector(offset);
        const fast = (await fitRidge(x, y, { lambda })).predict(query);
        return slow.sub(fast).abs().max() < 1e-6;
      },
    ),
    { numRuns: 60 },
  );
});

test('cross-validation shrinks noise and keeps a signal', async () => {
  const random = randomStream(5, 'gcv');
  const x = Matrix.from1DArray(60, 5, random.normals(300));
  const beta = Matrix.from1DArray(5, 3, random.normals(15));
  const signal = await fitRidge(x, x.mmul(beta).add(Matrix.from1DArray(60, 3, random.normals(180, 0, 0.01))));
  const noise = await fitRidge(x, Matrix.from1DArray(60, 3, random.normals(180)));
  assert.ok(signal.freedom > 5.9, `${signal.freedom}`);
  assert.ok(noise.freedom < 4, `${noise.freedom}`);
});

/** Gauss and Jordan: apart from the code under test. */
function inverse(matrix: Matrix): number[][] {
  const n = matrix.rows;
  const a = matrix
    .to2DArray()
    .map((row, i) => [...row, ...Array.from({ length: n }, (_, j) => (i === j ? 1 : 0))]);
  for (let i = 0; i < n; i++) {
    const pivot = a.findIndex(
      (row, r) => r >= i && Math.abs(row[i]) === Math.max(...a.slice(i).map(q => Math.abs(q[i]))),
    );
    [a[i], a[pivot]] = [a[pivot], a[i]];
    a[i] = a[i].map(v => v / a[i][i]);
    const scaled = a[i];
    for (let r = 0; r < n; r++) if (r !== i) a[r] = a[r].map((v, c) => v - a[r][i] * scaled[c]);
  }
  return a.map(row => row.slice(n));
}

test.run();
