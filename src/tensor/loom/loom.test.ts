/** Every kernel of loom equals tfjs-backend-cpu's, over random shapes and values, NaN and infinities among them. */
import * as fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { agree, type Given, sizeOf, wave, withGradients } from '../../../property-tests/agreement.ts';
import { setThreadCount, statistics } from '../../compute/index.ts';
import { fused, startBackend, tf } from '../index.ts';

await startBackend({ prefer: 'cpu' });
await startBackend({ prefer: 'loom' });
setThreadCount(2);

// biome-ignore lint/suspicious/noExplicitAny: operators of many signatures
type Op = (...inputs: any[]) => any;
const ops = tf as unknown as Record<string, Op>;
const runs = (numRuns: number) => ({ numRuns, seed: 1 });

const finite = fc.float({ min: -8, max: 8, noNaN: true });
const strange = fc.oneof(
  { weight: 6, arbitrary: finite },
  fc.constantFrom(Number.NaN, Infinity, -Infinity, 0, -0, 1e-40, 3e38),
);

/** Numbers for a shape, from a few drawn ones: large tensors cost fast-check nothing. */
const filledWith = (shape: readonly number[], element: fc.Arbitrary<number>): fc.Arbitrary<Given> =>
  fc.array(element, { minLength: 13, maxLength: 13 }).map(seeds => ({
    shape,
    values: Float32Array.from(
      { length: sizeOf(shape) },
      (_, i) => seeds[i % 13] * (1 + (((i * 7919) % 101) - 50) / 200),
    ),
  }));
const shapes = fc.array(
  fc.oneof({ weight: 8, arbitrary: fc.integer({ min: 1, max: 9 }) }, fc.constantFrom(0, 17, 64)),
  {
    maxLength: 4,
  },
);
/** Two shapes that broadcast together. */
const broadcasting = shapes.chain(shape =>
  fc
    .tuple(
      fc.array(fc.constantFrom(0, 1, 2), { minLength: shape.length, maxLength: shape.length }),
      fc.nat(shape.length),
    )
    .map(([keep, drop]) => [
      shape.map((n, i) => (keep[i] === 1 ? 1 : n)),
      shape.map((n, i) => (keep[i] === 2 ? 1 : n)).slice(drop),
    ]),
);

const unary =
  'exp log sqrt rsqrt square neg abs relu sigmoid tanh erf reciprocal floor ceil round relu6 elu softplus sign'.split(
    ' ',
  );
test('unary functions', () => {
  fc.assert(
    fc.property(
      shapes.chain(s => filledWith(s, strange)),
      x => {
        for (const name of unary) agree([x], ops[name], 5e-6);
        agree([x], a => [
          tf.step(a, 0.5),
          tf.leakyRelu(a, 0.3),
          tf.clipByValue(a, -1, 2),
          tf.zerosLike(a),
          tf.onesLike(a),
        ]);
        agree([x], a => tf.cast(tf.greater(a, 0.5), 'float32'));
      },
    ),
    runs(25),
  );
  const large = {
    shape: [70_001],
    values: Float32Array.from({ length: 70_001 }, (_, i) => (i - 35_000) / 3000),
  };
  for (const name of unary) agree([large], ops[name], 5e-6);
});

const binary =
  'add sub mul div maximum minimum squaredDifference greater greaterEqual less lessEqual equal notEqual'.split(
    ' ',
  );
test('binary functions broadcast', () => {
  fc.assert(
    fc.property(
      broadcasting.chain(([a, b]) => fc.tuple(filledWith(a, strange), filledWith(b, strange))),
      ([a, b]) => {
        for (const name of binary) agree([a, b], ops[name]);
      },
    ),
    runs(40),
  );
  for (const [a, b] of [
    [[300, 211], [211]],
    [
      [300, 211],
      [300, 1],
    ],
    [[63_001], [1]],
  ]) {
    fc.assert(
      fc.property(filledWith(a, finite), filledWith(b, finite), (x, y) => agree([x, y], tf.sub)),
      runs(2),
    );
  }
});

test('select, cast, addN', () => {
  fc.assert(
    fc.property(
      shapes.chain(s => fc.tuple(filledWith(s, finite), filledWith(s, finite))),
      given => {
        agree(given, (a, b) => [tf.where(tf.greater(a, b), a, b), tf.addN([a, b, a]), tf.cast(a, 'int32')]);
      },
    ),
    runs(25),
  );
});

