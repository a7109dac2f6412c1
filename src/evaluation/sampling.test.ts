import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { randomStream, startBackend } from '../tensor/index.ts';
import { bestOf, distinctRows, energyScores, spreadToError } from './index.ts';

await startBackend();

/** K samples and a truth of M conditions, all of N(mean_m, std^2) but for the factors. */
function draws(seed: number, K: number, M: number, D: number, spread = 1, offset = 0) {
  const random = randomStream(seed, 'draws');
  const means = random.normals(M * D, 0, 3);
  const around = (std: number, shift: number) => means.map(mean => mean + shift + random.normal(0, std));
  return { truth: around(1, 0), samples: Array.from({ length: K }, () => around(spread, offset)) };
}

test('the ratio of spread and error is 1 for draws of the truth’s own distribution, whatever K', () => {
  fc.assert(
    fc.property(fc.nat(1e6), fc.integer({ min: 2, max: 9 }), (seed, K) => {
      const { samples, truth } = draws(seed, K, 40, 50);
      // 2,000 coordinates: the error's relative standard error is 1 / sqrt(4000) = 1.6 %; five of them.
      assert.ok(Math.abs(spreadToError(samples, truth).ratio - 1) < 0.08);
    }),
    { numRuns: 20 },
  );
  const { samples, truth } = draws(1, 8, 40, 50, 0.01);
  assert.ok(spreadToError(samples, truth).ratio < 0.02);
});

test('the energy score is least in the mean for the true distribution', () => {
  const score = (spread: number, offset: number) => {
    const { samples, truth } = draws(3, 8, 200, 10, spread, offset);
    return energyScores(samples, truth, 10).reduce((sum, x) => sum + x, 0) / 200;
  };
  const best = score(1, 0);
  for (const [spread, offset] of [
    [0.05, 0],
    [0.5, 0],
    [2, 0],
    [1, 1],
  ])
    assert.ok(score(spread, offset) > best + 0.01, `${spread}, ${offset}`);
});

test('best of K chooses by one measure and reports the other', () => {
  assert.equal(
    bestOf(
      [Float64Array.of(1, 5), Float64Array.of(2, 3)],
      [Float64Array.of(10, 20), Float64Array.of(30, 40)],
    ),
    Float64Array.of(10, 40),
  );
});

test('rows that are one are counted once', () => {
  const rows = randomStream(0, 'rows').normals(5 * 20);
  const copies = Float32Array.from([...rows, ...rows.map(x => x + 0.01)]);
  assert.is(distinctRows(copies, 20, 0.1), 5);
  assert.is(distinctRows(copies, 20, 0.001), 10);
});

test.run();
