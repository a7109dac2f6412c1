import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Gpu, GpuError, startGpu } from '../index.ts';

/** Stands in for what a driver gives; each test makes one thing of it go wrong. */
class Device extends EventTarget {
  readonly limits = {
    maxStorageBufferBindingSize: 2 ** 20,
    maxBufferSize: 2 ** 22,
    maxComputeWorkgroupStorageSize: 16384,
    maxComputeInvocationsPerWorkgroup: 256,
    maxComputeWorkgroupsPerDimension: 65535,
    maxStorageBuffersPerShaderStage: 8,
  };
  lose: (info: { reason: string; message: string }) => void = () => {};
  readonly lost = new Promise(resolve => {
    this.lose = resolve;
  });
  /** What the next scopes find, by their filter. */
  readonly found: Record<string, unknown> = {};
  private readonly scopes: string[] = [];
  compile = async (): Promise<unknown> => ({ getBindGroupLayout: () => ({}) });
  map = async (): Promise<void> => {};
  readonly queue = { submit() {}, writeBuffer() {}, onSubmittedWorkDone: async () => {} };
  pushErrorScope(filter: string) {
    this.scopes.push(filter);
  }
  async popErrorScope() {
    const filter = this.scopes.pop()!;
    const error = this.found[filter] ?? null;
    delete this.found[filter];
    return error;
  }
  createShaderModule = () => ({});
  createComputePipelineAsync = () => this.compile();
  createBindGroup = () => ({});
  createBuffer = ({ size }: { size: number }) => ({
    size,
    destroy() {},
    unmap() {},
    mapAsync: () => this.map(),
    getMappedRange: () => new ArrayBuffer(size),
  });
  createCommandEncoder = () => ({
    beginComputePass: () => ({ setPipeline() {}, setBindGroup() {}, dispatchWorkgroups() {}, end() {} }),
    copyBufferToBuffer() {},
    clearBuffer() {},
    finish: () => ({}),
  });
  destroy() {
    this.lose({ reason: 'destroyed', message: 'destroyed' });
  }
}

class GPUOutOfMemoryError {
  readonly message = 'no room';
}
class GPUValidationError {
  constructor(readonly message: string) {}
}

const adapter = (device: Device, more: object = {}) => ({
  info: {
    description: 'Card 9000',
    vendor: 'acme',
    architecture: 'nine',
    device: '',
    isFallbackAdapter: false,
  },
  features: new Set(['subgroups']),
  limits: device.limits,
  requestDevice: async () => device,
  ...more,
});
const gpuOf = (found: object | null) => ({ requestAdapter: async () => found }) as unknown as GPU;
const open = async () => {
  const device = new Device();
  return { device, gpu: await Gpu.open(gpuOf(adapter(device))) };
};

async function sentence(work: () => unknown, fault: string): Promise<string> {
  try {
    await work();
  } catch (error) {
    assert.instance(error, GpuError);
    assert.is((error as GpuError).fault, fault);
    const { message } = error as GpuError;
    assert.not.match(message, /\n/);
    return message;
  }
  throw new Error('nothing was thrown');
}

test('where there is no adapter, or not the one that was asked for, a sentence says so', async () => {
  const device = new Device();
  const none = gpuOf(null);
  assert.match(await sentence(() => Gpu.open(none), 'absent'), /no driver with Vulkan/);
  const software = { description: 'llvmpipe', vendor: 'mesa', architecture: 'software', device: '' };
  const lavapipe = gpuOf(adapter(device, { info: software }));
  assert.match(
    await sentence(() => Gpu.open(lavapipe), 'absent'),
    /only a program on the processor \(llvmpipe\)/,
  );
  assert.is((await Gpu.open(lavapipe, { name: 'LLVM' })).report.software, true);
  const other = gpuOf(adapter(device));
  assert.match(
    await sentence(() => Gpu.open(other, { name: 'h100' }), 'absent'),
    /called "h100": found Card 9000/,
  );
});

test('a driver without the features, or that gives no device, is told of', async () => {
  const device = new Device();
  const gpu = gpuOf(adapter(device));
  const required: GPUFeatureName[] = ['subgroups', 'shader-f16'];
  assert.match(await sentence(() => Gpu.open(gpu, { required }), 'absent'), /Card 9000 lacks shader-f16/);
  const refuses = gpuOf(
    adapter(device, { requestDevice: () => Promise.reject(new Error('busy\nat driver.cc')) }),
  );
  assert.match(await sentence(() => Gpu.open(refuses), 'absent'), /gave no device: busy$/);
});