test('reductions over any axes', () => {
  const cases = fc
    .array(fc.constantFrom(1, 2, 3, 5, 17, 70), { minLength: 1, maxLength: 4 })
    .chain(shape => fc.tuple(filledWith(shape, finite), fc.subarray(shape.map((_, i) => i)), fc.boolean()));
  fc.assert(
    fc.property(cases, ([x, axes, keep]) => {
      for (const name of ['sum', 'mean', 'max', 'min']) agree([x], a => ops[name](a, axes, keep), 2e-4);
      agree([x], a => tf.prod(tf.add(1, tf.mul(a, 1e-3)), axes, keep), 1e-3);
    }),
    runs(40),
  );
  const strangeRow = { shape: [2, 5], values: [1, Number.NaN, 2, 3, 4, -Infinity, 1, 2, Infinity, 0] };
  for (const name of ['sum', 'max', 'min', 'mean']) agree([strangeRow], a => ops[name](a, 1));
});

test('softmax, and a sort that keeps the order of equals', () => {
  const rows = fc.tuple(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 1, max: 70 }));
  fc.assert(
    fc.property(
      rows.chain(s => filledWith(s, finite)),
      x => {
        agree([x], a => tf.softmax(a));
        agree([x], a => tf.logSoftmax(a), 1e-5);
        const { values, indices } = {
          values: (a: tf.Tensor) => tf.topk(a, x.shape[1]).values,
          indices: (a: tf.Tensor) => tf.topk(tf.round(a), Math.ceil(x.shape[1] / 2)).indices,
        };
        agree([x], values);
        agree([x], indices);
      },
    ),
    runs(20),
  );
});

test('matrix products: flags, batches, ragged edges, long sums', () => {
  const side = fc.oneof(fc.integer({ min: 1, max: 20 }), fc.constantFrom(0, 48, 63, 97));
  const cases = fc
    .record({
      m: side,
      n: side,
      k: side,
      ta: fc.boolean(),
      tb: fc.boolean(),
      batch: fc.constantFrom([[], []], [[3], [3]], [[9], [1]], [[1], [2]], [[2, 3], [3]]),
    })
    .chain(c =>
      fc.tuple(
        fc.constant(c),
        filledWith([...c.batch[0], ...(c.ta ? [c.k, c.m] : [c.m, c.k])], finite),
        filledWith([...c.batch[1], ...(c.tb ? [c.n, c.k] : [c.k, c.n])], finite),
      ),
    );
  fc.assert(
    fc.property(cases, ([c, a, b]) => {
      if (c.batch[0].length === c.batch[1].length || c.m * c.n * c.k > 0) {
        // Sums of k products of numbers to 64, in another order.
        agree([a, b], (x, y) => tf.matMul(x, y, c.ta, c.tb), 1e-3);
      }
    }),
    runs(60),
  );
  for (const [m, n, k] of [
    [20, 30, 4100],
    [200, 130, 330],
    [7, 513, 700],
  ]) {
    fc.assert(
      fc.property(filledWith([m, k], finite), filledWith([k, n], finite), (a, b) =>
        agree([a, b], tf.matMul, 1e-2),
      ),
      runs(1),
    );
  }
  const x = { shape: [13, 7], values: Float32Array.from({ length: 91 }, (_, i) => Math.sin(i)) };
  const w = { shape: [7, 9], values: Float32Array.from({ length: 63 }, (_, i) => Math.cos(i)) };
  const bias = { shape: [9], values: Float32Array.from({ length: 9 }, (_, i) => i - 4) };
  for (const activation of ['linear', 'relu', 'relu6', 'elu', 'sigmoid', 'leakyrelu'] as const) {
    agree([x, w, bias], (a, b, c) => tf.fused.matMul({ a, b, bias: c, activation }), 1e-5);
  }
});

test('kernels that move numbers', () => {
  const cases = fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 4 }).chain(shape =>
    fc.tuple(
      filledWith(shape, finite),
      fc.shuffledSubarray(
        shape.map((_, i) => i),
        { minLength: shape.length },
      ),
      fc.tuple(...shape.map(n => fc.nat(n - 1))),
      fc.array(fc.nat(shape[0] - 1), { minLength: 1, maxLength: 6 }),
    ),
  );
  fc.assert(
    fc.property(cases, ([x, perm, begin, rows]) => {
      const axis = perm[0];
      agree([x], a => tf.transpose(a, perm));
      agree([x], a => tf.slice(a, begin));
      agree([x], a =>
        tf.stridedSlice(
          a,
          begin,
          x.shape as number[],
          begin.map((_, i) => 1 + (i % 3)),
        ),
      );
      agree([x], a => [tf.concat([a, tf.neg(a), a], axis), ...tf.unstack(a, axis), tf.stack([a, a], axis)]);
      agree([x], a => [
        tf.pad(a, begin.map((b, i) => [b % 3, i % 2]) as [number, number][], 0.5),
        tf.tile(
          a,
          begin.map(b => 1 + (b % 3)),
        ),
      ]);
      agree([x], a => [tf.gather(a, tf.tensor1d(rows, 'int32')), tf.reverse(a, axis)]);
      const ids = Array.from({ length: x.shape[0] }, (_, i) => rows[i % rows.length]);
      agree([x], a => tf.unsortedSegmentSum(a, tf.tensor1d(ids, 'int32'), x.shape[0]), 1e-5);
    }),
    runs(50),
  );
  fc.assert(
    fc.property(filledWith([4, 63, 5, 16], finite), x =>
      agree([x], a => [tf.transpose(a, [0, 2, 1, 3]), tf.transpose(a, [3, 1, 0, 2])]),
    ),
    runs(1),
  );
  agree([{ shape: [2, 3, 4], values: Float32Array.from({ length: 24 }, (_, i) => i) }], a =>
    tf.gather(
      a,
      tf.tensor2d(
        [
          [0, 2],
          [1, 1],
        ],
        [2, 2],
        'int32',
      ),
      1,
      1,
    ),
  );
});

