/** Every gradient of loom beside central differences of a plain float64 definition. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { build, checkGradients as check, type Doubles, spread } from '../../../property-tests/differences.ts';
import * as plain from '../../../property-tests/float64.ts';
import * as blocks from '../blocks.ts';
import { fused, startBackend, tf } from '../index.ts';

await startBackend({ prefer: 'loom' });

const { map, zip } = plain;
const positive = (x: Doubles) => map(x, v => Math.fround(Math.abs(v) + 0.3));
const sums = (numbers: number[]) => numbers.reduce((a, b) => a + b, 0);

test('matrix products with every flag, batched and broadcast', () => {
  for (const [ta, tb] of [
    [false, false],
    [true, false],
    [false, true],
    [true, true],
  ])
    for (const [left, right] of [
      [[], []],
      [[3], [3]],
      [
        [2, 2],
        [2, 2],
      ],
      [[3], [1]],
      [[1], [2]],
    ])
      check(
        `matMul ${ta} ${tb} [${left}] [${right}]`,
        (a: tf.Tensor, b: tf.Tensor) => tf.matMul(a, b, ta, tb),
        (a, b) => plain.matMul(a, b, ta, tb),
        [spread([...left, ...(ta ? [5, 4] : [4, 5])]), spread([...right, ...(tb ? [7, 5] : [5, 7])], 2)],
      );
});

test('linear layers, with the activations that follow them', () => {
  const inputs = [spread([2, 3, 5]), spread([5, 9], 2), spread([9], 5)];
  check('linear', fused.linear as never, plain.linear, inputs);
  check(
    'linear without bias',
    (x: never, w: never) => fused.linear(x, w, null),
    plain.linear,
    inputs.slice(0, 2),
  );
  const activations = {
    relu: [tf.relu, (x: number) => Math.max(x, 0)],
    gelu: [fused.gelu, plain.gelu],
    silu: [(x: tf.Tensor) => tf.mul(x, tf.sigmoid(x)), (x: number) => x * plain.sigmoid(x)],
  } as const;
  for (const [name, [activation, formula]] of Object.entries(activations))
    check(
      `linear and ${name}`,
      (x: never, w: never, b: never) => activation(fused.linear(x, w, b)),
      (x, w, b) => map(plain.linear(x, w, b), formula),
      inputs,
    );
  for (const [activation, formula] of [
    ['linear', (x: number) => x],
    ['relu', (x: number) => Math.max(x, 0)],
  ] as const)
    check(
      `fused.matMul, ${activation}`,
      (a: tf.Tensor, b: tf.Tensor, bias: tf.Tensor) => tf.fused.matMul({ a, b, bias, activation }),
      (a, b, bias) => map(plain.linear(a, b, bias), formula),
      [spread([4, 5]), spread([5, 9], 2), spread([9], 3)],
    );
});

test('convolutions', () => {
  for (const [taps, stride, pad] of [
    [[3, 3], 1, 'same'],
    [[2, 3], 2, 'same'],
    [[3, 2], 2, 'valid'],
    [[1, 1], 1, 'same'],
  ] as const) {
    const window = { taps, stride, pad };
    const x = spread([2, 5, 4, 3]);
    const name = JSON.stringify(window);
    check(
      `conv2d ${name}`,
      (a: tf.Tensor4D, w: tf.Tensor4D) => tf.conv2d(a, w, stride, pad),
      (a, w) => plain.conv2d(a, w, window),
      [x, spread([...taps, 3, 5], 2)],
    );
    check(
      `depthwiseConv2d ${name}`,
      (a: tf.Tensor4D, w: tf.Tensor4D) => tf.depthwiseConv2d(a, w, stride, pad),
      (a, w) => plain.depthwise(a, w, window),
      [x, spread([...taps, 3, 1], 2)],
    );
  }
  check(
    'fused.conv2d',
    (x: tf.Tensor4D, filter: tf.Tensor4D, bias: tf.Tensor) =>
      tf.fused.conv2d({ x, filter, bias, strides: 1, pad: 'same', activation: 'relu' }),
    (x, w, bias) =>
      map(
        zip(plain.conv2d(x, w, { taps: [3, 3], stride: 1, pad: 'same' }), bias, (a, b) => a + b),
        v => Math.max(v, 0),
      ),
    [spread([1, 4, 4, 2]), spread([3, 3, 2, 4], 2), spread([4], 3)],
  );
});

test('pools and resizing', () => {
  for (const window of [
    { taps: [2, 2], stride: 2, pad: 'valid' },
    { taps: [3, 3], stride: 2, pad: 'same' },
    { taps: [2, 3], stride: 1, pad: 'same' },
  ] as const)
    for (const kind of ['max', 'avg'] as const)
      check(
        `${kind}Pool ${JSON.stringify(window)}`,
        (x: tf.Tensor4D) => tf[`${kind}Pool`](x, window.taps as [number, number], window.stride, window.pad),
        x => plain.pool(kind, x, window),
        [spread([2, 5, 4, 5])],
      );
  for (const size of [
    [7, 5],
    [2, 9],
    [1, 1],
  ] as [number, number][])
    for (const convention of ['plain', 'corners', 'centres'] as const)
      check(
        `resizeBilinear ${size} ${convention}`,
        (x: tf.Tensor4D) =>
          tf.image.resizeBilinear(x, size, convention === 'corners', convention === 'centres'),
        x => plain.resizeBilinear(x, size, convention),
        [spread([2, 4, 3, 5])],
      );
});

test('normalisation, softmax and attention', () => {
  check('layerNorm', fused.layerNorm as never, plain.layerNorm, [
    spread([2, 3, 9]),
    spread([9], 2),
    spread([9], 3),
  ]);
  check('softmax', (x: tf.Tensor) => tf.softmax(x), plain.softmax, [spread([3, 7])]);
  check(
    'logSoftmax',
    (x: tf.Tensor) => tf.logSoftmax(x),
    x => map(plain.softmax(x), Math.log),
    [spread([3, 7])],
  );
  for (const [t, s, heads] of [
    [4, 4, 1],
    [5, 3, 2],
    [1, 6, 3],
  ]) {
    const inputs = [spread([2, t, 6]), spread([2, s, 6], 2), spread([2, s, 6], 3)];
    check(
      `attention ${t} ${s} ${heads}`,
      (q: never, k: never, v: never) => fused.attention(q, k, v, heads),
      (q, k, v) => plain.attention(q, k, v, heads),
      inputs,
    );
    // The second sample sees nothing.
    const open = (b: number, j: number) => b === 0 && j % 2 === 0;
    const mask = Array.from(build([2, s], ([b, j]) => (open(b, j) ? 1 : 0)).values);
    check(
      `masked attention ${t} ${s} ${heads}`,
      (q: never, k: never, v: never) => fused.attention(q, k, v, heads, tf.tensor2d(mask, [2, s], 'bool')),
      (q, k, v) => plain.attention(q, k, v, heads, open),
      inputs,
    );
  }
});

test('whole blocks of a transformer, recorded as one operator', () => {
  const hidden = [spread([5, 9], 2), spread([9], 5), spread([9, 4], 3), spread([4], 7)];
  check(
    'mlp',
    (x: never, w1: never, b1: never, w2: never, b2: never) =>
      blocks.mlp(x, { weight: w1, bias: b1 }, { weight: w2, bias: b2 }),
    (x, w1, b1, w2, b2) => plain.linear(map(plain.linear(x, w1, b1), plain.gelu), w2, b2),
    [spread([2, 3, 5]), ...hidden],
  );
  const layers = [2, 3, 4, 5].map(seed => spread([6, 6], seed));
  const biases = [6, 7, 8].map(seed => spread([6], seed));
  const weigh = ([wq, wk, wv, wo, bq, bv, bo]: tf.Tensor[]) =>
    ({
      q: { weight: wq, bias: bq },
      k: { weight: wk, bias: null },
      v: { weight: wv, bias: bv },
      out: { weight: wo, bias: bo },
    }) as unknown as blocks.AttentionWeights;
  const formula = (x: Doubles, y: Doubles, [wq, wk, wv, wo, bq, bv, bo]: Doubles[]) =>
    plain.linear(
      plain.attention(plain.linear(x, wq, bq), plain.linear(y, wk), plain.linear(y, wv, bv), 2),
      wo,
      bo,
    );
  check(
    'self-attention',
    (x: never, ...weights: tf.Tensor[]) => blocks.attentionBlock(x, x, weigh(weights), 2),
    (x, ...weights) => formula(x, x, weights),
    [spread([2, 4, 6]), ...layers, ...biases],
  );
  check(
    'cross-attention',
    (x: never, y: never, ...weights: tf.Tensor[]) => blocks.attentionBlock(x, y, weigh(weights), 2),
    (x, y, ...weights) => formula(x, y, weights),
    [spread([2, 4, 6]), spread([2, 3, 6], 9), ...layers, ...biases],
  );
});

test('functions of one number', () => {
  const anywhere: Record<string, (x: number) => number> = {
    exp: Math.exp,
    tanh: Math.tanh,
    sigmoid: plain.sigmoid,
    erf: plain.erf,
    square: x => x * x,
    neg: x => -x,
    abs: Math.abs,
    relu: x => Math.max(x, 0),
    relu6: x => Math.min(Math.max(x, 0), 6),
    elu: x => (x < 0 ? Math.expm1(x) : x),
    softplus: x => Math.log1p(Math.exp(x)),
    sin: Math.sin,
    cos: Math.cos,
    log1p: x => Math.log1p(Math.abs(x)),
  };
  const operators = tf as unknown as Record<string, (x: tf.Tensor) => tf.Tensor>;
  for (const [name, formula] of Object.entries(anywhere))
    check(
      name,
      (x: tf.Tensor) => operators[name](name === 'log1p' ? tf.abs(x) : x),
      x => map(x, formula),
      [spread([3, 13])],
    );
  check('gelu', fused.gelu as never, x => map(x, plain.gelu), [spread([3, 13])]);
  for (const [name, formula] of [
    ['log', Math.log],
    ['reciprocal', (x: number) => 1 / x],
    ['sqrt', Math.sqrt],
    ['rsqrt', (x: number) => 1 / Math.sqrt(x)],
  ] as const)
    check(name, operators[name], x => map(x, formula), [positive(spread([3, 13]))]);
  check(
    'leakyRelu, clipByValue',
    (x: tf.Tensor) => [tf.leakyRelu(x, 0.3), tf.clipByValue(x, -1, 0.7)],
    x => [map(x, v => Math.max(v, 0.3 * v)), map(x, v => Math.min(Math.max(v, -1), 0.7))],
    [spread([3, 13])],
  );
});

test('functions of two numbers broadcast', () => {
  const formulas: Record<string, (x: number, y: number) => number> = {
    add: (x, y) => x + y,
    sub: (x, y) => x - y,
    mul: (x, y) => x * y,
    div: (x, y) => x / y,
    maximum: Math.max,
    minimum: Math.min,
    squaredDifference: (x, y) => (x - y) ** 2,
    pow: (x, y) => x ** y,
  };
  const operators = tf as unknown as Record<string, (x: tf.Tensor, y: tf.Tensor) => tf.Tensor>;
  for (const [a, b] of [
    [
      [3, 5],
      [3, 5],
    ],
    [[3, 5], [5]],
    [
      [3, 1, 4],
      [2, 1],
    ],
    [[], [6]],
  ])
    for (const [name, formula] of Object.entries(formulas))
      check(`${name} [${a}] [${b}]`, operators[name] as never, (x, y) => zip(x, y, formula), [
        name === 'pow' ? positive(spread(a)) : spread(a),
        positive(spread(b, 2)),
      ]);
});

test('the gradient of a gradient, and nothing left behind', () => {
  const before = tf.memory().numTensors;
  tf.tidy(() => {
    const x = tf.tensor1d([-1.5, 0.25, 2]);
    const cubed = (y: tf.Tensor) => tf.sum(tf.mul(tf.square(y), y)) as tf.Scalar;
    // d/dx sum (3 x^2)^2 = 36 x^3. A few operations on small numbers: 1e-5 of the value is room enough.
    const outer = tf
      .grad(y => tf.sum(tf.square(tf.grad(cubed)(y))))(x)
      .dataSync();
    x.dataSync().forEach((v, i) => {
      assert.ok(Math.abs(outer[i] - 36 * v ** 3) <= 1e-5 * Math.abs(36 * v ** 3));
    });
  });
  assert.is(tf.memory().numTensors, before);
});

test('reductions over any axes', () => {
  const formulas: Record<string, (numbers: number[]) => number> = {
    sum: sums,
    mean: numbers => sums(numbers) / numbers.length,
    max: numbers => Math.max(...numbers),
    min: numbers => Math.min(...numbers),
    prod: numbers => numbers.reduce((a, b) => a * b, 1),
  };
  const operators = tf as unknown as Record<string, (x: tf.Tensor, axes: number[]) => tf.Tensor>;
  for (const [name, formula] of Object.entries(formulas))
    for (const axes of [[0], [2], [0, 2], [1, 2], [0, 1, 2]])
      check(
        `${name} over ${axes}`,
        (x: tf.Tensor) => operators[name](x, axes),
        x => plain.reduce(x, axes, formula),
        [spread([2, 3, 4])],
      );
});

test.run();
