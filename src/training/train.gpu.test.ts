// Runs with `npm run test:gpu`: on a card, or on software Vulkan.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { deviation } from '../../property-tests/golden.ts';
import { tinyData, tinyDenoiser, tinyEncoder, tinySpec } from '../../property-tests/tiny.ts';
import { gpuInUse, stopGpu } from '../compute/index.ts';
import { edm, fitNormaliser } from '../diffusion/index.ts';
import { type BackendName, startBackend, tf } from '../tensor/index.ts';
import { type StepRecord, type TrainOptions, trainDenoiser } from './train.ts';

const data = tinyData(48);
const normaliser = fitNormaliser(tinySpec, data.weights);

/** A training of a tiny denoiser, and the numbers it ends with. */
async function trained(backend: BackendName, more: Partial<TrainOptions> = {}) {
  await startBackend({ prefer: backend });
  const [denoiser, encoder] = [tinyDenoiser({ tokens: 3 }), tinyEncoder(3)];
  const before = tf.memory().numTensors;
  const result = await trainDenoiser({
    ...{ denoiser, encoder, diffusion: edm(), normaliser, data },
    ...more,
    settings: { batch: 8, learningRate: 1e-2, warmup: 5, ...more.settings },
  });
  assert.is(tf.memory().numTensors, before);
  const variables = [...Object.values(denoiser.variables), ...Object.values(encoder.variables)];
  const numbers = await Promise.all(variables.map(async v => Float32Array.from(await v.data())));
  denoiser.dispose();
  encoder.dispose();
  return { ...result, numbers };
}

test('2,000 steps keep the memory of the device as it is, and two trainings of one seed are equal bit for bit', async () => {
  const runs = [];
  for (let run = 0; run < 2; run++) {
    const held: number[] = [];
    const losses: number[] = [];
    const { numbers } = await trained('loom-gpu', {
      settings: { steps: 2000 },
      onStep: ({ step, loss }) => {
        losses.push(loss);
        if (step % 400 === 0) held.push(gpuInUse()!.held());
      },
    });
    // Up to sixteen steps' losses (8 floats and a norm each) wait to be read, how many the clock decides: nothing else comes after the first stretch.
    assert.ok(Math.max(...held) - held[0] <= 16 * 4 * 9, held.join());
    assert.is(losses.length, 2000);
    runs.push([...numbers, Float32Array.from(losses)]);
  }
  for (const [i, numbers] of runs[0].entries()) {
    assert.is(Buffer.compare(Buffer.from(numbers.buffer), Buffer.from(runs[1][i].buffer)), 0);
  }
});

test('every step is told of in order, also where some are made before their losses are read', async () => {
  const records: StepRecord[] = [];
  await trained('loom-gpu', { settings: { steps: 50 }, onStep: record => records.push(record) });
  assert.equal(
    records.map(({ step }) => step),
    Array.from({ length: 50 }, (_, i) => i + 1),
  );
  const onLoom: StepRecord[] = [];
  await trained('loom', { settings: { steps: 50 }, onStep: record => onLoom.push(record) });
  for (const key of ['loss', 'gradientNorm', 'clipFactor'] as const) {
    // Fifty steps of Adam on sums in another order.
    const [found, expected] = [records, onLoom].map(list => list.map(record => record[key]));
    assert.ok(deviation(found, expected) < 1e-3, `${key} ${deviation(found, expected)}`);
  }
});

test('a loss that is not finite ends the training at its step, and nothing of it or after it is kept', async () => {
  const broken = tinyData(48);
  broken.weights[5] = Number.NaN;
  const steps: Record<string, number> = {};
  const numbers: Record<string, Float32Array[]> = {};
  for (const backend of ['loom', 'loom-gpu'] as const) {
    const result = await trained(backend, { data: broken, settings: { steps: 40, batch: 2 } });
    assert.is(result.stopped, 'non-finite');
    steps[backend] = result.steps;
    numbers[backend] = result.numbers;
  }
  assert.is(steps['loom-gpu'], steps.loom);
  // The processor's training went as far and stopped there.
  numbers['loom-gpu'].forEach((found, i) => {
    assert.ok(found.every(Number.isFinite));
    assert.ok(deviation(found, numbers.loom[i]) < 1e-3);
  });
});

test('a training goes on from the checkpoint of the other backend', async () => {
  const straight = await trained('loom', { settings: { steps: 12 } });
  for (const [first, second] of [
    ['loom-gpu', 'loom'],
    ['loom', 'loom-gpu'],
  ] as const) {
    const folder = mkdtempSync(join(tmpdir(), 'weightloom-checkpoint-'));
    const checkpoint = {
      folder: join(folder, 'checkpoints'),
      identity: { config: {}, dataHash: 'same' },
      resume: true,
    };
    try {
      const controller = new AbortController();
      const begun = await trained(first, {
        checkpoint: { ...checkpoint, everySteps: 5 },
        settings: { steps: 12 },
        signal: controller.signal,
        onStep: ({ step }) => {
          if (step === 5) controller.abort();
        },
      });
      assert.ok(begun.steps >= 5 && begun.steps < 12);
      const { numbers, steps } = await trained(second, { checkpoint, settings: { steps: 12 } });
      assert.is(steps, 12);
      // Twelve steps of Adam at 0.01 on sums in another order.
      numbers.forEach((found, i) => {
        assert.ok(deviation(found, straight.numbers[i]) < 1e-3);
      });
    } finally {
      rmSync(folder, { recursive: true });
    }
  }
});

test.after(stopGpu);
test.run();
