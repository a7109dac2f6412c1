// Runs with `npm run test:gpu`: on a card, or on software Vulkan.
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { deviation } from '../../property-tests/golden.ts';
import { tinyDenoiser } from '../../property-tests/tiny.ts';
import { GpuError, gpuInUse, stopGpu } from '../compute/index.ts';
import { edm, normaliserOf } from '../diffusion/index.ts';
import {
  meanSquare,
  type NcaSpec,
  patchSlicedWasserstein,
  SPECS,
  type TextureLoss,
  weightCount,
} from '../nca/index.ts';
import { type BackendName, randomStream, startBackend, tf } from '../tensor/index.ts';
import type { Batch } from './batches.ts';
import { rolloutLoss } from './rollout-loss.ts';
import { Trainer } from './trainer.ts';

const SIZE = 16;
/** Channels that fit no vector, and every clip. */
const spec: NcaSpec = {
  ...SPECS.compact,
  name: 'odd',
  channels: 5,
  hidden: 11,
  outputBias: true,
  clip: { perception: 2, hidden: 3, update: 0.5, state: null },
};
const D = weightCount(spec);
const normaliser = normaliserOf(
  randomStream(1, 'mean').normals(D, 0, 0.1),
  randomStream(1, 'scale').uniforms(D, 3, 6),
);
const ROWS = 4;
const random = randomStream(2, 'batch');
const batch: Batch = {
  step: 3,
  indices: Uint32Array.from({ length: ROWS }, (_, i) => i),
  clean: random.normals(ROWS * D, 0, 0.5),
  noise: random.normals(ROWS * D),
  levels: Float64Array.from({ length: ROWS }, (_, i) => 0.1 + 0.3 * i),
  features: null,
  present: new Float32Array(ROWS).fill(1),
  images: random.uniforms(ROWS * SIZE * SIZE * 3),
};
const patches = (bank?: number) => patchSlicedWasserstein({ scales: 2, projections: 16, factor: 100, bank });

/** The gradient of a step with the loss through the rollout, and each rollout's own loss. */
async function gradientsOn(backend: BackendName, texture: TextureLoss, scale = 1) {
  await startBackend({ prefer: backend });
  const before = tf.memory().numTensors;
  const denoiser = tinyDenoiser({ spec });
  const trainer = new Trainer({
    denoiser,
    encoder: null,
    diffusion: edm(),
    clip: 1,
    averages: [],
    microBatch: 3,
    rollout: rolloutLoss({
      ...{ spec, texture, normaliser, diffusion: edm(), seed: 9, imageSize: SIZE },
      ...{ weight: 2, steps: [6, 12], rows: ROWS },
    }),
  });
  const gpu = gpuInUse();
  const measure = async (): Promise<Float32Array[]> => {
    const given = { ...batch, clean: batch.clean.map((x, i) => (i < D ? scale * x : x)) };
    const { gradients, rollouts } = await trainer.gradients(given);
    const list = Object.values(gradients);
    const numbers = await Promise.all(list.map(async g => Float32Array.from(await g.data())));
    tf.dispose(list);
    return [rollouts!, ...numbers];
  };
  try {
    const first = await measure();
    const held = gpu?.statistics().held;
    const again = await measure();
    assert.equal(again, first);
    // Nothing stays on the device but the sizes of the first call.
    assert.is(gpu?.statistics().held, held);
    return first;
  } finally {
    trainer.dispose();
    denoiser.dispose();
    assert.is(tf.memory().numTensors, before);
  }
}

function assertAlike(found: Float32Array[], expected: Float32Array[], what: string) {
  for (const [i, numbers] of found.entries()) {
    // The losses, then gradients: a sum of squares in another order, and 12 steps of it backwards.
    const limit = i === 0 ? 1e-5 : 1e-4;
    assert.ok(
      deviation(numbers, expected[i]) < limit,
      `${what} ${i}: ${deviation(numbers, expected[i])} of ${limit}`,
    );
  }
}

for (const [name, texture] of Object.entries({
  'fresh filters': patches(),
  'a bank of filters': patches(32),
  'a loss without a form for the GPU': meanSquare(),
})) {
  test(`the loss through the rollout is the processor's with both GPU backends: ${name}`, async () => {
    const expected = await gradientsOn('loom', texture);
    for (const backend of ['gpu', 'loom-gpu'] as const) {
      assertAlike(await gradientsOn(backend, texture), expected, backend);
    }
  });
}

test('a rollout that diverges counts nothing there either', async () => {
  const expected = await gradientsOn('loom', patches(), 1e5);
  for (const backend of ['gpu', 'loom-gpu'] as const) {
    const found = await gradientsOn(backend, patches(), 1e5);
    assert.ok(found.slice(1).every(numbers => numbers.every(Number.isFinite)));
    assert.is(Number.isFinite(found[0][0]), Number.isFinite(expected[0][0]));
  }
});

test('where a kernel of it does not compile, the processor runs it', async () => {
  const expected = await gradientsOn('loom', patches());
  for (const backend of ['gpu', 'loom-gpu'] as const) {
    await startBackend({ prefer: backend });
    const gpu = gpuInUse()!;
    const program = gpu.program.bind(gpu);
    let asked = 0;
    gpu.program = (label, code) => {
      if (label !== 'NCA backward') return program(label, code);
      asked++;
      return Promise.reject(new GpuError('refused', 'NCA backward: its shader does not compile'));
    };
    try {
      assertAlike(await gradientsOn(backend, patches()), expected, backend);
      assert.ok(asked > 0);
    } finally {
      gpu.program = program;
    }
  }
});

test.after(stopGpu);
test.run();