test('fused operators equal their plain forms, with gradients', () => {
  agree([wave([2, 5, 7], 0.7), wave([7, 9], 1.1), wave([9], 0.4)], withGradients(fused.linear), 1e-4);
  agree([wave([2, 5, 7], 0.7)], withGradients(fused.gelu), 1e-4);
  for (const shape of [
    [4, 7],
    [90, 64],
  ])
    agree(
      [wave(shape, 0.7), wave(shape.slice(1), 1), wave(shape.slice(1), 2)],
      withGradients(fused.layerNorm),
      1e-3,
    );
  for (const [b, t, s, c, heads] of [
    [2, 5, 5, 12, 3],
    [2, 33, 17, 48, 4],
    [1, 1, 1, 1, 1],
  ]) {
    const q = wave([b, t, c], 0.7);
    const k = wave([b, s, c], 1.7);
    const v = wave([b, s, c], 0.9);
    agree(
      [q, k, v],
      withGradients((x, y, z) => fused.attention(x, y, z, heads)),
      1e-3,
    );
    const mask = Array.from({ length: b * s }, (_, i) => (i < s ? i % 2 : 0));
    agree(
      [q, k, v],
      withGradients((x, y, z) => fused.attention(x, y, z, heads, tf.tensor2d(mask, [b, s], 'bool'))),
      1e-3,
    );
  }
});

test('gradients agree with differences', () => {
  // Central differences of float32 losses near 1 with a step of 1e-2: errors to about 1e-3 from rounding and curvature.
  const check = (f: Op, ...given: Given[]) => {
    tf.tidy(() => {
      const inputs = given.map(g => tf.tensor(Array.from(g.values), [...g.shape]));
      const loss = (x: tf.Tensor[]) => tf.mean(tf.square(f(...x)));
      const grads = tf.grads((...x: tf.Tensor[]) => loss(x))(inputs);
      inputs.forEach((input, which) => {
        const base = input.dataSync();
        const found = grads[which].dataSync();
        for (let i = 0; i < base.length; i += Math.max(1, Math.floor(base.length / 7))) {
          const at = (step: number) => {
            const moved = base.slice();
            moved[i] += step;
            return loss(inputs.map((x, j) => (j === which ? tf.tensor(moved, x.shape) : x))).dataSync()[0];
          };
          const expected = (at(1e-2) - at(-1e-2)) / 2e-2;
          assert.ok(
            Math.abs(found[i] - expected) < 3e-3 * Math.max(1, Math.abs(expected)),
            `input ${which}, element ${i}: ${found[i]}, not ${expected}`,
          );
        }
      });
    });
  };
  void tf.setBackend('loom');
  check(fused.linear, wave([5, 6], 1), wave([6, 4], 2), wave([4], 3));
  check(fused.gelu, wave([20], 1));
  check(fused.layerNorm, wave([4, 9], 1), wave([9], 2), wave([9], 3));
  check((q, k, v) => fused.attention(q, k, v, 2), wave([2, 5, 6], 1), wave([2, 4, 6], 2), wave([2, 4, 6], 3));
  check((x, w) => tf.conv2d(x, w, 2, 'same'), wave([2, 5, 5, 3], 1), wave([3, 3, 3, 4], 2));
  check(x => tf.avgPool(x, 3, 2, 'same'), wave([1, 5, 5, 3], 1));
  check(x => tf.softmax(x), wave([3, 7], 2));
  check((x, y) => tf.matMul(x, y, true, false), wave([2, 5, 6], 1), wave([2, 5, 4], 2));
  check(x => tf.gather(x, [2, 0, 2]), wave([4, 3], 1));
});

