import { test } from 'uvu';
import * as assert from 'uvu/assert';
import {
  faultOf,
  GPUOutOfMemoryError,
  GPUValidationError,
  openStandIn,
  StandInDevice,
  standInAdapter,
  standInGpu,
} from '../../../property-tests/stand-in-gpu.ts';
import { Gpu, startGpu } from '../index.ts';

test('where there is no adapter, or not the one that was asked for, a sentence says so', async () => {
  const device = new StandInDevice();
  const none = standInGpu(null);
  assert.match(await faultOf(() => Gpu.open(none), 'absent'), /no driver with Vulkan/);
  const software = { description: 'llvmpipe', vendor: 'mesa', architecture: 'software', device: '' };
  const lavapipe = standInGpu(standInAdapter(device, { info: software }));
  assert.match(
    await faultOf(() => Gpu.open(lavapipe), 'absent'),
    /only a program on the processor \(llvmpipe\)/,
  );
  assert.is((await Gpu.open(lavapipe, { name: 'LLVM' })).report.software, true);
  const other = standInGpu(standInAdapter(device));
  assert.match(
    await faultOf(() => Gpu.open(other, { name: 'h100' }), 'absent'),
    /called "h100"; there is Card 9000/,
  );
});

test('a driver without the features, or that gives no device, is told of', async () => {
  const device = new StandInDevice();
  const gpu = standInGpu(standInAdapter(device));
  const required: GPUFeatureName[] = ['subgroups', 'shader-f16'];
  assert.match(await faultOf(() => Gpu.open(gpu, { required }), 'absent'), /Card 9000 lacks shader-f16/);
  const refuses = standInGpu(
    standInAdapter(device, { requestDevice: () => Promise.reject(new Error('busy\nat driver.cc')) }),
  );
  assert.match(await faultOf(() => Gpu.open(refuses), 'absent'), /gave no device: busy$/);
});

test('WEIGHTLOOM_GPU=off refuses before anything is loaded', async () => {
  const before = process.env.WEIGHTLOOM_GPU;
  process.env.WEIGHTLOOM_GPU = 'off';
  try {
    assert.match(await faultOf(() => startGpu(), 'absent'), /WEIGHTLOOM_GPU=off/);
  } finally {
    if (before === undefined) delete process.env.WEIGHTLOOM_GPU;
    else process.env.WEIGHTLOOM_GPU = before;
  }
});

test('a refused command is an error of the read, and names its operator', async () => {
  const { device, gpu } = await openStandIn();
  const block = gpu.allocate(64, 'numbers');
  gpu.run(await gpu.program('layer norm', 'code'), [block], 1);
  device.found.validation = new GPUValidationError('a binding is missing\n - while encoding');
  assert.match(
    await faultOf(() => gpu.read(block), 'refused'),
    /refused in layer norm: a binding is missing$/,
  );
  // Nothing can be read until somebody has dealt with it.
  await faultOf(() => gpu.read(block), 'refused');
  gpu.faults.forgive();
  await gpu.read(block);
});

test('what no scope saw comes as an event, and is an error of the next read', async () => {
  const { device, gpu } = await openStandIn();
  const block = gpu.allocate(64, 'numbers');
  const event = Object.assign(new Event('uncapturederror', { cancelable: true }), {
    error: new GPUValidationError('mislaid'),
  });
  device.dispatchEvent(event);
  assert.is(event.defaultPrevented, true);
  assert.match(await faultOf(() => gpu.read(block), 'refused'), /mislaid/);
});

test('a lost device ends every read with the operator at work', async () => {
  const { device, gpu } = await openStandIn();
  const block = gpu.allocate(64, 'numbers');
  gpu.run(await gpu.program('NCA backward', 'code'), [block], 1);
  device.map = async () => {
    device.lose({ reason: 'unknown', message: 'the card fell off the bus' });
    throw new Error('aborted');
  };
  assert.match(
    await faultOf(() => gpu.read(block), 'lost'),
    /the GPU was lost in NCA backward \(the card fell off the bus\)/,
  );
  gpu.faults.forgive();
  // A lost device stays lost.
  await faultOf(() => gpu.allocate(4, 'more'), 'lost');
});

test('a full memory says what was asked for and what is held', async () => {
  const { device, gpu } = await openStandIn();
  gpu.allocate(2 ** 20, 'states');
  device.found['out-of-memory'] = new GPUOutOfMemoryError();
  const block = gpu.allocate(2 ** 21, 'gradients');
  assert.match(
    await faultOf(() => gpu.read(block), 'memory'),
    /out of memory in gradients: asked for 2\.0 MiB, 3\.0 MiB held/,
  );
});

test('what is larger than a buffer or a binding may be is refused at once', async () => {
  const { gpu } = await openStandIn();
  assert.match(
    await faultOf(() => gpu.allocate(2 ** 23, 'weights'), 'limit'),
    /weights: asked for 8\.0 MiB, and a buffer of this GPU has at most 4\.0 MiB/,
  );
  const block = gpu.allocate(2 ** 21, 'states');
  const program = await gpu.program('NCA forward', 'code');
  assert.match(
    await faultOf(() => gpu.run(program, [block], 1), 'limit'),
    /NCA forward: wants to see 2\.0 MiB at once, and this GPU shows a shader at most 1\.0 MiB/,
  );
  gpu.run(program, [{ block, offset: 0, bytes: 2 ** 20 }], 1);
  assert.match(await faultOf(() => gpu.run(program, [block], 70000), 'limit'), /70000 x 1 x 1 workgroups/);
});

test('a shader that does not compile is told of with its operator, each time it is asked for', async () => {
  const { device, gpu } = await openStandIn();
  device.compile = () => Promise.reject(new Error('register spill\nmore'));
  for (let i = 0; i < 2; i++) {
    assert.match(
      await faultOf(() => gpu.program('softmax', 'code'), 'refused'),
      /softmax: its shader does not compile on Card 9000: register spill$/,
    );
  }
});

test('blocks are handed out again, and the pool knows what is held', async () => {
  const { gpu } = await openStandIn();
  const first = gpu.allocate(1000, 'a');
  assert.is(gpu.statistics().held, 1024);
  gpu.release(first);
  assert.equal([gpu.statistics().held, gpu.statistics().spare], [0, 1024]);
  const again = gpu.allocate(900, 'b');
  assert.is(again.buffer, first.buffer);
  assert.throws(() => gpu.release(again, again), /given back twice/);
  gpu.trim();
  assert.is(gpu.statistics().spare, 0);
});

test.run();
