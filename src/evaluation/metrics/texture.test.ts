import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { randomStream, startBackend, tf } from '../../tensor/index.ts';
import { randomMaps } from './random-maps.ts';
import { gramDistance, patchDistance, structureOnly, withoutMeanColour } from './texture.ts';

await startBackend();

const SIZE = 24;
const distances = { patch: patchDistance(), gram: gramDistance(randomMaps()) };

/** Smooth random pictures, [count, 24, 24, 3]: tori, so that shifting them loses nothing. */
function pictures(seed: number, count: number): tf.Tensor4D {
  const random = randomStream(seed, 'texture-test');
  const data = new Float32Array(count * SIZE * SIZE * 3);
  for (let n = 0; n < count * 3; n++) {
    const waves = Array.from({ length: 4 }, () => [
      random.integer(0, 5),
      random.integer(0, 5),
      random.uniform(0, 7),
    ]);
    const level = random.uniform(0.3, 0.7);
    for (let i = 0; i < SIZE * SIZE; i++) {
      const value = waves.reduce(
        (sum, [u, v, phase]) =>
          sum + 0.07 * Math.cos(phase + (2 * Math.PI * (u * (i % SIZE) + v * Math.floor(i / SIZE))) / SIZE),
        level,
      );
      data[(Math.floor(n / 3) * SIZE * SIZE + i) * 3 + (n % 3)] = value;
    }
  }
  return tf.tensor4d(data, [count, SIZE, SIZE, 3]);
}

const shifted = (x: tf.Tensor4D, by: number) =>
  tf.concat([tf.slice(x, [0, 0, by, 0]), tf.slice(x, [0, 0, 0, 0], [-1, -1, by, -1])], 2) as tf.Tensor4D;

for (const [name, distance] of Object.entries(distances)) {
  const values = (a: tf.Tensor4D, b: tf.Tensor4D) => [...distance(a, b).dataSync()];

  test(`${name}: zero for a picture and itself, shifted or not; positive for another`, () => {
    fc.assert(
      fc.property(fc.nat(99), fc.constantFrom(4, 8, 20), (seed, by) => {
        tf.tidy(() => {
          const [a, b] = [pictures(seed, 2), pictures(seed + 100, 2)];
          assert.ok(values(a, a).every(v => v === 0));
          // Float32 sums in another order; a relative 1e-4 of the distance between pictures.
          const far = values(a, b);
          assert.ok(far.every(v => v > 0.01));
          assert.ok(values(a, shifted(a, by)).every((v, i) => v < 1e-4 * far[i] + 1e-6));
        });
      }),
      { numRuns: 10 },
    );
  });

  test(`${name}: a pair's distance does not depend on its batch, nor on when it is asked`, () => {
    tf.tidy(() => {
      const [a, b] = [pictures(1, 3), pictures(2, 3)];
      const together = values(a, b);
      for (let i = 0; i < 3; i++) {
        const [alone] = values(tf.slice(a, i, 1), tf.slice(b, i, 1));
        assert.ok(Math.abs(alone - together[i]) <= 1e-6 * together[i]);
      }
    });
  });

  test(`${name}: structure alone does not see the mean colour`, () => {
    tf.tidy(() => {
      const [a, b] = [pictures(3, 2), pictures(4, 2)];
      const tinted = tf.add(a, tf.tensor1d([0.1, -0.1, 0.05])) as tf.Tensor4D;
      const structure = structureOnly(distance);
      const [plain, moved] = [structure(a, b), structure(tinted, b)].map(d => [...d.dataSync()]);
      assert.ok(moved.every((v, i) => Math.abs(v - plain[i]) < 1e-4 * plain[i]));
      assert.ok(
        structure(tinted, a)
          .dataSync()
          .every(v => v < 1e-4),
      );
      assert.ok(values(tinted, a).every(v => v > 0.03));
    });
  });

  test(`${name}: pictures of other sizes compare, and nothing is left behind`, () => {
    const before = tf.memory().numTensors;
    const [a, b] = [pictures(5, 1), pictures(6, 1)];
    const large = tf.tile(b, [1, 2, 2, 1]);
    const [near, far] = [distance(large, b), distance(a, b)];
    assert.ok(near.dataSync()[0] < 0.2 * far.dataSync()[0]);
    tf.dispose([a, b, large, near, far]);
    assert.is(tf.memory().numTensors, before);
  });
}

test('patch distance is symmetric and keeps the triangle inequality', () => {
  tf.tidy(() => {
    const [a, b, c] = [7, 8, 9].map(seed => pictures(seed, 4));
    const d = (x: tf.Tensor4D, y: tf.Tensor4D) => [...distances.patch(x, y).dataSync()];
    const [ab, ba, bc, ac] = [d(a, b), d(b, a), d(b, c), d(a, c)];
    assert.ok(ab.every((v, i) => Math.abs(v - ba[i]) < 1e-5 * v && ac[i] <= v + bc[i] + 1e-6));
  });
});

test('a nearly flat target explodes no distance', () => {
  tf.tidy(() => {
    const grey = (value: number) => tf.fill([1, SIZE, SIZE, 3], value) as tf.Tensor4D;
    for (const distance of Object.values(distances)) {
      const [near, far] = [distance(grey(0.5), grey(0.52)), distance(pictures(11, 1), grey(0.52))].map(
        d => d.dataSync()[0],
      );
      assert.ok(near < 0.5 && far <= 1.5, `${near}, ${far}`);
    }
  });
});

test('what is left without the mean colour has mean grey', () => {
  tf.tidy(() => {
    const mean = tf.mean(withoutMeanColour(pictures(10, 2)), [1, 2]).dataSync();
    assert.ok(mean.every(v => Math.abs(v - 0.5) < 1e-6));
  });
});

test.run();
