import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { randomStream } from '../tensor/index.ts';
import type { DistanceMatrix } from './pairwise.ts';
import { correlationRatio, mantel, neighbourPurity, ranks } from './permutation-tests.ts';

const matrix = (count: number, distance: (i: number, j: number) => number): DistanceMatrix => ({
  count,
  values: Float64Array.from({ length: count * count }, (_, at) => {
    const [i, j] = [Math.floor(at / count), at % count];
    return i === j ? 0 : distance(Math.min(i, j), Math.max(i, j));
  }),
});
const line = randomStream(1, 'points').normals(20);
const onLine = matrix(20, (i, j) => Math.abs(line[i] - line[j]));

test('ranks share the places of ties', () => {
  assert.equal([...ranks([5, 1, 5, 3])], [2.5, 0, 2.5, 1]);
});

test('distances agree with any rising function of themselves, and turn sign with a falling one', () => {
  const same = mantel(onLine, { ...onLine, values: onLine.values.map(x => x ** 3) }, { permutations: 99 });
  assert.ok(Math.abs(same.value - 1) < 1e-12);
  assert.is(same.p, 0.01);
  assert.ok(Math.abs(same.chance) < 0.1);
  const against = mantel(
    onLine,
    matrix(20, (i, j) => -Math.abs(line[i] - line[j])),
    { permutations: 99 },
  );
  assert.ok(Math.abs(against.value + 1) < 1e-12 && against.p === 1);
});

test('the p-value of distances that have nothing to do with each other is even: about one in ten lies below 0.1', () => {
  const draws = 100;
  let below = 0;
  for (let k = 0; k < draws; k++) {
    const [x, y] = [randomStream(k, 'x').normals(12), randomStream(k, 'y').normals(12)];
    const { p } = mantel(
      matrix(12, (i, j) => Math.abs(x[i] - x[j])),
      matrix(12, (i, j) => Math.abs(y[i] - y[j])),
      { permutations: 99, seed: k },
    );
    if (p <= 0.1) below++;
  }
  // Binomial(100, 0.1): 10 -+ 3; four deviations.
  assert.ok(below <= 22, `${below}`);
});

test('clusters are pure; chance is the share of equal labels among the others', () => {
  const labels = Array.from({ length: 20 }, (_, i) => (i < 5 ? 'a' : 'b'));
  const found = neighbourPurity(
    matrix(20, (i, j) => (labels[i] === labels[j] ? 1 + 0.01 * (i + j) : 9)),
    labels,
    { permutations: 499 },
  );
  assert.is(found.value, 1);
  assert.is(found.p, 1 / 500);
  // (5 * 4 + 15 * 14) / (20 * 19); a mean of 499 shares of 20.
  assert.ok(Math.abs(found.chance - 230 / 380) < 0.03, `${found.chance}`);
});

test('the correlation ratio is the share of variance between labels', () => {
  const labels = ['a', 'a', 'b', 'b'];
  assert.is(correlationRatio([1, 1, 3, 3], labels).value, 1);
  assert.is(correlationRatio([1, 3, 1, 3], labels).value, 0);
  assert.is(correlationRatio([2, 2, 2, 2], labels).value, 0);
  // Means 1 and 4 about 2.5, squares 4 * 2.25 = 9 of 4 + 0.25 + ... = 9 + 2 (0.5) + 2 (0.5).
  assert.ok(Math.abs(correlationRatio([0.5, 1.5, 3.5, 4.5], labels).value - 9 / 10) < 1e-12);
  const many = Array.from({ length: 60 }, (_, i) => `${i % 4}`);
  const { chance } = correlationRatio(randomStream(2, 'values').normals(60), many);
  // (labels - 1) / (values - 1).
  assert.ok(Math.abs(chance - 3 / 59) < 0.01, `${chance}`);
});

test.run();
