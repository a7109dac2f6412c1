/** Convolutions and pools of loom equal tfjs-backend-cpu's, those by minimal filtering among them. */
import * as fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { agree, wave, withGradients } from '../../../property-tests/agreement.ts';
import { setThreadCount } from '../../compute/index.ts';
import { startBackend, tf } from '../index.ts';

await startBackend({ prefer: 'cpu' });
await startBackend({ prefer: 'loom' });
setThreadCount(2);

const runs = (numRuns: number) => ({ numRuns, seed: 1 });

test('convolutions, pools and resizing, with gradients', () => {
  const cases = fc.record({
    batch: fc.integer({ min: 1, max: 2 }),
    height: fc.integer({ min: 3, max: 9 }),
    width: fc.integer({ min: 3, max: 9 }),
    cin: fc.constantFrom(1, 3, 4, 7, 12),
    cout: fc.constantFrom(1, 4, 5, 9),
    taps: fc.constantFrom([1, 1], [3, 3], [2, 3]),
    stride: fc.constantFrom(1, 2),
    pad: fc.constantFrom('same' as const, 'valid' as const),
  });
  fc.assert(
    fc.property(cases, c => {
      const x = wave([c.batch, c.height, c.width, c.cin], 0.7);
      const w = wave([...c.taps, c.cin, c.cout], 1.3);
      agree(
        [x, w],
        withGradients((a, b) => tf.conv2d(a, b, c.stride, c.pad)),
        2e-4,
      );
      agree(
        [x, wave([...c.taps, c.cin, 1], 1.1)],
        withGradients((a, b) => tf.depthwiseConv2d(a, b, c.stride, c.pad)),
        2e-4,
      );
      agree(
        [x, w, wave([c.cout], 2)],
        (a, b, bias) =>
          tf.fused.conv2d({ x: a, filter: b, bias, strides: c.stride, pad: c.pad, activation: 'relu' }),
        1e-4,
      );
      agree([x], a => tf.conv2d(a, tf.ones([2, 2, c.cin, 2]), 1, 'same', 'NHWC', 2), 1e-4);
      agree(
        [x],
        withGradients(a => tf.maxPool(a, c.taps as [number, number], c.stride, c.pad)),
        1e-4,
      );
      agree([x], a => tf.avgPool(a, c.taps as [number, number], c.stride, c.pad), 1e-5);
      agree(
        [x],
        a => [
          tf.image.resizeBilinear(a, [7, 5]),
          tf.image.resizeBilinear(a, [4, 13], true),
          tf.image.resizeBilinear(a, [6, 11], false, true),
        ],
        1e-4,
      );
    }),
    runs(20),
  );
});

/** What a backend makes of an operator: shape and numbers, or that it throws. */
function outcome(backend: string, work: () => tf.Tensor): { shape: string; values: readonly number[] } {
  void tf.setBackend(backend);
  tf.engine().startScope();
  try {
    const y = work();
    return { shape: y.shape.join(), values: [...y.dataSync()] };
  } catch (error) {
    return { shape: `throws ${(error as Error).message}`, values: [] };
  } finally {
    tf.engine().endScope();
  }
}

function sameOutcome(what: string, work: () => tf.Tensor): void {
  const [theirs, ours] = [outcome('cpu', work), outcome('loom', work)];
  assert.is(ours.shape, theirs.shape, what);
  // Sums of at most 100 products of numbers to 1.3.
  ours.values.forEach((x, i) => {
    const y = theirs.values[i];
    assert.ok(Object.is(x, y) || Math.abs(x - y) < 1e-4, `${what}: ${x} for ${y} at ${i}`);
  });
}

test('windows larger than the picture, beyond its border, or on no picture: what tfjs makes of them', () => {
  const cases = fc.record({
    batch: fc.constantFrom(1, 1, 0),
    height: fc.integer({ min: 0, max: 5 }),
    width: fc.integer({ min: 1, max: 5 }),
    taps: fc.tuple(fc.integer({ min: 1, max: 7 }), fc.integer({ min: 1, max: 7 })),
    stride: fc.integer({ min: 1, max: 3 }),
    pad: fc.constantFrom('same' as const, 'valid' as const, 0, 1, 2),
    dilation: fc.constantFrom(1, 2),
    channels: fc.constantFrom(2, 8),
  });
  const of = (...shape: number[]) => {
    const size = shape.reduce((a, b) => a * b, 1);
    return tf.tensor(
      Float32Array.from({ length: size }, (_, i) => Math.sin(0.7 * i) + 0.3),
      shape,
    ) as never;
  };
  fc.assert(
    fc.property(cases, c => {
      const what = JSON.stringify(c);
      const step = c.stride === 1 ? c.dilation : 1;
      const x = () => of(c.batch, c.height, c.width, c.channels);
      const filter = (outputs: number) => of(...c.taps, c.channels, outputs);
      sameOutcome(`conv2d ${what}`, () => tf.conv2d(x(), filter(3), c.stride, c.pad, 'NHWC', step));
      sameOutcome(`depthwise ${what}`, () =>
        tf.depthwiseConv2d(x(), filter(1), c.stride, c.pad, 'NHWC', step),
      );
      sameOutcome(`maxPool ${what}`, () => tf.maxPool(x(), c.taps, c.stride, c.pad));
      sameOutcome(`avgPool ${what}`, () => tf.avgPool(x(), c.taps, c.stride, c.pad));
    }),
    runs(150),
  );
});

