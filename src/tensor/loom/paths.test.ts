/** Shapes for which the kernels take paths of their own: short rows beside many, long axes, planes around the size of a tile. */
import * as fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { agree, type Given, sizeOf } from '../../../property-tests/agreement.ts';
import { erf, gelu } from '../../../property-tests/float64.ts';
import { fused, startBackend, tf } from '../index.ts';

await startBackend({ prefer: 'cpu' });
await startBackend({ prefer: 'loom' });

const runs = (numRuns: number) => ({ numRuns, seed: 1, endOnFailure: true });

/** Numbers to 8 for a shape, from a few drawn ones: large tensors cost fast-check nothing. */
const given = (...shape: number[]): fc.Arbitrary<Given> =>
  fc.array(fc.float({ min: -8, max: 8, noNaN: true }), { minLength: 13, maxLength: 13 }).map(seeds => ({
    shape,
    values: Float32Array.from(
      { length: sizeOf(shape) },
      (_, i) => seeds[i % 13] * (0.5 + ((i * 7919) % 101) / 202),
    ),
  }));

test('one short row beside many', () => {
  const cases = fc
    .tuple(fc.integer({ min: 1, max: 1200 }), fc.integer({ min: 1, max: 40 }))
    .chain(([rows, width]) => fc.tuple(given(rows, width), given(width)));
  fc.assert(
    fc.property(cases, ([x, row]) =>
      agree([x, row], (a, b) => [tf.add(a, b), tf.sub(b, a), tf.greater(a, b), tf.lessEqual(b, a)]),
    ),
    runs(30),
  );
});

test('long axes, which are reduced in slices', () => {
  const cases: [shape: number[], axis: number][] = [
    [[5003, 33], 0],
    [[2, 3001, 24], 1],
    [[200_003], 0],
    [[3, 70_001], 1],
    [[64, 2100], 0],
    [[7, 30, 1100], 1],
  ];
  for (const [shape, axis] of cases)
    fc.assert(
      fc.property(given(...shape), x =>
        // Means of numbers to 8; float32 rounds the sums on the way, in another order than tfjs-backend-cpu.
        agree([x], a => [tf.mean(a, axis), tf.max(a, axis), tf.min(a, axis)], 1e-4),
      ),
      runs(2),
    );
});

test('planes and rows around the sizes of tiles and runs', () => {
  const side = fc.oneof(fc.integer({ min: 1, max: 80 }), fc.constantFrom(32, 64, 515));
  fc.assert(
    fc.property(
      fc.tuple(fc.integer({ min: 1, max: 3 }), side, side).chain(shape => given(...shape)),
      x => agree([x], a => [tf.transpose(a, [0, 2, 1]), tf.transpose(a, [1, 0, 2]), tf.concat([a, a], 2)]),
    ),
    runs(30),
  );
  fc.assert(
    fc.property(given(515, 1), x => agree([x], a => [tf.tile(a, [1, 21]), tf.tile(a, [2, 1])])),
    runs(3),
  );
});

/** Both are fits in single precision: roundings of 6e-8 at a few steps, of numbers about 1 (times x for gelu itself). */
test('gelu and its derivative against float64', () => {
  void tf.setBackend('loom');
  const both = (values: ArrayLike<number>): [ArrayLike<number>, ArrayLike<number>] => {
    const { value, grad } = tf.valueAndGrad(x => fused.gelu(x))(tf.tensor1d(Array.from(values)));
    return [value.dataSync(), grad.dataSync()];
  };
  tf.tidy(() => {
    const values = Float32Array.from({ length: 80_001 }, (_, i) => (i - 40_000) / 4000);
    const [y, slope] = both(values);
    values.forEach((x, i) => {
      const density = Math.exp((-x * x) / 2) / Math.sqrt(2 * Math.PI);
      const derivative = (1 + erf(x * Math.SQRT1_2)) / 2 + x * density;
      assert.ok(Math.abs(y[i] - gelu(x)) <= 3e-7 * Math.max(1, Math.abs(x)), `gelu(${x}) = ${y[i]}`);
      assert.ok(Math.abs(slope[i] - derivative) <= 4e-7, `gelu'(${x}) = ${slope[i]}`);
    });
    // Far out both are exact; what is no number stays none.
    const [far, farSlope] = both([100, -100, Infinity, Number.NaN]).map(x => Array.from(x, v => v + 0));
    assert.equal(far, [100, 0, Infinity, Number.NaN]);
    assert.equal(farSlope, [1, 0, 1, Number.NaN]);
  });
});

test.run();
