import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { randomStream, startBackend, tf } from '../../tensor/index.ts';
import { statisticsDistance, textureFeatures, textureStatistics } from './index.ts';

await startBackend();

/** A grating with noise, [1, n, n, 3]: cycles across the picture along x and y. */
function grating(
  n: number,
  along: readonly [number, number],
  contrast = 0.3,
  noise = 0.02,
  seed = 0,
): tf.Tensor4D {
  const random = randomStream(seed, 'grating');
  const data = new Float32Array(n * n * 3);
  for (let i = 0; i < n * n; i++) {
    const phase = (2 * Math.PI * (along[0] * (i % n) + along[1] * Math.floor(i / n))) / n;
    for (let c = 0; c < 3; c++) data[3 * i + c] = 0.5 + contrast * Math.sin(phase) + random.normal(0, noise);
  }
  return tf.tensor4d(data, [1, n, n, 3]);
}

const distance = (a: tf.Tensor4D, b: tf.Tensor4D) => tf.tidy(() => statisticsDistance(a, b).dataSync()[0]);

test('energies and autocorrelation are those of plain sums', () => {
  const [n, picture] = [16, grating(16, [3, 1], 0.2, 0.1)];
  tf.tidy(() => {
    const groups = Object.fromEntries(
      textureStatistics(picture).map(({ name, values }) => [name, values.dataSync()]),
    );
    const rgb = picture.dataSync();
    const y = Float64Array.from(
      { length: n * n },
      (_, i) => 0.299 * rgb[3 * i] + 0.587 * rgb[3 * i + 1] + 0.114 * rgb[3 * i + 2],
    );
    const mean = y.reduce((a, b) => a + b) / y.length;
    const lag = (dy: number, dx: number) => {
      let sum = 0;
      for (let r = 0; r < n; r++)
        for (let c = 0; c < n; c++)
          sum += (y[r * n + c] - mean) * (y[((r + dy) % n) * n + ((c + dx + n) % n)] - mean);
      return sum / (n * n);
    };
    const expected: number[] = [];
    for (let dy = 0; dy <= 4; dy++)
      for (let dx = -4; dx <= 4; dx++) if (dy > 0 || dx > 0) expected.push(lag(dy, dx) / (lag(0, 0) + 1e-4));
    // float32 transforms of 16 x 16 pixels.
    groups.autocorrelation.forEach((value, i) => {
      assert.ok(Math.abs(value - expected[i]) < 1e-4, `${i}: ${value} for ${expected[i]}`);
    });
  });
  picture.dispose();
});

test('a distance of textures: blind to shifts, not to orientation, scale, contrast or colour', () => {
  const before = tf.memory().numTensors;
  const plain = grating(32, [4, 0]);
  const [again, turned, finer, faint] = [
    grating(32, [4, 0], 0.3, 0.02, 1),
    grating(32, [0, 4]),
    grating(32, [8, 0]),
    grating(32, [4, 0], 0.1),
  ];
  const shifted = tf.tidy(() =>
    tf.concat([tf.slice(plain, [0, 0, 5, 0]), tf.slice(plain, [0, 0, 0, 0], [-1, -1, 5, -1])], 2),
  ) as tf.Tensor4D;
  const reddish = tf.tidy(() => tf.add(plain, tf.tensor1d([0.2, 0, 0]))) as tf.Tensor4D;
  assert.ok(distance(plain, shifted) < 1e-3);
  const noise = distance(plain, again);
  for (const other of [turned, finer, faint, reddish])
    assert.ok(distance(plain, other) > 3 * noise, `${distance(plain, other)} ${noise}`);
  assert.is(distance(plain, plain), 0);
  assert.is(distance(plain, turned), distance(turned, plain));
  assert.ok(distance(plain, finer) <= distance(plain, turned) + distance(turned, finer) + 1e-6);
  tf.dispose([plain, again, turned, finer, faint, shifted, reddish]);
  assert.is(tf.memory().numTensors, before);
});

test('flat pictures are near to flat ones, and nothing explodes', () => {
  fc.assert(
    fc.property(
      fc.double({ min: 0, max: 1, noNaN: true }),
      fc.double({ min: 0, max: 1, noNaN: true }),
      fc.constantFrom(8, 12, 33),
      (a, b, n) => {
        const [first, second] = [a, b].map(grey => tf.fill([1, n, n, 3], grey) as tf.Tensor4D);
        const found = distance(first, second);
        tf.dispose([first, second]);
        // Six groups, the colour's half of mean: |a - b| / sqrt(12), and float32's traces of a spectrum.
        assert.ok(Math.abs(found - Math.abs(a - b) / Math.sqrt(12)) < 2e-3, `${found}`);
      },
    ),
    { numRuns: 20 },
  );
  const noise = grating(24, [0, 0], 0, 0.3);
  const features = tf.tidy(() => textureFeatures(tf.clipByValue(noise, 0, 1)).dataSync());
  assert.ok(features.every(x => Math.abs(x) < 3));
  noise.dispose();
});

test.run();
