/** Loom's rarer kernels equal tfjs-backend-cpu's, over random shapes and values, NaN and infinities among them. */
import * as fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { agree, type Given } from '../../../property-tests/agreement.ts';
import { edgeMessage, startBackend, tf } from '../index.ts';

await startBackend({ prefer: 'cpu' });
await startBackend({ prefer: 'loom' });

const runs = (numRuns: number) => ({ numRuns, seed: 1, endOnFailure: true });
const finite = fc.float({ min: -8, max: 8, noNaN: true });
const strange = fc.oneof(
  { weight: 6, arbitrary: finite },
  fc.constantFrom(Number.NaN, Infinity, -Infinity, 0, -0, 1, -1, 2, 1e-40, 3e38, 8191.5, -1e6),
);
const sizeOf = (shape: readonly number[]) => shape.reduce((a, b) => a * b, 1);
/** Lengths on both sides of a vector of 4 and of 16, none, and one. */
const shapes = fc.oneof(
  fc.array(fc.integer({ min: 1, max: 6 }), { maxLength: 4 }),
  fc.constantFrom([0], [2, 0, 3], [1], [3], [16], [37], [5, 13]),
);
const given = (shape: readonly number[], element: fc.Arbitrary<number>): fc.Arbitrary<Given> =>
  fc
    .array(element, { minLength: sizeOf(shape), maxLength: sizeOf(shape) })
    .map(values => ({ shape, values: Float32Array.from(values) }));
const each = (element: fc.Arbitrary<number>) => shapes.chain(shape => given(shape, element));

/** Polynomials of single precision: a few units of 6e-8, and the cpu backend's own rounding from float64. */
const FEW_UNITS = 1e-6;

test('sine, cosine, logarithm, exponential, selu', () => {
  for (const f of [tf.sin, tf.cos, tf.log1p, tf.expm1, tf.selu])
    fc.assert(
      fc.property(each(strange), x => agree([x], f as never, FEW_UNITS)),
      runs(40),
    );
  const line = Float32Array.from({ length: 40_001 }, (_, i) => (i - 20_000) * 0.41);
  for (const f of [tf.sin, tf.cos]) agree([{ shape: [40_001], values: line }], f as never, FEW_UNITS);
});

test('elu and exp - 1 keep their digits near 0', () => {
  // Of every size down to the smallest normal number, where exp(x) - 1 taken literally has none left.
  const small = fc.tuple(fc.double({ min: -37, max: 0, noNaN: true }), fc.boolean());
  fc.assert(
    fc.property(fc.array(small, { minLength: 1, maxLength: 20 }), drawn => {
      const values = Float32Array.from(drawn, ([power, negative]) => (negative ? -1 : 1) * 10 ** power);
      const found = tf.tidy(() => [tf.elu, tf.expm1].map(f => f(tf.tensor1d(values)).dataSync()));
      values.forEach((x, i) => {
        const exact = Math.expm1(x);
        for (const [k, wanted] of [x > 0 ? x : exact, exact].entries()) {
          assert.ok(
            Math.abs(found[k][i] - wanted) <= 5e-7 * Math.abs(wanted),
            `${x}: ${found[k][i]}, not ${wanted}`,
          );
        }
      });
    }),
    runs(100),
  );
});

test('powers, parametric relu, the gradient of elu', () => {
  const pairs = shapes.chain(shape =>
    fc.tuple(given(shape, strange), fc.oneof(given(shape, strange), given([], strange), given([1], strange))),
  );
  fc.assert(
    fc.property(pairs, ([x, y]) => {
      agree([x, y], (a: tf.Tensor, b: tf.Tensor) => [tf.pow(a, b), tf.prelu(a, b)], FEW_UNITS);
      agree([x, { ...x, values: x.values }], (a: tf.Tensor) => tf.grad(b => tf.elu(b))(a), FEW_UNITS);
    }),
    runs(80),
  );
  const column = { shape: [3, 1], values: [1, 2, 3] };
  const row = { shape: [4], values: [0.5, -1, 2, 3] };
  agree([column, row], (a: tf.Tensor, b: tf.Tensor) => tf.pow(a, b), FEW_UNITS);
});

test('tests and logic', () => {
  fc.assert(
    fc.property(each(strange), x => {
      agree([x], (a: tf.Tensor) => [tf.isNaN(a), tf.isInf(a), tf.isFinite(a)]);
      agree([x], (a: tf.Tensor) => {
        const [p, q] = [tf.greater(a, 0), tf.less(a, 1)];
        return [tf.logicalAnd(p, q), tf.logicalOr(p, q), tf.logicalNot(p), tf.logicalXor(p, q)];
      });
    }),
    runs(60),
  );
});

