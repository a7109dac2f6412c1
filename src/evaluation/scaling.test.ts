import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { classicalScaling, turnedTo } from './scaling.ts';

const matrixOf = (points: readonly (readonly number[])[]) => ({
  count: points.length,
  values: Float64Array.from(points.flatMap(a => points.map(b => Math.hypot(...a.map((x, k) => x - b[k]))))),
});
const number = fc.double({ min: -10, max: 10, noNaN: true });
const plane = fc.array(fc.tuple(number, number), { minLength: 4, maxLength: 12 });

const worst = (a: Float64Array, b: Float64Array) =>
  a.reduce((most, x, i) => Math.max(most, Math.abs(x - b[i])), 0);

test('points in the plane come back with their distances', () => {
  fc.assert(
    fc.property(plane, points => {
      const distances = matrixOf(points);
      const { points: found, explained } = classicalScaling(distances);
      // Roots of eigenvalues that should be zero: sqrt of 1e-13 times the squares.
      return worst(matrixOf(found).values, distances.values) < 1e-4 && explained > 1 - 1e-9;
    }),
  );
});

test('what the plane cannot hold is not explained by it, and the longest axis comes first', () => {
  const points = [1, -1].flatMap(s => [
    [3 * s, 0, 0],
    [0, 2 * s, 0],
    [0, 0, s],
  ]);
  const { points: found, explained } = classicalScaling(matrixOf(points));
  assert.ok(Math.abs(explained - 13 / 14) < 1e-9);
  assert.ok(Math.abs(Math.abs(found[0][0]) - 3) < 1e-9 && Math.abs(Math.abs(found[1][1]) - 2) < 1e-9);
});

test('turned and mirrored points are brought back onto the others', () => {
  const reference = classicalScaling(
    matrixOf([
      [0, 0],
      [4, 0],
      [1, 2],
      [5, 7],
      [-3, 1],
    ]),
  ).points;
  const angle = 2.1;
  const moved = reference.map(([x, y]) => [
    -(Math.cos(angle) * x - Math.sin(angle) * y),
    Math.sin(angle) * x + Math.cos(angle) * y,
  ]);
  turnedTo(moved, reference).forEach((point, i) => {
    for (const k of [0, 1]) assert.ok(Math.abs(point[k] - reference[i][k]) < 1e-9);
  });
});

test.run();
