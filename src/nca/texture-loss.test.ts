import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { setThreadCount } from '../compute/index.ts';
import { randomStream, startBackend, tf } from '../tensor/index.ts';
import { type PatchOptions, patchSlicedWasserstein, randomFilters } from './texture-loss.ts';

await startBackend();

const picture = (name: string, ...shape: [number, number, number]) =>
  tf.tensor4d(randomStream(1, name).uniforms(shape[0] * shape[1] * shape[2] * 3), [...shape, 3]);

function lossOf(
  images: tf.Tensor4D,
  targets: tf.Tensor4D,
  options: Partial<PatchOptions>,
  seed = 1,
): number[] {
  return tf.tidy(() => {
    const prepared = patchSlicedWasserstein(options).prepare(targets);
    return Array.from(prepared.loss(images, randomStream(seed, 'filters')).dataSync());
  });
}

/** The definition, one loop after the other. */
function plain(
  image: number[][][],
  target: number[][][],
  options: PatchOptions,
  filters: Float32Array,
): number {
  const { scales, patch, projections, factor } = options;
  const halve = (x: number[][][]) =>
    Array.from({ length: x.length >> 1 }, (_, i) =>
      Array.from({ length: x[0].length >> 1 }, (_, j) =>
        [0, 1, 2].map(
          c =>
            (x[2 * i][2 * j][c] +
              x[2 * i + 1][2 * j][c] +
              x[2 * i][2 * j + 1][c] +
              x[2 * i + 1][2 * j + 1][c]) /
            4,
        ),
      ),
    );
  const responses = (x: number[][][], wrap: boolean, filter: (k: number) => number) => {
    const [h, w] = [x.length, x[0].length];
    const out: number[] = [];
    for (let i = 0; i < (wrap ? h : h - patch + 1); i++) {
      for (let j = 0; j < (wrap ? w : w - patch + 1); j++) {
        let sum = 0;
        for (let k = 0; k < patch * patch * 3; k++) {
          const row = i + Math.floor(k / (patch * 3));
          const column = j + (Math.floor(k / 3) % patch);
          sum += filter(k) * x[row % h][column % w][k % 3];
        }
        out.push(sum);
      }
    }
    return out.sort((a, b) => a - b);
  };
  let total = 0;
  for (let level = 0; level < scales; level++) {
    for (let p = 0; p < projections; p++) {
      const index = level * projections + p;
      const filter = (k: number) => filters[Math.floor(index / 8) * patch * patch * 24 + k * 8 + (index % 8)];
      const a = responses(image, options.wrap, filter);
      const b = responses(target, options.wrapTarget, filter);
      const quantile = (r: number) => {
        const place = Math.min(b.length - 1, Math.max(0, ((r + 0.5) * b.length) / a.length - 0.5));
        const below = Math.floor(place);
        return b[below] + (place - below) * (b[Math.min(below + 1, b.length - 1)] - b[below]);
      };
      total += a.reduce((sum, x, r) => sum + (x - quantile(r)) ** 2, 0) / a.length;
    }
    image = halve(image);
    target = halve(target);
  }
  return (factor * total) / (scales * projections);
}

test('equals the definition, also for targets of another size', () => {
  for (const [wrap, wrapTarget, targetSize, patch] of [
    [true, true, [13, 18], 3],
    [true, false, [24, 21], 5],
    [false, false, [14, 15], 3],
  ] as const) {
    const options = { scales: 2, patch, projections: 16, wrap, wrapTarget, factor: 3 };
    const images = picture('a', 1, 13, 18);
    const target = picture('b', 1, targetSize[0], targetSize[1]);
    const filters = randomFilters(options, randomStream(1, 'filters'));
    const expected = plain(
      (images.arraySync() as number[][][][])[0],
      (target.arraySync() as number[][][][])[0],
      options,
      filters,
    );
    // float32 responses against float64 ones
    assert.ok(Math.abs(lossOf(images, target, options)[0] / expected - 1) < 1e-5);
    tf.dispose([images, target]);
  }
});

test('a picture is at no distance from itself, nor from itself moved along the torus', () => {
  const images = picture('a', 1, 24, 24);
  const options = { wrapTarget: true };
  assert.is(lossOf(images, images, options)[0], 0);
  const [top, bottom] = tf.split(images, [8, 16], 1);
  const moved = tf.concat([bottom, top], 1) as tf.Tensor4D;
  // The same numbers are projected at other places: not one rounding differs.
  assert.ok(lossOf(moved, images, options)[0] < 1e-12);
  assert.ok(lossOf(tf.mul(moved, 0.9) as tf.Tensor4D, images, options)[0] > 1e-4);
});

test('each picture has its own loss, whatever shares its batch and however many threads work', () => {
  const images = picture('a', 4, 16, 16);
  const targets = picture('b', 2, 20, 20);
  const options = { scales: 2 };
  const together = lossOf(images, targets, options);
  setThreadCount(3);
  assert.equal(lossOf(images, targets, options), together);
  setThreadCount(1);
  for (let b = 0; b < 4; b++) {
    const image = tf.slice(images, [b, 0, 0, 0], [1, 16, 16, 3]);
    const target = tf.slice(targets, [Math.floor(b / 2), 0, 0, 0], [1, 20, 20, 3]);
    assert.is(lossOf(image, target, options)[0], together[b]);
  }
});

test('gradients agree with differences', () => {
  for (const wrap of [true, false]) {
    const options = { scales: 2, patch: 3, projections: 8, wrap, factor: 100 };
    const images = picture('a', 2, 10, 12);
    const target = picture('b', 1, 12, 11);
    const prepared = patchSlicedWasserstein(options).prepare(target);
    const total = (x: tf.Tensor) =>
      tf.sum(prepared.loss(x as tf.Tensor4D, randomStream(1, 'f'))) as tf.Scalar;
    const slope = tf.grad(total)(images);
    // Along the gradient itself, where the change is largest against the rounding of a float32 loss.
    const length = Math.hypot(...slope.dataSync());
    const direction = tf.div(slope, length);
    const along = (t: number) => total(tf.add(images, tf.mul(direction, t))).dataSync()[0];
    // The loss is quadratic but where two responses change places; a small step keeps those few.
    const found = (along(0.01) - along(-0.01)) / 0.02;
    assert.ok(Math.abs(found / length - 1) < 0.01, `${found} against ${length}`);
  }
});

test('tensors do not leak', () => {
  const images = picture('a', 2, 16, 16);
  const target = picture('b', 1, 16, 16);
  const before = tf.memory().numTensors;
  const prepared = patchSlicedWasserstein({ scales: 2 }).prepare(target);
  for (let i = 0; i < 3; i++) {
    const random = randomStream(i, 'f');
    tf.dispose(tf.grad(x => tf.sum(prepared.loss(x as tf.Tensor4D, random)))(images));
    tf.dispose(prepared.loss(images, random));
  }
  prepared.dispose();
  assert.is(tf.memory().numTensors, before);
});

test('says what is too small', () => {
  assert.throws(() => patchSlicedWasserstein().prepare(picture('a', 1, 8, 8)), /8x8 is too small/);
  assert.throws(() => patchSlicedWasserstein({ projections: 12 }), /multiple of 8, found 12/);
});

test.run();
