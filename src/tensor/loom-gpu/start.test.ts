// Faults of a driver under loom-gpu, with a stand-in that computes nothing; numbers are compared in *.gpu.test.ts.

import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { faultOf, GPUOutOfMemoryError, openStandIn } from '../../../property-tests/stand-in-gpu.ts';
import { tinyData, tinyDenoiser, tinyEncoder, tinySpec } from '../../../property-tests/tiny.ts';
import { stopGpu, useGpu } from '../../compute/index.ts';
import { UserError } from '../../config/index.ts';
import { edm, fitNormaliser } from '../../diffusion/index.ts';
import { checkpointSteps, trainDenoiser } from '../../training/index.ts';
import { fused, startBackend, tf } from '../index.ts';
import { kernels } from './kernels.ts';
import { loomGpuWith, startLoomGpu } from './start.ts';

await startBackend({ prefer: 'loom' });

/** Two faces of pages that tfjs-backend-webgpu asks for, and what the package webgpu gives it. */
Object.defineProperty(globalThis, Symbol.for('weightloom.gpu'), { value: {}, configurable: true });

/** What is said on standard error meanwhile. */
async function said(work: () => Promise<void>): Promise<string[]> {
  const sentences: string[] = [];
  const { error } = console;
  console.error = (sentence: string) => void sentences.push(sentence);
  try {
    await work();
  } finally {
    console.error = error;
  }
  return sentences;
}

/** A driver that does not compile the shaders of these labels. */
async function refusing(...labels: string[]) {
  const opened = await openStandIn();
  opened.device.compile = async ({ label }) => {
    if (labels.includes(label!)) throw new Error('register spill\nmore');
    return opened.device.createComputePipeline();
  };
  return opened;
}

test('a shader that a driver refuses is said once, and other operators take its place', async () => {
  const { gpu } = await refusing('layer norm', 'Adam');
  const sentences = await said(async () => {
    await startLoomGpu(gpu);
    await startLoomGpu(gpu);
  });
  assert.equal(sentences.map(sentence => sentence.split(':')[0]).sort(), ['Adam', 'layer norm'], 'once each');
  for (const sentence of sentences) {
    assert.match(
      sentence,
      /its shader does not compile on Card 9000: register spill; other operators compute it$/,
    );
  }
  assert.is(loomGpuWith('LoomLayerNorm'), undefined);
  assert.ok(loomGpuWith('LoomLinear', 'LoomLayerNormGradient'));
  assert.is(fused.stepsUnread(), false);
  const [norm, product] = ['LoomLayerNorm', 'LoomLinear'].map(name => kernels.get(name)!);
  let products = 0;
  kernels.set('LoomLayerNorm', {
    ...norm,
    run: () => {
      throw new Error('a refused kernel ran');
    },
  });
  kernels.set('LoomLinear', {
    ...product,
    run: (...given) => {
      products++;
      return product.run(...given);
    },
  });
  const before = tf.memory().numTensors;
  try {
    const shape = tf.tidy(() => {
      const normed = fused.layerNorm(tf.ones([3, 4]), tf.ones([4]), tf.ones([4]));
      return fused.linear(normed, tf.ones([4, 5]), null).shape;
    });
    assert.equal(shape, [3, 5]);
    assert.is(products, 1);
    // Adam by tfjs's operators.
    const list = tf.tidy(() => [0, 1, 2].map(() => tf.variable(tf.ones([4]))));
    const gradient = tf.ones([4]);
    const settings = { beta1: 0.9, beta2: 0.99, epsilon: 1e-8, rate: 0.1, correction: 1, keep: 1, scale: 1 };
    const [value, first, second] = list.map(variable => [variable]);
    fused.adamStep({ variables: value, first, second, gradients: [gradient] }, settings);
    tf.dispose([...list, gradient]);
  } finally {
    kernels.set('LoomLayerNorm', norm);
    kernels.set('LoomLinear', product);
  }
  assert.is(tf.memory().numTensors, before);
});

