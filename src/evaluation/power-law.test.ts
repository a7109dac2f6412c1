import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { randomStream } from '../tensor/index.ts';
import { powerExponent } from './index.ts';

test('power laws of one exponent and any factors have that exponent', () => {
  fc.assert(
    fc.property(fc.double({ min: -2, max: 2, noNaN: true }), fc.nat(), (b, seed) => {
      const stream = randomStream(seed, 'power');
      const sizes = [40, 90, 300, 1000];
      const factors = Array.from({ length: 5 }, () => stream.uniform(0.1, 3));
      const { mean, low, high } = powerExponent(
        sizes,
        sizes.map(n => factors.map(a => a * n ** -b)),
      );
      for (const found of [mean, low, high]) assert.ok(Math.abs(found - b) < 1e-9, `${found} for ${b}`);
    }),
  );
});

test('simulation: the interval of the exponent covers it as often as it says', () => {
  const stream = randomStream(2, 'coverage');
  const sizes = [40, 160, 640];
  const trials = 1000;
  let covered = 0;
  for (let trial = 0; trial < trials; trial++) {
    const noise = () => Math.exp(0.3 * stream.normals(1)[0]);
    const distances = sizes.map(n => Array.from({ length: 12 }, () => 0.2 * n ** -0.25 * noise()));
    const { low, high } = powerExponent(sizes, distances);
    if (low <= 0.25 && 0.25 <= high) covered++;
  }
  // Three standard errors of a share of 0.95 over 1,000 trials are 0.021.
  assert.ok(Math.abs(covered / trials - 0.95) < 0.021, `${covered / trials}`);
});

test.run();
