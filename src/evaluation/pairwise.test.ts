import { test } from 'uvu';
import * as assert from 'uvu/assert';
import {
  actOnWeights,
  elementSize,
  hiddenPermutation,
  initialWeights,
  type NcaSpec,
  SPECS,
  weightCount,
} from '../nca/index.ts';
import { randomStream, startBackend, tf } from '../tensor/index.ts';
import { patchDistance } from './metrics/index.ts';
import { pictureDistances, unmatchedDistances, weightDistances } from './pairwise.ts';

await startBackend();

const spec: NcaSpec = { ...SPECS.compact, channels: 4, hidden: 8 };
const size = weightCount(spec);
const one = initialWeights(spec, 1).map((w, i) => w + 0.1 * Math.sin(i));
const permuted = Float32Array.from(
  actOnWeights(
    spec,
    hiddenPermutation(elementSize(spec), Uint32Array.from([3, 0, 1, 2, 7, 6, 5, 4])),
    Float64Array.from(one),
  ),
);
const other = initialWeights(spec, 2).map((w, i) => w + 0.1 * Math.cos(i));
const weights = new Float32Array(3 * size);
for (const [n, flat] of [one, permuted, other].entries()) weights.set(flat, n * size);

test('distances of weights are symmetric, know a permuted copy, and never exceed those without matching', async () => {
  const progress: number[] = [];
  const { count, values } = await weightDistances(spec, weights, { onProgress: done => progress.push(done) });
  const unmatched = (await unmatchedDistances(spec, weights)).values;
  assert.is(count, 3);
  assert.equal(progress, [2, 3]);
  for (let i = 0; i < 3; i++) {
    assert.is(values[4 * i], 0);
    for (let j = 0; j < 3; j++) {
      assert.is(values[3 * i + j], values[3 * j + i]);
      assert.ok(values[3 * i + j] <= unmatched[3 * i + j] + 1e-12);
    }
  }
  // float32 weights, balanced in float64.
  assert.ok(values[1] < 1e-7 && unmatched[1] > 1e-3 && values[2] > 1e-3);
});

test('distances of pictures are those of every pair; nothing leaks', async () => {
  const before = tf.memory().numTensors;
  const pictures = tf.tensor4d(randomStream(3, 'pictures').uniforms(4 * 16 * 16 * 3), [4, 16, 16, 3]);
  const { values } = await pictureDistances(pictures);
  const distance = patchDistance();
  for (let i = 0; i < 4; i++) {
    for (let j = 0; j < 4; j++) {
      const [expected] = tf.tidy(() =>
        distance(tf.slice(pictures, i, 1), tf.slice(pictures, j, 1)).dataSync(),
      );
      // The root of a float32 mean of squares: rounding of 1e-7 in the mean is 3e-4 near zero.
      assert.ok(Math.abs(values[4 * i + j] - expected) < (i === j ? 1e-3 : 1e-6), `${i} ${j}`);
    }
  }
  pictures.dispose();
  assert.is(tf.memory().numTensors, before);
});

test('a raised signal ends it', async () => {
  const stop = new AbortController();
  stop.abort(new Error('enough'));
  try {
    await weightDistances(spec, weights, { signal: stop.signal });
    assert.unreachable();
  } catch (error) {
    assert.is((error as Error).message, 'enough');
  }
});

test.run();
