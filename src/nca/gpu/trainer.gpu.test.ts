// Runs with `npm run test:gpu`: on a card, or on software Vulkan.
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { deviation } from '../../../property-tests/golden.ts';
import { watchPrograms } from '../../../property-tests/gpu-programs.ts';
import { Gpu, startGpu } from '../../compute/index.ts';
import { UserError } from '../../config/index.ts';
import { randomStream, startBackend, tf } from '../../tensor/index.ts';
import {
  meanSquare,
  type NcaSpec,
  patchSlicedWasserstein,
  SPECS,
  type TrainedNcas,
  trainNca,
} from '../index.ts';
import { GpuTextureLoss } from './loss.ts';

await startBackend({ prefer: 'loom' });
const gpu = await startGpu();
const unused = watchPrograms(gpu);

const small: NcaSpec = { ...SPECS.compact, channels: 5, hidden: 8, filterScale: 1 / 8 };
const options = {
  height: 10,
  width: 12,
  iterations: 4,
  pool: 6,
  batch: 2,
  steps: [3, 7] as const,
  learningRate: 1e-2,
  milestones: [3],
  seedEvery: 2,
  loss: patchSlicedWasserstein({ scales: 2, patch: 3, projections: 8, factor: 100 }),
};
const pictures = (count: number) =>
  tf.tensor4d(randomStream(5, 'pictures').uniforms(count * 14 * 13 * 3), [count, 14, 13, 3]);

const floats = (state: TrainedNcas['state'], name: string) => state[name].data as Float32Array;
const apart = (a: Float32Array, b: Float32Array) =>
  a.reduce((most, x, i) => Math.max(most, Math.abs(x - b[i])), 0);

/**
 * Four updates of 1e-2. Gradients agree to 1e-6 of their block, but Adam makes whole updates of the tiny ones too: those may differ by a hundredth of
 * one. Losses, of about 5, follow.
 */
function assertSame(found: TrainedNcas, expected: TrainedNcas) {
  for (const name of ['weights', 'pool']) {
    assert.ok(apart(floats(found.state, name), floats(expected.state, name)) < 1e-4, name);
  }
  for (const name of ['updates', 'iteration'])
    assert.equal(found.state[name].data, expected.state[name].data);
  found.losses.forEach((losses, i) => {
    assert.ok(apart(losses, expected.losses[i]) < 1e-4);
  });
  // Before Adam has amplified anything.
  assert.ok(deviation(found.losses[0], expected.losses[0]) < 1e-5);
}

for (const [name, more] of Object.entries({
  'fresh filters': {},
  'a bank of filters': {
    loss: patchSlicedWasserstein({
      scales: 2,
      patch: 3,
      projections: 8,
      factor: 100,
      bank: 24,
      wrapTarget: true,
    }),
  },
  'pictures that are no tori': {
    loss: patchSlicedWasserstein({ scales: 2, patch: 3, projections: 8, wrap: false, factor: 100 }),
  },
  'a change of low rank': { rank: 2 },
})) {
  test(`training on the GPU is that on the processor: ${name}`, async () => {
    const targets = pictures(3);
    const [found, again, expected] = [
      await trainNca(small, targets, { ...options, ...more, gpu }),
      await trainNca(small, targets, { ...options, ...more, gpu }),
      await trainNca(small, targets, { ...options, ...more, gpu: null }),
    ];
    assertSame(found, expected);
    assert.equal(again.weights, found.weights);
    targets.dispose();
  });
}

test('a training goes from the processor to the GPU and back', async () => {
  const targets = pictures(2);
  const whole = await trainNca(small, targets, { ...options, gpu: null });
  let state: TrainedNcas['state'] | undefined;
  let rest: TrainedNcas | undefined;
  for (const [until, where] of [
    [1, null],
    [3, gpu],
    [4, null],
  ] as const) {
    rest = await trainNca(small, targets, { ...options, iterations: until, state, gpu: where });
    state = rest.state;
  }
  for (const name of ['weights', 'pool']) {
    assert.ok(
      deviation(state![name].data as Float32Array, whole.state[name].data as Float32Array) < 1e-4,
      name,
    );
  }
  targets.dispose();
});

test('an NCA that diverges keeps its weights and loses its states', async () => {
  const targets = pictures(2);
  const initial = randomStream(1, 'initial').normals(2 * 168 + 2 * 40, 0, 0.1);
  const half = initial.length / 2;
  initial.fill(Number.NaN, 0, half);
  const seen: (readonly number[])[] = [];
  const training = {
    ...options,
    initial,
    onProgress: ({ diverged }: { diverged: readonly number[] }) => void seen.push(diverged),
  };
  const { weights, state } = await trainNca(small, targets, { ...training, iterations: 2, gpu });
  assert.equal(seen, [[0], [0]]);
  assert.ok(weights.subarray(half).every(Number.isFinite));
  assert.ok((state.pool.data as Float32Array).every(Number.isFinite));
  assert.equal(Array.from(state.updates.data), [0, 2]);
  targets.dispose();
});

test('device memory is flat over many iterations', async () => {
  const targets = pictures(1);
  const held: number[] = [];
  await trainNca(small, targets, {
    ...options,
    iterations: 30,
    gpu,
    onProgress: () => void held.push(gpu.statistics().held + gpu.statistics().spare),
  });
  // After every length of rollout was seen.
  assert.is(held[29], held[15]);
  targets.dispose();
});

