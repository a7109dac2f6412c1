// Runs with `npm run test:gpu`: on a card, or on software Vulkan.
import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { deviation } from '../../../property-tests/golden.ts';
import { startGpu } from '../../compute/index.ts';
import { edgeMessage, fused, randomStream, startBackend, tf } from '../index.ts';
import { kernels } from './kernels.ts';
import { startLoomGpu } from './start.ts';

await startBackend({ prefer: 'loom' });
const gpu = await startGpu();
await startLoomGpu(gpu);

type Operator = (...inputs: tf.Tensor[]) => tf.Tensor;
const draw = (shape: number[], name: string, seed: number) =>
  randomStream(seed, name).normals(tf.util.sizeFromShape(shape));

/** Value and gradients to all inputs, on one backend. */
async function numbersOf(backend: string, shapes: number[][], operator: Operator, seed: number) {
  await tf.setBackend(backend);
  const inputs = shapes.map((shape, i) => tf.tensor(draw(shape, `input/${i}`, seed), shape));
  const value = tf.tidy(() => operator(...inputs));
  const direction = tf.tensor(draw(value.shape, 'direction', seed), value.shape);
  const gradients = tf.tidy(() => tf.grads((...x) => tf.sum(tf.mul(operator(...x), direction)))(inputs));
  const numbers = await Promise.all([value, ...gradients].map(async x => (await x.data()) as Float32Array));
  tf.dispose([...inputs, value, direction, ...gradients]);
  return numbers;
}

async function assertAgrees(shapes: number[][], operator: Operator, seed: number) {
  const before = tf.memory().numTensors;
  const expected = await numbersOf('loom', shapes, operator, seed);
  const found = await numbersOf('loom-gpu', shapes, operator, seed);
  const again = await numbersOf('loom-gpu', shapes, operator, seed);
  for (const [i, numbers] of found.entries()) {
    // Float32 sums in another order: values 1e-5 of the largest, gradients 1e-4.
    assert.ok(
      deviation(numbers, expected[i]) < (i === 0 ? 1e-5 : 1e-4),
      `${i}: ${deviation(numbers, expected[i])}`,
    );
    assert.equal(again[i], numbers);
  }
  assert.is(tf.memory().numTensors, before);
}

const size = (max: number) => fc.integer({ min: 1, max });
const operators: Record<string, fc.Arbitrary<[number[][], Operator]>> = {
  linear: fc.tuple(size(5), size(70), size(70), size(70), fc.boolean()).map(([b, t, k, n, biased]) => [
    biased
      ? [[b, t, k], [k, n], [n]]
      : [
          [b, t, k],
          [k, n],
        ],
    (x, w, bias) => fused.linear(x, w as tf.Tensor2D, (bias as tf.Tensor1D) ?? null),
  ]),
  'layer norm': fc
    .tuple(size(40), fc.integer({ min: 2, max: 200 }))
    .map(([rows, width]) => [
      [[rows, width], [width], [width]],
      (x, gain, bias) => fused.layerNorm(x, gain as tf.Tensor1D, bias as tf.Tensor1D),
    ]),
  attention: fc.tuple(size(3), size(20), size(20), size(4), size(9)).map(([b, t, s, heads, d]) => [
    [
      [b, t, heads * d],
      [b, s, heads * d],
      [b, s, heads * d],
    ],
    (q, k, v) => fused.attention(q as tf.Tensor3D, k as tf.Tensor3D, v as tf.Tensor3D, heads),
  ]),
  'edge message': fc
    .tuple(size(3), size(9), size(9), size(6), size(20), fc.boolean(), fc.boolean())
    .map(([b, o, i, f, h, sharedOuter, sharedInner]) => [
      [
        [b, o, i, f],
        [f, h],
        [sharedOuter ? 1 : b, o, h],
        [sharedInner ? 1 : b, i, h],
      ],
      (e, w, outer, inner) =>
        edgeMessage(e as tf.Tensor4D, w as tf.Tensor2D, outer as tf.Tensor3D, inner as tf.Tensor3D),
    ]),
  product: fc
    .tuple(size(4), size(70), size(70), size(70), fc.boolean(), fc.boolean())
    .map(([b, m, k, n, turnA, turnB]) => [
      [turnA ? [b, k, m] : [b, m, k], turnB ? [b, n, k] : [b, k, n]],
      (x, y) => tf.matMul(x, y, turnA, turnB),
    ]),
  sum: fc.tuple(size(5), size(300), size(9)).map(([a, b, c]) => [[[a, b, c]], x => tf.sum(x, 1)]),
  softmax: fc.tuple(size(9), size(150)).map(([a, b]) => [[[a, b]], x => tf.softmax(x)]),
  'running sum': fc
    .tuple(size(4), size(30), size(4), fc.boolean(), fc.boolean())
    .map(([a, b, c, exclusive, reverse]) => [[[a, b, c]], x => tf.cumsum(x, 1, exclusive, reverse)]),
  'sum of many': fc
    .tuple(size(12), size(40))
    .map(([count, n]) => [Array.from({ length: count + 1 }, () => [n]), (...x) => tf.addN(x)]),
  'gathered rows': fc
    .tuple(fc.array(fc.integer({ min: 0, max: 4 }), { minLength: 1, maxLength: 20 }), size(9))
    .map(([rows, n]) => [[[5, n]], x => tf.gather(x, tf.tensor1d(rows, 'int32'))]),
  ...Object.fromEntries(
    Object.entries({
      gelu: fused.gelu,
      relu: tf.relu,
      tanh: tf.tanh,
      sigmoid: tf.sigmoid,
      elu: tf.elu,
      expm1: tf.expm1,
      erf: tf.erf,
    }).map(([name, operator]) => [
      name,
      size(300).map((n): [number[][], Operator] => [[[n]], operator as Operator]),
    ]),
  ),
};