test('the number of threads changes no bit', () => {
  void tf.setBackend('loom');
  const once = () =>
    tf.tidy(() => {
      const ripple = (...shape: number[]) =>
        tf.sin(tf.reshape(tf.range(0, sizeOf(shape)), shape as [number])) as unknown as tf.Tensor4D;
      const x = ripple(4, 16, 16, 24);
      const f = (y: tf.Tensor) => {
        const c = tf.relu(tf.conv2d(y as tf.Tensor4D, ripple(3, 3, 24, 40), 1, 'same'));
        const t = tf.reshape(c, [4, 256, 40]) as tf.Tensor3D;
        const a = fused.attention(t, t, fused.gelu(t), 4);
        const n = fused.layerNorm(a, tf.ones([40]), tf.zeros([40]));
        return tf.mean(
          tf.square(tf.matMul(tf.reshape(n, [1024, 40]), ripple(40, 300) as unknown as tf.Tensor2D)),
        );
      };
      const { value, grad } = tf.valueAndGrad(f)(x);
      return [...value.dataSync(), ...grad.dataSync()];
    });
  const results = [1, 2, 3].map(threads => {
    setThreadCount(threads);
    return once();
  });
  setThreadCount(2);
  assert.equal(results[1], results[0]);
  assert.equal(results[2], results[0]);
});

test('training holds its memory, and an operation that throws releases what it held', () => {
  void tf.setBackend('loom');
  const w = tf.variable(tf.ones([8, 8]));
  const step = () =>
    tf.dispose(
      tf.variableGrads(() =>
        tf.mean(tf.square(fused.linear(tf.ones([4, 8]), w as unknown as tf.Tensor2D, null))),
      ),
    );
  for (let i = 0; i < 20; i++) step();
  const before = { ...statistics(), tensors: tf.memory().numTensors };
  for (let i = 0; i < 500; i++) step();
  assert.equal({ ...statistics(), tensors: tf.memory().numTensors }, before);
  const x = tf.ones([3, 4]);
  const held = statistics().held;
  assert.throws(() => tf.gather(x, tf.tensor1d([7], 'int32')), /not in/);
  assert.throws(() => tf.matMul(x, x));
  assert.throws(
    () => fused.attention(tf.ones([1, 2, 5]), tf.ones([1, 2, 5]), tf.ones([1, 2, 5]), 2),
    /multiple/,
  );
  assert.is(tf.memory().numTensors > 0, true);
  tf.dispose([x, w]);
  assert.ok(statistics().held <= held + 4096);
});

test('an Adam step in place equals its plain form and leaves sharers alone', () => {
  const settings = {
    beta1: 0.9,
    beta2: 0.99,
    epsilon: 1e-8,
    rate: 0.01,
    correction: 1.2,
    keep: 0.999,
    scale: 0.5,
  };
  const results = ['cpu', 'loom'].map(backend => {
    void tf.setBackend(backend);
    return tf.tidy(() => {
      const ripple = (f: number) => tf.sin(tf.mul(tf.range(0, 20_003), f));
      const [x, m, v] = [ripple(0.1), ripple(0.2), tf.square(ripple(0.3))].map(t => tf.variable(t));
      const before = tf.reshape(x, [1, -1]);
      const copy = before.dataSync();
      const state = { variables: [x], first: [m], second: [v], gradients: [ripple(0.4)] };
      for (let i = 0; i < 3; i++) fused.adamStep(state, settings);
      assert.equal(before.dataSync(), copy);
      const out = [x, m, v].map(t => t.dataSync());
      tf.dispose([x, m, v]);
      return out as never;
    }) as unknown as Float32Array[];
  });
  // A few roundings apart: numbers are below 2, and the division amplifies little.
  results[0].forEach((expected, i) => {
    assert.ok(expected.every((e, j) => Math.abs(e - results[1][i][j]) < 3e-6));
  });
});

test('two backends live in one process and pass tensors', () => {
  void tf.setBackend('cpu');
  const a = tf.tensor2d([
    [1, 2],
    [3, 4],
  ]);
  void tf.setBackend('loom');
  const b = tf.matMul(a, a);
  void tf.setBackend('cpu');
  const c = tf.add(b, a);
  void tf.setBackend('loom');
  assert.equal(Array.from(c.dataSync()), [8, 12, 18, 26]);
  assert.equal(tf.complex([1, 2], [3, 4]).arraySync(), [1, 3, 2, 4] as never);
  assert.equal(tf.tensor(['a', 'b']).arraySync(), ['a', 'b'] as never);
  tf.dispose([a, b, c]);
});

test.run();