test('WEIGHTLOOM_GPU=off refuses before anything is loaded', async () => {
  const before = process.env.WEIGHTLOOM_GPU;
  process.env.WEIGHTLOOM_GPU = 'off';
  try {
    assert.match(await sentence(() => startGpu(), 'absent'), /WEIGHTLOOM_GPU=off/);
  } finally {
    if (before === undefined) delete process.env.WEIGHTLOOM_GPU;
    else process.env.WEIGHTLOOM_GPU = before;
  }
});

test('a refused command is an error of the read, and names its operator', async () => {
  const { device, gpu } = await open();
  const block = gpu.allocate(64, 'numbers');
  gpu.run(await gpu.program('layer norm', 'code'), [block], 1);
  device.found.validation = new GPUValidationError('a binding is missing\n - while encoding');
  assert.match(
    await sentence(() => gpu.read(block), 'refused'),
    /refused in layer norm: a binding is missing$/,
  );
  // Nothing can be read until somebody has dealt with it.
  await sentence(() => gpu.read(block), 'refused');
  gpu.faults.forgive();
  await gpu.read(block);
});

test('what no scope saw comes as an event, and is an error of the next read', async () => {
  const { device, gpu } = await open();
  const block = gpu.allocate(64, 'numbers');
  const event = Object.assign(new Event('uncapturederror', { cancelable: true }), {
    error: new GPUValidationError('mislaid'),
  });
  device.dispatchEvent(event);
  assert.is(event.defaultPrevented, true);
  assert.match(await sentence(() => gpu.read(block), 'refused'), /mislaid/);
});

test('a lost device ends every read with the operator at work', async () => {
  const { device, gpu } = await open();
  const block = gpu.allocate(64, 'numbers');
  gpu.run(await gpu.program('NCA backward', 'code'), [block], 1);
  device.map = async () => {
    device.lose({ reason: 'unknown', message: 'the card fell off the bus' });
    throw new Error('aborted');
  };
  assert.match(
    await sentence(() => gpu.read(block), 'lost'),
    /the GPU was lost in NCA backward \(the card fell off the bus\)/,
  );
  gpu.faults.forgive();
  // A lost device stays lost.
  await sentence(() => gpu.allocate(4, 'more'), 'lost');
});

test('a full memory says what was asked for and what is held', async () => {
  const { device, gpu } = await open();
  gpu.allocate(2 ** 20, 'states');
  device.found['out-of-memory'] = new GPUOutOfMemoryError();
  const block = gpu.allocate(2 ** 21, 'gradients');
  assert.match(
    await sentence(() => gpu.read(block), 'memory'),
    /out of memory in gradients: asked for 2\.0 MiB, 3\.0 MiB held/,
  );
});

test('what is larger than a buffer or a binding may be is refused at once', async () => {
  const { gpu } = await open();
  assert.match(
    await sentence(() => gpu.allocate(2 ** 23, 'weights'), 'limit'),
    /weights: asked for 8\.0 MiB, and a buffer of this GPU has at most 4\.0 MiB/,
  );
  const block = gpu.allocate(2 ** 21, 'states');
  const program = await gpu.program('NCA forward', 'code');
  assert.match(
    await sentence(() => gpu.run(program, [block], 1), 'limit'),
    /NCA forward: wants to see 2\.0 MiB at once, and this GPU shows a shader at most 1\.0 MiB/,
  );
  gpu.run(program, [{ block, offset: 0, bytes: 2 ** 20 }], 1);
  assert.match(await sentence(() => gpu.run(program, [block], 70000), 'limit'), /70000 x 1 x 1 workgroups/);
});

test('a shader that does not compile is told of with its operator, each time it is asked for', async () => {
  const { device, gpu } = await open();
  device.compile = () => Promise.reject(new Error('register spill\nmore'));
  for (let i = 0; i < 2; i++) {
    assert.match(
      await sentence(() => gpu.program('softmax', 'code'), 'refused'),
      /softmax: its shader does not compile on Card 9000: register spill$/,
    );
  }
});

test('blocks are handed out again, and the pool knows what is held', async () => {
  const { gpu } = await open();
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