test('mirror padding and one-hot codes', () => {
  const cases = fc
    .array(fc.integer({ min: 1, max: 6 }), { minLength: 1, maxLength: 4 })
    .chain(shape =>
      fc.tuple(
        given(shape, strange),
        fc.constantFrom('reflect' as const, 'symmetric' as const),
        fc.infiniteStream(fc.nat(5)),
      ),
    );
  fc.assert(
    fc.property(cases, ([x, mode, random]) => {
      const most = (size: number) => (mode === 'reflect' ? size - 1 : size);
      const margins = x.shape.map(size =>
        [0, 0].map(() => Math.min(most(size), random.next().value as number)),
      ) as [number, number][];
      agree([x], (a: tf.Tensor) => tf.mirrorPad(a, margins, mode));
      const whole = { ...x, values: x.values, dtype: 'int32' as const };
      agree([whole], (a: tf.Tensor) => tf.mirrorPad(a, margins, mode));
    }),
    runs(80),
  );
  fc.assert(
    fc.property(each(fc.integer({ min: -2, max: 7 })), fc.integer({ min: 2, max: 6 }), (x, depth) => {
      agree([{ ...x, dtype: 'int32' }], (a: tf.Tensor) => [
        tf.oneHot(a, depth),
        tf.oneHot(a, depth, 0.5, -2, 'float32'),
        tf.oneHot(a, depth, 1, 0, 'bool'),
      ]);
    }),
    runs(40),
  );
});

test('einsum', () => {
  const sizes: Record<string, number> = { a: 2, b: 3, i: 4, j: 5, k: 1, l: 6 };
  for (const equation of [
    'ij,jl->il',
    'ij,jl->li',
    'bij,bjl->bil',
    'bij,bjl->lbi',
    'bija,ajl->bil',
    'i,j->ij',
    'i,i->',
    'ij,ij->ij',
    'ijk,kl->ijl',
    'baij,bail->bajl',
    // These fall to tfjs-backend-cpu: one operand, a label summed alone.
    'ij->ji',
    'ijb,jl->il',
  ]) {
    const operands = equation.split('->')[0].split(',');
    fc.assert(
      fc.property(
        fc.tuple(
          ...operands.map(labels =>
            given(
              [...labels].map(label => sizes[label]),
              finite,
            ),
          ),
        ),
        // Sums of up to ten products of numbers to 64.
        inputs => agree(inputs, (...x: tf.Tensor[]) => tf.einsum(equation, ...x), 1e-4),
      ),
      runs(5),
    );
  }
});

test('messages along edges, with gradients', () => {
  const side = fc.integer({ min: 1, max: 5 });
  const cases = fc
    .record({
      batch: fc.constantFrom(1, 2),
      o: side,
      i: side,
      f: side,
      h: fc.constantFrom(1, 4, 7),
      ends: fc.nat(8),
    })
    .chain(({ batch, o, i, f, h, ends }) => {
      // Of either end: none, one for the whole batch, one per sample.
      const end = (kind: number, n: number) =>
        kind === 0 ? [] : [given([kind === 1 ? 1 : batch, n, h], finite)];
      const [outer, inner] = [ends % 3, Math.floor(ends / 3)];
      const shapes = [given([batch, o, i, f], finite), given([f, h], finite)];
      return fc.tuple(
        fc.constant([outer > 0, inner > 0]),
        fc.tuple(...shapes, ...end(outer, o), ...end(inner, i)),
      );
    });
  fc.assert(
    fc.property(cases, ([[outer, inner], inputs]) => {
      agree(
        inputs as Given[],
        (...x: tf.Tensor[]) => {
          const { value, grads } = tf.valueAndGrads((edges, weight, ...ends) => {
            const at = outer ? ends[0] : null;
            const to = inner ? ends[ends.length - 1] : null;
            return tf.mean(tf.square(edgeMessage(edges as never, weight as never, at as never, to as never)));
          })(x);
          return [value, ...grads];
        },
        // Means of squares of sums of up to seven products of numbers to 64.
        1e-4,
      );
    }),
    runs(60),
  );
});

test('the gradient of bilinear resizing, where tfjs-backend-cpu has it right', () => {
  for (const [height, width, corners] of [
    [7, 7, false],
    [2, 2, false],
    [9, 4, true],
    [1, 1, false],
  ] as const)
    fc.assert(
      fc.property(given([2, 4, 4, 3], finite), x =>
        agree(
          [x],
          (a: tf.Tensor4D) =>
            tf.grad(y => tf.square(tf.image.resizeBilinear(y as tf.Tensor4D, [height, width], corners)))(a),
          1e-4,
        ),
      ),
      runs(3),
    );
});

test.run();
