import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { orThrow } from '../config/index.ts';
import { denoiserKind, smallConfig } from '../denoisers/index.ts';
import { SPECS, weightCount } from '../nca/index.ts';
import { randomStream, startBackend, tf } from '../tensor/index.ts';
import {
  createDiffusion,
  ddim,
  edm,
  fitDiffusion,
  largestDeviation,
  regression,
  spectrumNoise,
} from './index.ts';
import { shareBelow } from './noise.ts';

await startBackend();

const spec = { ...SPECS.compact, name: 'tiny', channels: 4, hidden: 6 };
const D = weightCount(spec);

test('regression: the answer depends on the condition alone, and the loss is its squared error', async () => {
  const before = tf.memory().numTensors;
  const kind = orThrow(denoiserKind('transformer-typed'));
  const denoiser = kind.build(smallConfig(kind), { spec, condition: { tokens: 1, width: 4 }, seed: 0 });
  for (const [name, variable] of Object.entries(denoiser.variables)) {
    tf.tidy(() =>
      variable.assign(tf.tensor(randomStream(1, name).normals(variable.size, 0, 0.3), variable.shape)),
    );
  }
  const process = orThrow(createDiffusion({ process: 'regression' }));
  const tokens = tf.tensor3d(randomStream(0, 'tokens').normals(12), [3, 1, 4]);
  const draw = (seed: number) => () => Float64Array.from(randomStream(seed, 'noise').normals(3 * D));
  const sample = (seed: number, steps?: number) =>
    process.sample({ denoiser, condition: { tokens }, shape: [3, D], noise: draw(seed), steps });
  const first = await sample(0);
  assert.equal(await sample(1, 7), first);
  const apart = Math.max(...first.slice(0, D).map((x, d) => Math.abs(x - first[D + d])));
  assert.ok(apart > 1e-3, `answers differ by condition: ${apart}`);
  const clean = tf.tensor2d(randomStream(2, 'clean').normals(3 * D), [3, D]);
  const noise = tf.tensor2d(randomStream(3, 'noise').normals(3 * D), [3, D]);
  const present = tf.ones<tf.Rank.R1>([3]);
  const { denoised, losses } = process.objective(denoiser, clean, noise, [1, 1, 1], { tokens, present });
  const values = clean.dataSync();
  const expected = [0, 1, 2].map(i => {
    let sum = 0;
    for (let d = 0; d < D; d++) sum += (first[i * D + d] - values[i * D + d]) ** 2 / D / 0.25;
    return sum;
  });
  // float32 sums of a few hundred terms.
  for (const [i, loss] of losses.dataSync().entries()) assert.ok(Math.abs(loss / expected[i] - 1) < 1e-5);
  tf.dispose([clean, noise, tokens, present, denoised, losses]);
  denoiser.dispose();
  assert.is(tf.memory().numTensors, before);
});

test('the largest deviation is that of the direction the rows were stretched along', () => {
  const [count, size] = [400, 30];
  fc.assert(
    fc.property(fc.nat(1e6), fc.double({ min: 3, max: 20, noNaN: true }), (seed, stretch) => {
      const random = randomStream(seed, 'rows');
      const direction = random.normals(size);
      const length = Math.hypot(...direction);
      const rows = new Float32Array(count * size);
      for (let n = 0; n < count; n++) {
        const along = random.normal(0, stretch);
        for (let d = 0; d < size; d++)
          rows[n * size + d] = 7 + random.normal() + (along * direction[d]) / length;
      }
      // The estimate of a variance from 400 rows: a relative standard error of 3.5 % of the deviation, four of them.
      const found = largestDeviation(rows, size);
      assert.ok(Math.abs(found / Math.hypot(stretch, 1) - 1) < 0.15, `${found} for ${stretch}`);
    }),
    { numRuns: 10 },
  );
});

test('spectrum noise lies where it says, and the sampler stays inside', () => {
  const rows = Float32Array.from(randomStream(0, 'rows').normals(50 * D, 0, 0.5));
  const config = fitDiffusion({ process: 'edm', noise: { kind: 'spectrum', low: 0.1, high: 1.5 } }, rows, D);
  const noise = spectrumNoise({ low: 0.1, high: 1.5 }, 0.5, largestDeviation(rows, D));
  assert.equal(config.noise, noise);
  assert.ok(Math.abs(shareBelow(noise, 0.05) - 0.05) < 1e-9);
  assert.ok(Math.abs(shareBelow(noise, 1.5 * largestDeviation(rows, D)) - 0.95) < 1e-9);
  const { sampling } = edm({ noise }).config;
  assert.ok(Math.abs(shareBelow(noise, sampling.sigmaMin) - 0.005) < 1e-9);
  assert.ok(Math.abs(shareBelow(noise, sampling.sigmaMax) - 0.995) < 1e-9);
});

test('what lies outside the training, or is turned round, is one sentence', () => {
  const noise = { kind: 'log-normal', mean: -0.5, std: 1.4 } as const;
  const refused = (config: object, sentence: RegExp) =>
    assert.throws(() => orThrow(createDiffusion({ process: 'edm', noise, ...config })), sentence);
  refused(
    { sampling: { sigmaMax: 80 } },
    /sampling\.sigmaMax: expected a level inside what training sees, .* found 80\./,
  );
  refused(
    { sampling: { sigmaMin: 0.0001 } },
    /sampling\.sigmaMin: expected a level inside what training sees/,
  );
  refused(
    { sampling: { sigmaMin: 2, sigmaMax: 1 } },
    /sampling\.sigmaMin: expected less than sigmaMax, 1, found 2\./,
  );
  refused(
    { noise: { kind: 'log-uniform', min: 3, max: 1 } },
    /noise\.min: expected less than max, 1, found 3\./,
  );
  refused(
    { sampling: { churn: { amount: 1, min: 2, max: 1 } } },
    /sampling\.churn\.min: expected at most max, 1, found 2\./,
  );
  assert.is(regression().name, 'regression');
});

test('DDIM refuses more steps than it was trained with', async () => {
  const process = ddim({ trainingSteps: 10 });
  const never = () => assert.unreachable() as never;
  await process
    .sample({ denoiser: {} as never, condition: null, shape: [1, 1], noise: never, steps: 11 })
    .then(never, error =>
      assert.match(
        error.message,
        /DDIM: steps: expected from 1 to the 10 steps it was trained with, found 11\./,
      ),
    );
});

test.run();