test('where nothing can take its place, tensors stay on the processor, and that is said', async () => {
  const { gpu } = await refusing('running sum');
  await tf.setBackend('loom');
  assert.match(
    await faultOf(() => startLoomGpu(gpu), 'refused'),
    /^running sum: its shader does not compile/,
  );
  assert.is(tf.getBackend(), 'loom');
  useGpu(gpu);
  const sentences = await said(async () => {
    const { backend, passedOver, summary } = await startBackend({ prefer: 'loom-gpu' });
    assert.is(backend, 'gpu');
    assert.is(tf.getBackend(), 'loom');
    assert.match(summary, /^gpu \(NCAs on Card 9000/);
    assert.match(passedOver.at(-1)!.reason, /running sum/);
  });
  assert.equal(sentences.length, 1);
  assert.match(sentences[0], /register spill; only NCAs run on the GPU$/);
  stopGpu();
});

test('a tensor above the limits of buffers and bindings is refused in a sentence with its operator', async () => {
  const { gpu } = await openStandIn();
  await startLoomGpu(gpu);
  const [large, larger] = [2 ** 19, 2 ** 21].map(length => tf.zeros([length]));
  assert.match(
    await faultOf(() => tf.tidy(() => fused.gelu(large)), 'limit'),
    /^Gelu: wants to see 2\.0 MiB at once, and this GPU shows a shader at most 1\.0 MiB/,
  );
  assert.match(
    await faultOf(() => tf.tidy(() => fused.gelu(larger)), 'limit'),
    /asked for 8\.0 MiB, and a buffer of this GPU has at most 4\.0 MiB/,
  );
  tf.dispose([large, larger]);
});

test('a full memory says what was asked for and what is held', async () => {
  const { gpu, device } = await openStandIn();
  await startLoomGpu(gpu);
  const x = tf.ones([2 ** 17]);
  const { createBuffer } = device;
  device.createBuffer = descriptor => {
    if (descriptor.size === 2 ** 19) device.found['out-of-memory'] = new GPUOutOfMemoryError();
    return createBuffer(descriptor);
  };
  const y = tf.tidy(() => fused.gelu(x));
  assert.match(
    await faultOf(() => y.data(), 'memory'),
    /^the GPU is out of memory in Gelu: asked for 0\.5 MiB, [\d.]+ MiB held$/,
  );
  gpu.faults.forgive();
  tf.dispose([x, y]);
});

test('a device lost in the middle of a training ends it with a sentence, and it goes on from its last checkpoint', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'weightloom-lost-'));
  const data = tinyData(16);
  const train = async (steps: number) => {
    const [denoiser, encoder] = [tinyDenoiser({ tokens: 3 }), tinyEncoder(3)];
    try {
      return await trainDenoiser({
        ...{ denoiser, encoder, diffusion: edm(), normaliser: fitNormaliser(tinySpec, data.weights), data },
        settings: { steps, batch: 8 },
        checkpoint: {
          folder: join(folder, 'checkpoints'),
          identity: { config: {}, dataHash: 'same' },
          everySteps: 2,
          resume: true,
        },
      });
    } finally {
      denoiser.dispose();
      encoder.dispose();
    }
  };
  const { gpu, device } = await openStandIn();
  useGpu(gpu);
  await startBackend({ prefer: 'loom-gpu' });
  let submits = 0;
  device.queue.submit = () => {
    if (++submits > 30) device.lose({ reason: 'unknown', message: 'the card fell off the bus' });
  };
  device.map = async () => {
    if (submits > 30) throw new Error('aborted');
  };
  try {
    const ended = await train(1000).catch(error => error);
    assert.instance(ended, UserError);
    const kept = checkpointSteps(join(folder, 'checkpoints')).at(-1)!;
    assert.ok(kept >= 2 && kept % 2 === 0);
    assert.match(ended.message, /^the GPU was lost.* \(the card fell off the bus\); the training ends, /);
    assert.ok(ended.message.endsWith(`its checkpoint of step ${kept} is kept`));
    // Nothing half-written.
    assert.not.ok(readdirSync(join(folder, 'checkpoints')).some(name => !/^step-\d{8}$/.test(name)));
    await startBackend({ prefer: 'loom' });
    const { steps, stopped } = await train(kept + 3);
    assert.equal([steps, stopped], [kept + 3, 'steps']);
  } finally {
    if (existsSync(folder)) rmSync(folder, { recursive: true });
  }
});

// Both are optional dependencies.
const resolve = createRequire(import.meta.url).resolve;
const missing = ['webgpu', '@tensorflow/tfjs-backend-webgpu'].find(name => {
  try {
    return !resolve(name);
  } catch {
    return true;
  }
});
if (missing) console.log(`faults under loom-gpu are not tried: ${missing} is not installed`);
else test.run();
