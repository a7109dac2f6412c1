/** Every kernel gives the same bits with 1, 2 and 3 threads. */
import { createHash } from 'node:crypto';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { loomOnly } from '../../../property-tests/loom-only.ts';
import { setThreadCount } from '../../compute/index.ts';
import * as blocks from '../blocks.ts';
import { edgeMessage, fused, tf } from '../index.ts';
import { ownKernels } from './kernels.ts';

const loomTest = await loomOnly();

const wave = (...shape: number[]) => {
  const size = shape.reduce((a, b) => a * b, 1);
  return tf.tensor(
    Float32Array.from({ length: size }, (_, i) => 2 * Math.sin(0.7 * i + shape.length)),
    shape,
  ) as never;
};

/** The value of f and its gradients, each output weighted by a wave. */
const withGradients = (f: (...x: never[]) => tf.Tensor, ...inputs: tf.Tensor[]): tf.Tensor[] => {
  const { value, grads } = tf.valueAndGrads((...x: tf.Tensor[]) => {
    const y = f(...(x as never[]));
    return tf.sum(tf.mul(y, wave(...y.shape)));
  })(inputs);
  return [value, ...grads];
};

/** Sizes above those at which kernels are split into bands, and not multiples of the bands. */
const cases: Record<string, () => tf.Tensor[]> = {
  unary: () => {
    const x = wave(150_003) as tf.Tensor;
    const functions =
      'exp log sqrt rsqrt square neg abs relu sigmoid tanh erf reciprocal floor ceil round relu6 elu softplus sign sin cos log1p expm1 selu isNaN isInf isFinite zerosLike onesLike step leakyRelu';
    const operators = tf as unknown as Record<string, (x: tf.Tensor) => tf.Tensor>;
    return [
      ...functions.split(' ').map(name => operators[name](x)),
      tf.clipByValue(x, -1, 1),
      tf.cast(x, 'int32'),
    ];
  },
  'gradients of unary functions': () =>
    [tf.relu, tf.tanh, tf.sigmoid, tf.elu, fused.gelu].flatMap(f => withGradients(f as never, wave(150_003))),
  binary: () => {
    const [x, y] = [wave(601, 267), wave(267)];
    const functions =
      'add sub mul div maximum minimum squaredDifference greater greaterEqual less lessEqual equal notEqual pow prelu';
    const operators = tf as unknown as Record<string, (x: tf.Tensor, y: tf.Tensor) => tf.Tensor>;
    const p = tf.greater(x, 0);
    const q = tf.less(x, 1);
    return [
      ...functions.split(' ').map(name => operators[name](x, name === 'pow' || name === 'prelu' ? x : y)),
      ...[tf.logicalAnd(p, q), tf.logicalOr(p, q), tf.logicalNot(p)],
      ...[tf.where(p, x, tf.neg(x)), tf.addN([x, x]), tf.cast(p, 'float32'), tf.fill([601, 267], 2)],
    ];
  },
  reductions: () => {
    const x = wave(61, 83, 37) as tf.Tensor;
    return [0, 1, 2, [0, 1], [1, 2], [0, 2], [0, 1, 2]].flatMap(axes => [
      tf.sum(x, axes),
      tf.mean(x, axes),
      tf.max(x, axes),
      tf.min(x, axes),
      tf.prod(x, axes),
    ]);
  },
  softmax: () => withGradients(x => tf.softmax(x), wave(1907, 63)),
  'matrix products': () => [
    ...[true, false].flatMap(t =>
      withGradients((a, b) => tf.matMul(a, b, t, t), wave(211, 211), wave(211, 211)),
    ),
    ...withGradients((a, b) => tf.matMul(a, b), wave(9, 63, 48), wave(9, 48, 63)),
    ...withGradients((a, b) => tf.matMul(a, b), wave(40, 5000), wave(5000, 24)),
    tf.fused.matMul({ a: wave(130, 97), b: wave(97, 130), bias: wave(130), activation: 'elu' }),
    tf.einsum('bij,bkj->ibk', wave(9, 63, 48), wave(9, 33, 48)),
  ],
  convolutions: () => [
    ...withGradients((x, w) => tf.conv2d(x, w, 1, 'same'), wave(2, 31, 29, 13), wave(3, 3, 13, 21)),
    ...withGradients((x, w) => tf.conv2d(x, w, 2, 'valid'), wave(2, 31, 29, 13), wave(3, 2, 13, 21)),
    ...withGradients((x, w) => tf.depthwiseConv2d(x, w, 1, 'same'), wave(2, 31, 29, 13), wave(3, 3, 13, 1)),
    tf.fused.conv2d({
      x: wave(2, 31, 29, 13),
      filter: wave(1, 1, 13, 21),
      strides: 1,
      pad: 'same',
      activation: 'relu',
    }),
  ],
  pictures: () => [
    ...withGradients(x => tf.maxPool(x, 3, 2, 'same'), wave(3, 31, 29, 13)),
    ...withGradients(x => tf.avgPool(x, 3, 2, 'same'), wave(3, 31, 29, 13)),
    ...withGradients(x => tf.image.resizeBilinear(x, [47, 18]), wave(3, 31, 29, 13)),
    tf.mirrorPad(
      wave(3, 31, 29, 13),
      [
        [0, 0],
        [1, 2],
        [3, 4],
        [0, 0],
      ],
      'reflect',
    ),
  ],
  moves: () => {
    const x = wave(41, 73, 53) as tf.Tensor3D;
    const index = tf.tensor1d(
      Int32Array.from({ length: 41 }, (_, i) => (i * 7) % 41),
      'int32',
    );
    return [
      tf.transpose(x, [2, 0, 1]),
      tf.transpose(x, [1, 0, 2]),
      tf.slice(x, [1, 2, 3], [30, 30, 30]),
      tf.stridedSlice(x, [0, 0, 0], [41, 73, 53], [2, 3, 1]),
      tf.concat([x, x], 1),
      ...tf.split(x, [1, 72], 1),
      tf.stack([x, x], 1),
      ...tf.unstack(x, 1).slice(0, 2),
      tf.reverse(x, [0, 2]),
      tf.pad(x, [
        [1, 2],
        [0, 1],
        [3, 0],
      ]),
      tf.tile(x, [2, 1, 2]),
      ...withGradients(a => tf.gather(a, index), x),
      tf.unsortedSegmentSum(x, index, 50),
      tf.topk(x, 20).values,
      tf.topk(x, 20).indices,
      tf.oneHot(index, 64),
    ];
  },
  'fused operators': () => [
    ...withGradients(
      edgeMessage as never,
      wave(3, 41, 37, 29),
      wave(29, 51),
      wave(3, 41, 51),
      wave(1, 37, 51),
    ),
    ...withGradients(fused.linear as never, wave(7, 91, 33), wave(33, 47), wave(47)),
    ...withGradients(fused.layerNorm as never, wave(907, 65), wave(65), wave(65)),
    ...withGradients(
      (q, k, v) => fused.attention(q, k, v, 4),
      wave(3, 63, 48),
      wave(3, 41, 48),
      wave(3, 41, 48),
    ),
    ...withGradients(
      (x, w1, b1, w2, b2) => blocks.mlp(x, { weight: w1, bias: b1 }, { weight: w2, bias: b2 }),
      ...[wave(907, 33), wave(33, 61), wave(61), wave(61, 47), wave(47)],
    ),
    ...withGradients(
      (x, y, w, b) => {
        const layer = { weight: w, bias: b };
        const weights = { q: layer, k: { weight: w, bias: null }, v: layer, out: layer };
        return tf.add(blocks.attentionBlock(x, x, weights, 4), blocks.attentionBlock(x, y, weights, 4));
      },
      ...[wave(3, 63, 48), wave(3, 41, 48), wave(48, 48), wave(48)],
    ),
  ],
};

loomTest('1, 2 and 3 threads give the same bits, in every kernel of our own', async () => {
  const seen = new Set<string>();
  for (const [name, run] of Object.entries(cases)) {
    const [one, two, three] = [1, 2, 3].map(threads => {
      setThreadCount(threads);
      return tf.tidy(() => {
        const hash = createHash('sha256');
        for (const tensor of run()) hash.update(tensor.dataSync() as Float32Array);
        return hash.digest('hex') as never;
      });
    });
    assert.is(two, one, `${name}, 2 threads`);
    assert.is(three, one, `${name}, 3 threads`);
    const { kernelNames } = await tf.profile(() => tf.tidy(() => void run()));
    for (const kernel of kernelNames) seen.add(kernel);
  }
  setThreadCount(2);
  assert.equal(
    ownKernels().filter(kernel => !seen.has(kernel)),
    [],
    'kernels that no case runs',
  );
});

test.run();
