// Runs with `npm run test:gpu`: on a card, or on software Vulkan.
import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { deviation } from '../../../property-tests/golden.ts';
import { GpuError, startGpu } from '../../compute/index.ts';
import { attentionBlock, mlp } from '../blocks.ts';
import { edgeMessage, fused, randomStream, startBackend, tf } from '../index.ts';
import { kernels } from './kernels.ts';
import { startLoomGpu } from './start.ts';

await startBackend({ prefer: 'loom' });
const gpu = await startGpu();
await startLoomGpu(gpu);

/** Kernels that gave what a test below compares with the processor. */
const ran = new Set<string>();
for (const [name, kernel] of kernels) {
  kernels.set(name, {
    ...kernel,
    run: (...given) => {
      const out = kernel.run(...given);
      if (out) ran.add(name);
      return out;
    },
  });
}

type Operator = (...inputs: tf.Tensor[]) => tf.Tensor;
const draw = (shape: number[], name: string, seed: number) =>
  randomStream(seed, name).normals(tf.util.sizeFromShape(shape));

/** What is done to the inputs' numbers before. */
type Spoil = (numbers: Float32Array, input: number) => void;

/** Value and gradients to all inputs, on one backend. */
async function numbersOf(
  backend: string,
  shapes: number[][],
  operator: Operator,
  seed: number,
  spoil: Spoil,
) {
  await tf.setBackend(backend);
  const inputs = shapes.map((shape, i) => {
    const numbers = draw(shape, `input/${i}`, seed);
    spoil(numbers, i);
    return tf.tensor(numbers, shape);
  });
  const value = tf.tidy(() => operator(...inputs));
  const direction = tf.tensor(draw(value.shape, 'direction', seed), value.shape);
  const gradients = tf.tidy(() => tf.grads((...x) => tf.sum(tf.mul(operator(...x), direction)))(inputs));
  const numbers = await Promise.all([value, ...gradients].map(async x => (await x.data()) as Float32Array));
  tf.dispose([...inputs, value, direction, ...gradients]);
  return numbers;
}

/** NaN and infinities where they are expected; elsewhere within `limit` of the largest number. */
function assertSame(found: ArrayLike<number>, expected: ArrayLike<number>, limit: number, what: string) {
  let largest = 0;
  let error = 0;
  assert.is(found.length, expected.length);
  for (let i = 0; i < expected.length; i++) {
    if (!Number.isFinite(expected[i]) || !Number.isFinite(found[i])) {
      assert.ok(Object.is(found[i], expected[i]), `${what}[${i}]: ${found[i]}, not ${expected[i]}`);
      continue;
    }
    largest = Math.max(largest, Math.abs(expected[i]));
    error = Math.max(error, Math.abs(found[i] - expected[i]));
  }
  assert.ok(error <= limit * largest, `${what}: ${error / largest} of ${limit}`);
}

async function assertAgrees(shapes: number[][], operator: Operator, seed: number, spoil: Spoil = () => {}) {
  const before = tf.memory().numTensors;
  const expected = await numbersOf('loom', shapes, operator, seed, spoil);
  const found = await numbersOf('loom-gpu', shapes, operator, seed, spoil);
  const again = await numbersOf('loom-gpu', shapes, operator, seed, spoil);
  for (const [i, numbers] of found.entries()) {
    // Float32 sums in another order: values 1e-5 of the largest, gradients 1e-4.
    assertSame(numbers, expected[i], i === 0 ? 1e-5 : 1e-4, i === 0 ? 'value' : `gradient ${i}`);
    assertSame(again[i], numbers, 0, 'repeated');
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
    // Two or three numbers that lie close together would be divided by a variance that is all rounding.
    .tuple(size(40), fc.integer({ min: 8, max: 200 }))
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
  MLP: fc.tuple(size(3), size(9), size(20), size(30), size(20)).map(([b, t, k, h, n]) => [
    [[b, t, k], [k, h], [h], [h, n], [n]],
    (x, w1, b1, w2, b2) =>
      mlp(
        // Away from where GELU's slope rounds to 0: infinity times that is NaN on one side only.
        tf.mul(x, 0.1),
        { weight: w1 as tf.Tensor2D, bias: b1 as tf.Tensor1D },
        { weight: w2 as tf.Tensor2D, bias: b2 as tf.Tensor1D },
      ),
  ]),
  'attention with its projections': fc
    .tuple(size(3), size(9), size(9), size(4), size(6), fc.boolean())
    .map(([b, t, s, heads, d, own]) => {
      const width = heads * d;
      const square = [width, width];
      const layers = [square, [width], square, square, [width], square, [width]];
      const tokens = [b, t, width];
      return [
        own ? [tokens, ...layers] : [tokens, [b, s, width], ...layers],
        (x, ...rest) => {
          const memory = own ? x : rest.shift()!;
          const [wq, bq, wk, wv, bv, wo, bo] = rest;
          const layer = (weight: tf.Tensor, bias: tf.Tensor | null) => ({
            weight: weight as tf.Tensor2D,
            bias: bias as tf.Tensor1D | null,
          });
          const weights = { q: layer(wq, bq), k: layer(wk, null), v: layer(wv, bv), out: layer(wo, bo) };
          return attentionBlock(x as tf.Tensor3D, memory as tf.Tensor3D, weights, heads);
        },
      ];
    }),
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
      // Several: alone, a number far out has a slope that is all rounding.
      fc.integer({ min: 8, max: 300 }).map((n): [number[][], Operator] => [[[n]], operator as Operator]),
    ]),
  ),
};