test("the gradients of average pools and of bilinear resizing on tfjs's own backend equal loom's, which differences check", () => {
  const cases = fc.record({
    height: fc.integer({ min: 1, max: 5 }),
    width: fc.integer({ min: 1, max: 5 }),
    taps: fc.integer({ min: 1, max: 4 }),
    stride: fc.integer({ min: 1, max: 2 }),
    pad: fc.constantFrom('same' as const, 'valid' as const),
    to: fc.tuple(fc.integer({ min: 1, max: 6 }), fc.integer({ min: 1, max: 6 })),
    how: fc.constantFrom([false, false], [true, false], [false, true]),
  });
  fc.assert(
    fc.property(cases, c => {
      const x = wave([2, c.height, c.width, 3], 0.7);
      const [alignCorners, halfPixelCenters] = c.how;
      agree(
        [x],
        withGradients(a => tf.image.resizeBilinear(a, c.to, alignCorners, halfPixelCenters)),
        1e-4,
      );
      if (c.pad === 'same' || c.taps <= Math.min(c.height, c.width))
        agree(
          [x],
          withGradients(a => tf.avgPool(a, c.taps, c.stride, c.pad)),
          1e-4,
        );
    }),
    runs(60),
  );
});

/** Sizes at which minimal filtering is chosen, odd ones and tiles beyond the border among them. */
const filtered = fc
  .record({
    batch: fc.constantFrom(1, 2, 5, 12),
    height: fc.integer({ min: 4, max: 13 }),
    width: fc.integer({ min: 4, max: 13 }),
    cin: fc.constantFrom(8, 9, 14, 20),
    cout: fc.constantFrom(1, 3, 8, 13, 72),
    pad: fc.constantFrom('same' as const, 'valid' as const, 2),
  })
  .map(c => ({ ...c, x: [c.batch, c.height, c.width, c.cin], w: [3, 3, c.cin, c.cout] }));

test('3 x 3 convolutions by minimal filtering, forward and back', () => {
  fc.assert(
    fc.property(filtered, ({ x, w, pad, cout }) => {
      // Sums of at most 180 products of numbers to 1. Minimal filtering is off by up to 2e-6 of their magnitudes, which sum to 180 at most.
      agree(
        [wave(x, 0.7), wave(w, 1.3)],
        withGradients((a, b) => tf.conv2d(a, b, 1, pad)),
        3e-4,
      );
      agree(
        [wave(x, 0.7), wave(w, 1.3), wave([cout], 2)],
        (a, b, bias) => tf.fused.conv2d({ x: a, filter: b, bias, strides: 1, pad, activation: 'relu' }),
        3e-4,
      );
    }),
    runs(15),
  );
});

test('minimal filtering: many channels, in blocks, stay near sums in double precision', () => {
  void tf.setBackend('loom');
  const [size, cin, cout] = [16, 300, 70];
  const x = wave([1, size, size, cin], 0.7);
  const w = wave([9, cin, cout], 1.3);
  const y = tf.tidy(() =>
    tf
      .conv2d(
        tf.tensor4d(x.values as Float32Array, [1, size, size, cin]),
        tf.tensor4d(w.values as Float32Array, [3, 3, cin, cout]),
        1,
        'valid',
      )
      .dataSync(),
  );
  let [worst, largest, scale] = [0, 0, 0];
  for (let i = 0; i < y.length; i += 37) {
    const n = i % cout;
    const [row, column] = [Math.floor(i / cout / 14), Math.floor(i / cout) % 14];
    let [sum, magnitudes] = [0, 0];
    for (let tap = 0; tap < 9; tap++) {
      const pixel = (row + Math.floor(tap / 3)) * size + column + (tap % 3);
      for (let c = 0; c < cin; c++) {
        const product = x.values[pixel * cin + c] * w.values[(tap * cin + c) * cout + n];
        sum += product;
        magnitudes += Math.abs(product);
      }
    }
    worst = Math.max(worst, Math.abs(y[i] - sum));
    largest = Math.max(largest, Math.abs(sum));
    scale = Math.max(scale, magnitudes);
  }
  // Errors go with the magnitudes summed, not with the sum: waves cancel, and leave little of it.
  assert.ok(
    worst < 2e-6 * scale,
    `off by ${worst / scale} of the magnitudes, ${worst / largest} of the largest sum`,
  );
});

test('minimal filtering gives the same bits on 1, 2 and 3 threads', () => {
  void tf.setBackend('loom');
  const results = [1, 2, 3].map(threads => {
    setThreadCount(threads);
    return tf.tidy(() => {
      const f = (x: tf.Tensor) =>
        tf.sum(
          tf.square(
            tf.conv2d(
              x as tf.Tensor4D,
              tf.tensor4d(wave([3, 3, 24, 130], 1).values as Float32Array, [3, 3, 24, 130]),
              1,
              'same',
            ),
          ),
        );
      const { value, grad } = tf.valueAndGrad(f)(
        tf.tensor4d(wave([3, 21, 19, 24], 0.7).values as Float32Array, [3, 21, 19, 24]),
      );
      return [...value.dataSync(), ...grad.dataSync()] as never;
    }) as unknown as number[];
  });
  setThreadCount(2);
  assert.equal(results[1], results[0]);
  assert.equal(results[2], results[0]);
});

test.run();
