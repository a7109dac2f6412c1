import * as fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { deviation, golden } from '../../property-tests/golden.ts';
import { tinyData, tinySpec } from '../../property-tests/tiny.ts';
import { actOnWeights, SYMMETRIES, weightCount } from '../nca/index.ts';
import { randomStream, startBackend, tf } from '../tensor/index.ts';
import { fitColumns, fitNormaliser } from './normaliser.ts';

const test = suite('normaliser');
test.before(async () => {
  await startBackend();
});

const size = weightCount(tinySpec);

test('reference numbers', async () => {
  const g = await golden('05_normaliser');
  const data = (name: string) => g[name].data as Float32Array;
  const fitted = fitColumns(data('x'), 30);
  // A float32 sum of nine numbers, one after the other, errs by up to eight roundings of 6e-8; the file's own mean lies 9e-8 from float64's.
  assert.ok(deviation(fitted.mean, g.mean) < 5e-7);
  assert.ok(deviation(fitted.normalise(data('x')), g.y) < 1e-6);
  assert.ok(deviation(fitted.restore(data('y')), g.x_back) < 1e-6);
  assert.ok(deviation(fitted.restore(data('probe')), g.probe_inverse) < 1e-6);
});

test('normalised training data have mean 0 and deviation sigma_data; the inverse takes them back', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 3, max: 20 }),
      fc.nat(1000),
      fc.double({ min: 0.1, max: 2, noNaN: true }),
      (count, seed, sigmaData) => {
        const { weights } = tinyData(count, { seed });
        const fitted = fitNormaliser(tinySpec, weights, { sigmaData });
        const normalised = fitted.normalise(weights);
        for (let i = 0; i < size; i++) {
          const column = Array.from({ length: count }, (_, row) => normalised[row * size + i]);
          const mean = column.reduce((a, b) => a + b, 0) / count;
          const std = Math.sqrt(column.reduce((sum, x) => sum + (x - mean) ** 2, 0) / (count - 1));
          // Float32 rounding of the values themselves.
          assert.ok(Math.abs(mean) < 1e-5 * sigmaData && Math.abs(std / sigmaData - 1) < 1e-5);
        }
        const back = fitted.restore(normalised);
        assert.ok(weights.every((w, i) => Math.abs(w - back[i]) < 1e-5 * Math.max(1, Math.abs(w))));
      },
    ),
    { numRuns: 30 },
  );
});

test('a coordinate that never varies is 0 normalised and comes back as it was, whatever is sampled there', () => {
  const { weights } = tinyData(10);
  for (let row = 0; row < 10; row++) weights[row * size + 4] = 0.7;
  const fitted = fitNormaliser(tinySpec, weights);
  const held = new Float32Array(size).fill(3);
  assert.is(fitted.normalise(held)[4], 0);
  assert.is(fitted.restore(new Float32Array(size).fill(100))[4], Math.fround(0.7));
});

test('with statistics shared over orbits, normalising commutes with the group', () => {
  const spec = { ...tinySpec, channels: 5, hidden: 4 };
  const { weights } = tinyData(12, { spec });
  for (const name of ['hidden-permutation', 'channel-permutation', 'channel-sign', 'colour', 'd4'] as const) {
    const fitted = fitNormaliser(spec, weights, { mean: [name], std: [name] });
    const random = randomStream(4, name);
    for (let i = 0; i < 10; i++) {
      const one = randomStream(i, 'one').normals(weightCount(spec));
      const element = SYMMETRIES[name].sample(spec, random);
      const before = fitted.normalise(actOnWeights(spec, element, one));
      const after = actOnWeights(spec, element, fitted.normalise(one));
      assert.ok(
        before.every((x, k) => Math.abs(x - after[k]) < 1e-5),
        name,
      );
    }
  }
  assert.is(new Set(fitNormaliser(spec, weights, { std: 'pooled' }).scale).size, 1);
});

test('tensors are restored as values are', () => {
  const before = tf.memory().numTensors;
  const { weights } = tinyData(6);
  const fitted = fitNormaliser(tinySpec, weights);
  const normalised = fitted.normalise(weights);
  const restored = tf.tidy(() => fitted.restoreTensor(tf.tensor2d(normalised, [6, size])).dataSync());
  const values = fitted.restore(normalised);
  assert.ok(restored.every((x, i) => Math.abs(x - values[i]) < 1e-6));
  assert.is(tf.memory().numTensors, before);
});

test.run();
