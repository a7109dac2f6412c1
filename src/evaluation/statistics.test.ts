import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { randomStream } from '../tensor/index.ts';
import { meanInterval, pairedDifference, quantile, studentCdf, studentQuantile } from './statistics.ts';

const values = fc.array(fc.double({ min: -100, max: 100, noNaN: true }), { minLength: 2, maxLength: 40 });

test('Student quantiles agree with printed tables', () => {
  // Abramowitz and Stegun 1964, table 26.10: two-sided 5% points, three decimals.
  for (const [freedom, t] of [
    [1, 12.706],
    [2, 4.303],
    [5, 2.571],
    [10, 2.228],
    [30, 2.042],
    [120, 1.98],
  ]) {
    assert.ok(Math.abs(studentQuantile(0.975, freedom) - t) < 6e-4, `${freedom}`);
  }
});

test('the Student quantile inverts the distribution function, which is symmetric', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 60 }),
      fc.double({ min: 0.01, max: 0.99, noNaN: true }),
      (freedom, p) => {
        const t = studentQuantile(p, freedom);
        // 1e-9: rounding of sums of up to 30 terms and of a bisection in float64.
        return (
          Math.abs(studentCdf(t, freedom) - p) < 1e-9 && Math.abs(studentCdf(-t, freedom) - 1 + p) < 1e-9
        );
      },
    ),
  );
});

test('an interval contains its mean, moves with the values and scales with them', () => {
  fc.assert(
    fc.property(values, fc.constantFrom('t' as const, 'bootstrap' as const), (sample, method) => {
      const a = meanInterval(sample, { method, resamples: 200 });
      const b = meanInterval(
        sample.map(x => 3 * x + 5),
        { method, resamples: 200 },
      );
      const close = (x: number, y: number) => Math.abs(x - y) < 1e-8 * (1 + Math.abs(x));
      return (
        a.low <= a.mean && a.mean <= a.high && close(b.low, 3 * a.low + 5) && close(b.high, 3 * a.high + 5)
      );
    }),
    { numRuns: 50 },
  );
});

test('95% intervals cover the true mean about 95% of the time', () => {
  for (const method of ['t', 'bootstrap'] as const) {
    const stream = randomStream(3, 'coverage');
    let covered = 0;
    for (let trial = 0; trial < 400; trial++) {
      const { low, high } = meanInterval(stream.normals(30, 2, 5), { method, resamples: 300, seed: trial });
      if (low <= 2 && 2 <= high) covered++;
    }
    // 400 trials have a standard error of 1.1%; the bootstrap of 30 values is known to be about 2% short.
    assert.ok(covered >= 360 && covered <= 396, `${method}: ${covered} of 400`);
  }
});

test('a paired difference is the interval of the differences, and is antisymmetric', () => {
  fc.assert(
    fc.property(values, fc.nat(1000), (a, seed) => {
      const noise = randomStream(seed, 'pairs');
      const b = a.map(x => x + noise.normal());
      const forth = pairedDifference(a, b, { method: 't' });
      const back = pairedDifference(b, a, { method: 't' });
      return (
        Math.abs(forth.mean + back.mean) < 1e-9 &&
        Math.abs(forth.low + back.high) < 1e-9 &&
        forth.significant === back.significant &&
        Math.abs(forth.lower + back.lower - 1) < 1e-12
      );
    }),
    { numRuns: 50 },
  );
});

test('the same seed gives the same bootstrap; values that are not finite are an error', () => {
  const sample = [1, 4, 2, 8, 5, 7];
  const resampled = { seed: 7, method: 'bootstrap' } as const;
  assert.equal(meanInterval(sample, resampled), meanInterval(sample, resampled));
  assert.throws(() => meanInterval([1, Number.NaN, 3]), 'value 1 is NaN');
  assert.throws(() => meanInterval([]), 'at least one');
  assert.equal(meanInterval([4]).low, -Infinity);
});

test('quantiles interpolate between order statistics', () => {
  assert.is(quantile([0, 10], 0.25), 2.5);
  assert.is(quantile([1, 2, 3], 0.5), 2);
});

test.run();