for (const [name, cases] of Object.entries(operators)) {
  test(`${name} is that of the processor, with its gradients, and repeats bit for bit`, async () => {
    await fc.assert(
      fc.asyncProperty(cases, fc.integer({ min: 0, max: 999 }), ([shapes, operator], seed) =>
        assertAgrees(shapes, operator, seed),
      ),
      { numRuns: 8 },
    );
  });
}

test('a key that is closed is not seen, and a sample that sees none gives zeros', async () => {
  const values: Float32Array[] = [];
  for (const backend of ['loom', 'loom-gpu']) {
    await tf.setBackend(backend);
    const [q, k, v] = ['q', 'k', 'v'].map(name => tf.tensor3d(draw([2, 5, 8], name, 1), [2, 5, 8]));
    const mask = tf.tensor2d([1, 0, 1, 1, 0, 0, 0, 0, 0, 0], [2, 5], 'bool');
    const out = fused.attention(q, k, v, 2, mask);
    values.push((await out.data()) as Float32Array);
    tf.dispose([q, k, v, mask, out]);
  }
  assert.ok(deviation(values[1], values[0]) < 1e-5);
  assert.ok(values[1].subarray(40).every(x => x === 0));
});

test('what is not finite stays so, and small numbers keep their digits', async () => {
  await tf.setBackend('loom-gpu');
  const inputs = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 1e-6, -1e-6, -0.2, 3];
  const functions: [string, Operator, (x: number) => number][] = [
    ['relu', tf.relu, x => (x < 0 ? 0 : x)],
    ['elu', tf.elu, x => (x > 0 ? x : Math.expm1(x))],
    ['expm1', tf.expm1, Math.expm1],
    ['log1p', tf.log1p, Math.log1p],
    ['isNaN', tf.isNaN, x => Number(Number.isNaN(x))],
    ['isFinite', tf.isFinite, x => Number(Number.isFinite(x))],
    ['isInf', tf.isInf, x => Number(Math.abs(x) === Number.POSITIVE_INFINITY)],
  ];
  for (const [name, operator, expected] of functions) {
    const y = tf.tidy(() => operator(tf.tensor1d(inputs)));
    const found = await y.data();
    for (const [i, x] of inputs.entries()) {
      const wanted = expected(x);
      const same = Object.is(wanted, found[i]) || Math.abs(found[i] - wanted) <= 1e-5 * Math.abs(wanted);
      assert.ok(same, `${name}(${x}): ${found[i]}, not ${wanted}`);
    }
    y.dispose();
  }
});

test('Adam and the norm of gradients are those of the processor', async () => {
  const results: Float32Array[][] = [];
  for (const backend of ['loom', 'loom-gpu']) {
    await tf.setBackend(backend);
    const [variable, first, second] = ['value', 'first', 'second'].map(name =>
      tf.variable(tf.abs(tf.tensor1d(draw([1000], name, 2)))),
    );
    const gradient = tf.tensor1d(draw([1000], 'gradient', 2));
    const settings = {
      beta1: 0.9,
      beta2: 0.999,
      epsilon: 1e-8,
      rate: 0.01,
      correction: 1.5,
      keep: 0.99,
      scale: 0.5,
    };
    // A clone keeps its numbers.
    const clone = variable.clone();
    for (let i = 0; i < 3; i++) fused.adamStep(variable, first, second, gradient, settings);
    const norm = fused.squaredNorm([gradient, variable]);
    results.push(
      await Promise.all(
        [variable, first, second, norm, clone].map(async x => (await x.data()) as Float32Array),
      ),
    );
    tf.dispose([variable, first, second, gradient, clone, norm]);
  }
  results[1].forEach((numbers, i) => {
    assert.ok(deviation(numbers, results[0][i]) < 1e-5, `${i}`);
  });
});

test('a read at once is refused, and one under way survives the tensor', async () => {
  await tf.setBackend('loom-gpu');
  const x = tf.tidy(() => tf.square(tf.tensor1d([1, 2, 3])));
  assert.throws(() => x.dataSync(), /use data\(\) instead/);
  const read = x.data();
  x.dispose();
  assert.equal(Array.from(await read), [1, 4, 9]);
});

test('a shader that a driver refuses is an error of the read, with its operator', async () => {
  await tf.setBackend('loom-gpu');
  const kernel = kernels.get('Relu')!;
  kernels.set('Relu', ({ x }, _, backend) => {
    const y = backend.output(x.shape);
    backend.compute({ label: 'spoiled', code: 'fn main( {' }, [x], [y], undefined, [1]);
    return y;
  });
  try {
    const y = tf.relu(tf.tensor1d([1]));
    try {
      await y.data();
      assert.unreachable();
    } catch (error) {
      assert.match((error as Error).message, /the GPU refused in spoiled/);
    }
    y.dispose();
  } finally {
    kernels.set('Relu', kernel);
    gpu.faults.forgive();
  }
});

test.run();