test('the texture loss of planes larger than a workgroup sorts is that of the processor', async () => {
  // 72 x 70 positions: more than the 4096 pairs of 32 KiB.
  const shape: [number, number, number, number] = [2, 72, 70, 4];
  const settings = { scales: 2, patch: 5, projections: 8, factor: 10 };
  const loss = patchSlicedWasserstein(settings);
  const states = tf.tensor4d(randomStream(1, 'states').normals(2 * 72 * 70 * 4, 0, 0.3), shape);
  const targets = tf.tensor4d(randomStream(2, 'targets').uniforms(2 * 90 * 80 * 3), [2, 90, 80, 3]);
  const prepared = loss.prepare(targets);
  const expected = tf.tidy(() => {
    const { value, grad } = tf.valueAndGrad(x =>
      tf.sum(
        prepared.loss(
          tf.add(tf.slice(x as tf.Tensor4D, [0, 0, 0, 0], [-1, -1, -1, 3]), 0.5),
          randomStream(3, 'filters'),
        ),
      ),
    )(states);
    return { loss: value.dataSync()[0], gradient: grad.dataSync() as Float32Array };
  });
  const { randomFilters } = await import('../texture-loss.ts');
  const onGpu = await GpuTextureLoss.prepare(
    gpu,
    {
      settings: loss.patches!,
      channels: 4,
      realChannels: 4,
      rgb: { scale: 1, offset: 0.5 },
      batch: 1,
      overflow: 0,
    },
    { height: 72, width: 70 },
    { data: (await targets.data()) as Float32Array, height: 90, width: 80 },
  );
  const responses = onGpu.respond(randomFilters(loss.patches!, randomStream(3, 'filters')), 1);
  const block = gpu.upload((await states.data()) as Float32Array, 'states');
  const { stateGradient, losses } = onGpu.measure(block, 2, responses, [0]);
  const sum = (await gpu.numbers(losses, 2 * 16)).reduce((a, b) => a + b, 0);
  assert.ok(Math.abs(sum / expected.loss - 1) < 1e-5, `${sum} ${expected.loss}`);
  // Of 5040 responses some lie closer together than their rounding, and change ranks: each moves a patch's gradient by the gap between two quantiles.
  const gradient = await gpu.numbers(stateGradient, states.size);
  const off =
    Math.hypot(...gradient.map((x, i) => x - expected.gradient[i])) / Math.hypot(...expected.gradient);
  assert.ok(off < 1e-3, `${off}`);
  gpu.release(block, stateGradient, losses);
  onGpu.forget(responses);
  onGpu.dispose();
  prepared.dispose();
  tf.dispose([states, targets]);
});

/** A GPU of its own, whose device can be broken. */
async function breakable(change: (device: GPUDevice) => void = () => {}): Promise<Gpu> {
  const { create } = await import('webgpu' as string);
  const made: GPU = create([`adapter=${process.env.WEIGHTLOOM_GPU}`]);
  Object.assign(globalThis, { breakable: made });
  const opened = await Gpu.open(made, { name: process.env.WEIGHTLOOM_GPU });
  change(opened.device);
  return opened;
}

test('a device lost in the middle of a training ends it with a sentence, and it goes on from what was saved', async () => {
  const targets = pictures(1);
  const whole = await trainNca(small, targets, { ...options, gpu });
  const broken = await breakable();
  let saved: TrainedNcas['state'] | undefined;
  try {
    await trainNca(small, targets, {
      ...options,
      gpu: broken,
      async onProgress({ iteration }, trainer) {
        if (iteration === 2) saved = await trainer.state();
        if (iteration === 3) broken.device.destroy();
      },
    });
    assert.unreachable();
  } catch (error) {
    assert.instance(error, UserError);
    assert.match(
      (error as Error).message,
      /^the GPU was lost.*; what was saved last is kept, and the same command goes on/,
    );
  }
  const rest = await trainNca(small, targets, { ...options, state: saved, gpu });
  assert.equal(rest.weights, whole.weights);
  targets.dispose();
});

test('a training that a driver cannot compile, or that has no form for the GPU, runs on the processor and says so once', async () => {
  const targets = pictures(1);
  const said: string[] = [];
  const { error: write } = console;
  console.error = (sentence: string) => void said.push(sentence);
  try {
    const broken = await breakable(device => {
      const compile = device.createComputePipelineAsync.bind(device);
      device.createComputePipelineAsync = descriptor =>
        descriptor.label === 'NCA backward'
          ? Promise.reject(new Error('internal error'))
          : compile(descriptor);
    });
    const found = await trainNca(small, targets, { ...options, gpu: broken });
    await trainNca(small, targets, { ...options, gpu: broken });
    const expected = await trainNca(small, targets, { ...options, gpu: null });
    assert.equal(found.weights, expected.weights);
    assert.is(said.length, 1);
    assert.match(said[0], /NCA backward: its shader does not compile .*; the training runs on the processor/);
    const square = tf.image.resizeBilinear(targets, [10, 12]);
    await trainNca(small, square, { ...options, iterations: 1, loss: meanSquare(), gpu });
    assert.match(said[1], /"mean square" has no form for the GPU/);
    square.dispose();
  } finally {
    console.error = write;
  }
  targets.dispose();
});

test('every program of training and texture loss was run by the tests above', () =>
  assert.equal(unused(), []));

test.run();
