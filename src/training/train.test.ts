import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { tinyData, tinyDenoiser, tinyEncoder, tinySpec } from '../../property-tests/tiny.ts';
import { edm, fitNormaliser, sampleWeights } from '../diffusion/index.ts';
import { startBackend, tf } from '../tensor/index.ts';
import { type StepRecord, type TrainOptions, trainDenoiser } from './train.ts';

const test = suite('training loop');
test.before(async () => {
  await startBackend();
});

const data = tinyData(48);
const normaliser = fitNormaliser(tinySpec, data.weights);

function setUp(more: Partial<TrainOptions> = {}): TrainOptions {
  return {
    denoiser: tinyDenoiser({ tokens: 3 }),
    encoder: tinyEncoder(3),
    diffusion: edm(),
    normaliser,
    data,
    validation: tinyData(16, { seed: 2 }),
    ...more,
    settings: { steps: 20, batch: 16, warmup: 5, learningRate: 1e-2, ...more.settings },
  };
}

const values = ({ denoiser, encoder }: TrainOptions) =>
  [...Object.values(denoiser.variables), ...Object.values(encoder?.variables ?? {})].flatMap(v => [
    ...v.dataSync(),
  ]);

const dispose = ({ denoiser, encoder }: TrainOptions) => {
  denoiser.dispose();
  encoder?.dispose();
};

test('learns: the conditional sample is nearer its target than the mean is', async () => {
  const records: StepRecord[] = [];
  const options = setUp({
    denoiser: tinyDenoiser({ tokens: 3, width: 64 }),
    diffusion: edm({ parametrisation: 'clean', weighting: 'soft-min-snr' }),
    settings: { steps: 400, batch: 32 },
    onStep: r => records.push(r),
  });
  const before = tf.memory().numTensors;
  const { validation, stopped } = await trainDenoiser(options);
  assert.is(tf.memory().numTensors, before);
  assert.is(stopped, 'steps');
  assert.is(records.length, 400);
  const mean = (part: StepRecord[]) => part.reduce((sum, r) => sum + r.loss, 0) / part.length;
  assert.ok(mean(records.slice(-50)) < 0.5 * mean(records.slice(0, 20)));
  assert.is(validation?.bins.length, 25);

  const held = tinyData(16, { seed: 2 });
  const features = tf.tensor3d(held.features, [16, 1, 3]);
  const sampled = await sampleWeights({
    ...options,
    onStep: undefined,
    features,
    seed: 3,
    steps: 12,
  });
  features.dispose();
  const error = (at: (i: number) => number) =>
    held.weights.reduce((sum, w, i) => sum + (w - at(i)) ** 2, 0) / held.weights.length;
  const ratio = error(i => sampled[i]) / error(i => normaliser.mean[i % normaliser.mean.length]);
  assert.ok(ratio < 0.5, `${ratio}`);
  dispose(options);
});

test('the same seed gives the same weights, another seed others', async () => {
  const run = async (seed: number) => {
    const options = setUp({ settings: { seed } });
    await trainDenoiser(options);
    const found = values(options);
    dispose(options);
    return found;
  };
  const [a, b, c] = [await run(1), await run(1), await run(2)];
  assert.equal(a, b);
  assert.not.equal(a, c);
});

test('parts of a batch give the gradient of the whole', async () => {
  const run = async (microBatch: number | null) => {
    const options = setUp({ settings: { microBatch, steps: 3 } });
    await trainDenoiser(options);
    const found = values(options);
    dispose(options);
    return found;
  };
  const [whole, parts] = [await run(null), await run(5)];
  // Sums in another order, then Adam's division by the gradient's own size: float32 rounding, not more.
  assert.ok(Math.max(...whole.map((w, i) => Math.abs(w - parts[i]))) < 1e-5);
});

test('stops when time is up, when told to, and at a loss that is not finite', async () => {
  const timed = setUp({ settings: { steps: 1e9, seconds: 0.2 } });
  assert.is((await trainDenoiser(timed)).stopped, 'time');
  dispose(timed);

  const controller = new AbortController();
  const told = setUp({
    signal: controller.signal,
    onStep: ({ step }) => {
      if (step === 4) controller.abort();
    },
  });
  const result = await trainDenoiser(told);
  assert.is(result.stopped, 'interrupted');
  assert.is(result.steps, 4);
  dispose(told);

  const broken = tinyData(48);
  broken.weights[5] = Number.NaN;
  const bad = setUp({ data: broken, settings: { batch: 48 } });
  const before = values(bad);
  assert.is((await trainDenoiser(bad)).stopped, 'non-finite');
  assert.equal(values(bad), before);
  dispose(bad);
});

test.run();
