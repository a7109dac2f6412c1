import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type RandomStream, randomStream } from '../tensor/index.ts';
import { crossedInterval, holm, pairedDifference, signFlipP, studentQuantileAt } from './index.ts';

/** A gamma variable of skewness 1.5, standardised (Marsaglia and Tsang 2000). */
function skewed(random: RandomStream): number {
  const shape = (2 / 1.5) ** 2;
  const d = shape - 1 / 3;
  for (;;) {
    const x = random.normal();
    const v = (1 + x / Math.sqrt(9 * d)) ** 3;
    if (v > 0 && Math.log(random.uniform()) < 0.5 * x * x + d - d * v + d * Math.log(v))
      return (d * v - shape) / Math.sqrt(shape);
  }
}
const DRAWS = { normal: (random: RandomStream) => random.normal(), gamma: skewed };

const [T, S] = [24, 5];
for (const [name, draw] of Object.entries(DRAWS)) {
  for (const ratio of [0, 0.02, 0.05, 0.2]) {
    test(`95 % intervals cover in 93 to 97 % of trials: 24 textures x 5 seeds, ${name}, seed variance ${ratio} of the textures'`, () => {
      const random = randomStream(11, `crossed/${name}/${ratio}`);
      const trials = 4000;
      let covered = 0;
      for (let trial = 0; trial < trials; trial++) {
        const textures = Array.from({ length: T }, () => draw(random));
        const values = Array.from({ length: S }, () => {
          const seed = Math.sqrt(ratio) * draw(random);
          return textures.map(texture => texture + seed + 0.7 * draw(random));
        });
        const { low, high } = crossedInterval(values);
        if (low <= 0 && high >= 0) covered++;
      }
      // 4,000 trials: a standard error of 0.35 %.
      const share = covered / trials;
      assert.ok(share > 0.93 && share < 0.97, `${share}`);
    });
  }
}

test('the level of paired decisions is below 6 %, and after Holm for five of them together too', () => {
  const random = randomStream(3, 'level');
  const trials = 1500;
  let [single, family, exact] = [0, 0, 0];
  for (let trial = 0; trial < trials; trial++) {
    // Two methods that are equal: their differences are of two draws of one skewed distribution, and so symmetric.
    const differences = Array.from({ length: 5 }, () =>
      Float64Array.from({ length: 24 }, () => skewed(random) - skewed(random)),
    );
    const p = differences.map(d => signFlipP(d.slice(0, 12)));
    if (p[0] < 0.05) exact++;
    if (holm(p).some(x => x < 0.05)) family++;
    if (pairedDifference(differences[0], new Float64Array(24)).significant) single++;
  }
  // 1,500 trials: a standard error of 0.56 % about 5 %.
  assert.ok(single / trials < 0.065, `paired ${single / trials}`);
  assert.ok(family / trials < 0.065, `family ${family / trials}`);
  assert.ok(exact / trials < 0.065, `exact ${exact / trials}`);
});

test('sign flips are counted as they are by listing them all', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: -5, max: 5 }), { minLength: 1, maxLength: 9 }), differences => {
      const observed = Math.abs(differences.reduce((a, b) => a + b, 0));
      let reached = 0;
      for (let bits = 0; bits < 2 ** differences.length; bits++) {
        const sum = differences.reduce((total, x, i) => total + (bits & (1 << i) ? -x : x), 0);
        if (Math.abs(sum) >= observed - 1e-9) reached++;
      }
      assert.ok(Math.abs(signFlipP(differences) - Math.min(1, reached / 2 ** differences.length)) < 1e-12);
    }),
  );
});

test('Holm corrects upwards, keeps the order, and one hypothesis is left as it is', () => {
  assert.equal(holm([0.04]), [0.04]);
  fc.assert(
    fc.property(fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { minLength: 1, maxLength: 8 }), p => {
      const corrected = holm(p);
      assert.ok(corrected.every((x, i) => x >= p[i] && x <= 1));
      for (let i = 0; i < p.length; i++)
        for (let j = 0; j < p.length; j++) if (p[i] < p[j]) assert.ok(corrected[i] <= corrected[j]);
    }),
  );
});

test('Student quantiles for broken degrees of freedom lie between the whole ones', () => {
  // R: qt(0.975, c(2.5, 4.7, 23)).
  const expected = [3.558, 2.6217, 2.0687];
  [2.5, 4.7, 23].forEach((freedom, i) => {
    assert.ok(Math.abs(studentQuantileAt(0.975, freedom) / expected[i] - 1) < 0.03, `${freedom}`);
  });
});

test.run();
