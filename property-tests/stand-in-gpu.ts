/** A stand-in for a GPU and its driver, which computes nothing: each test makes one thing of it go wrong. */
import * as assert from 'uvu/assert';
import { Gpu, GpuError } from '../src/compute/index.ts';

type Refusal = (descriptor: { label?: string }) => Promise<unknown>;

/** What a driver gives. */
export class StandInDevice extends EventTarget {
  readonly limits = {
    maxStorageBufferBindingSize: 2 ** 20,
    maxBufferSize: 2 ** 22,
    maxComputeWorkgroupStorageSize: 16384,
    maxComputeInvocationsPerWorkgroup: 256,
    maxComputeWorkgroupsPerDimension: 65535,
    maxStorageBuffersPerShaderStage: 8,
  };
  readonly features = new Set<string>();
  lose: (info: { reason: string; message: string }) => void = () => {};
  readonly lost = new Promise(resolve => {
    this.lose = resolve;
  });
  /** What the next scopes find, by their filter. */
  readonly found: Record<string, unknown> = {};
  private readonly scopes: string[] = [];
  compile: Refusal = async () => this.createComputePipeline();
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
  createComputePipeline = (): unknown => ({ getBindGroupLayout: () => ({}) });
  createComputePipelineAsync = (descriptor: { label?: string }) => this.compile(descriptor);
  createBindGroup = () => ({});
  createBindGroupLayout = () => ({});
  createPipelineLayout = () => ({});
  createBuffer = ({ size, usage }: { size: number; usage: number }) => ({
    size,
    usage,
    mapState: 'unmapped',
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

/** Errors by whose class the kind is known. */
export class GPUOutOfMemoryError {
  readonly message = 'no room';
}
export class GPUValidationError {
  constructor(readonly message: string) {}
}

/** An adapter that gives this device. */
export const standInAdapter = (device: StandInDevice, more: object = {}) => ({
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

/** What a page has as navigator.gpu. */
export const standInGpu = (found: object | null) => ({ requestAdapter: async () => found }) as unknown as GPU;

/** An open GPU and the device behind it. */
export async function openStandIn(): Promise<{ device: StandInDevice; gpu: Gpu }> {
  const device = new StandInDevice();
  return { device, gpu: await Gpu.open(standInGpu(standInAdapter(device))) };
}

/** The sentence of the GPU's fault that `work` ends with, which must be of this kind. */
export async function faultOf(work: () => unknown, fault: string): Promise<string> {
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