const anySeed = fc.integer({ min: 0, max: 999 });

for (const [name, cases] of Object.entries(operators)) {
  test(`${name} is that of the processor, with its gradients, and repeats bit for bit`, async () => {
    await fc.assert(
      fc.asyncProperty(cases, anySeed, ([shapes, operator], seed) => assertAgrees(shapes, operator, seed)),
      { numRuns: 8 },
    );
  });

  test(`${name} has NaN and infinities where the processor has them`, async () => {
    const bad = fc.constantFrom(Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY);
    await fc.assert(
      fc.asyncProperty(cases, anySeed, bad, fc.nat(), fc.nat(), ([shapes, operator], seed, x, input, at) =>
        assertAgrees(shapes, operator, seed, (numbers, i) => {
          if (i === input % shapes.length) numbers[at % numbers.length] = x;
        }),
      ),
      { numRuns: 10 },
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

/** Numbers of many shapes, some more than a dispatch takes, some more than a thread adds. */
const SHAPES = [
  [1000],
  [3, 5],
  [1],
  [40, 30],
  [7],
  [2, 2, 2],
  [300],
  [64],
  [65],
  [9],
  [2],
  [31],
  [5],
  [1000],
  [8],
  [4],
];

/** A few steps of Adam with clipping and a moving average: what training does, and what it leaves. */
async function optimised(backend: string, spoilt?: number) {
  await tf.setBackend(backend);
  const of = (name: string) =>
    SHAPES.map((shape, i) =>
      tf.tidy(() => tf.variable(tf.abs(tf.tensor(draw(shape, `${name}/${i}`, 2), shape)))),
    );
  const [variables, first, second, averages] = ['value', 'first', 'second', 'average'].map(of);
  const settings = { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, rate: 0.01, correction: 1.5, keep: 0.99 };
  // A clone keeps its numbers.
  const clone = variables[0].clone();
  let before: tf.Scalar | undefined;
  const norms: tf.Tensor[] = [];
  for (let step = 0; step < 3; step++) {
    const gradients = SHAPES.map((shape, i) => tf.tensor(draw(shape, `gradient/${step}/${i}`, 2), shape));
    const squared = fused.squaredNorm(gradients);
    const loss = tf.scalar(step === spoilt ? Number.NaN : 1);
    let scale: number | tf.Scalar;
    if (fused.stepsUnread()) {
      scale = fused.clipScale(squared, loss, 2, before);
      before?.dispose();
      before = scale;
    } else {
      scale = Math.min(1, 2 / Math.sqrt((await squared.data())[0]));
    }
    // The processor stops by itself.
    if (typeof scale !== 'number' || spoilt === undefined || step < spoilt) {
      fused.adamStep({ variables, first, second, gradients }, { ...settings, scale });
      fused.averageStep(averages, variables, 0.3, typeof scale === 'number' ? undefined : scale);
    }
    norms.push(squared);
    tf.dispose([...gradients, loss]);
  }
  const all = [...variables, ...first, ...second, ...averages, ...norms, clone];
  const numbers = await Promise.all(all.map(async x => (await x.data()) as Float32Array));
  tf.dispose([...all, ...(before ? [before] : [])]);
  return numbers;
}

test('norm, clipping, Adam and moving averages are those of the processor; nothing moves after a loss that is not finite', async () => {
  for (const spoilt of [undefined, 1]) {
    const before = tf.memory().numTensors;
    const [expected, found, again] = [
      await optimised('loom', spoilt),
      await optimised('loom-gpu', spoilt),
      await optimised('loom-gpu', spoilt),
    ];
    for (const [i, numbers] of found.entries()) {
      // Three steps of Adam, whose division amplifies the rounding of the norm a little.
      assertSame(numbers, expected[i], 1e-5, `${i}`);
      assertSame(again[i], numbers, 0, 'repeated');
    }
    assert.is(tf.memory().numTensors, before);
  }
});

test('where all shaders are refused that something can take the place of, operators are still those of the processor', async () => {
  const needed = new Set(
    [...kernels.values()].flatMap(kernel => (kernel.needed ? [...kernel.shaders(gpu.report)] : [])),
  );
  const compile = gpu.program.bind(gpu);
  gpu.program = (label, code) =>
    [...needed].some(shader => shader.code === code)
      ? compile(label, code)
      : Promise.reject(new GpuError('refused', `${label}: its shader does not compile`));
  const { error } = console;
  console.error = () => {};
  const before = new Set(ran);
  ran.clear();
  try {
    await startLoomGpu(gpu);
    for (const cases of Object.values(operators)) {
      await fc.assert(
        fc.asyncProperty(cases, anySeed, ([shapes, operator], seed) => assertAgrees(shapes, operator, seed)),
        { numRuns: 3 },
      );
    }
    assert.ok(
      [...ran].every(name => kernels.get(name)!.needed),
      [...ran].join(),
    );
  } finally {
    gpu.program = compile;
    console.error = error;
    for (const name of before) ran.add(name);
    await startLoomGpu(gpu);
  }
});

test('every kernel of the registry has been compared with the processor', () => {
  assert.equal(
    [...kernels.keys()].filter(name => !ran.has(name)),
    [],
  );
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
  kernels.set('Relu', {
    ...kernel,
    run: ({ x }, _, backend) => {
      const y = backend.output(x.shape);
      backend.compute({ label: 'spoiled', code: 'fn main( {' }, [x], [y], undefined, [1]);
      return y;
    },
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
