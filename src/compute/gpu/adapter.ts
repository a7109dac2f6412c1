/** Which adapter computes, and what it can do. */
import { firstLine, GpuError } from './failure.ts';

/** What an adapter tells of itself, and what of it is used. */
export interface GpuReport {
  /** The card as its driver names it. */
  readonly name: string;
  readonly vendor: string;
  readonly architecture: string;
  /** Whether it is a program on the processor, such as lavapipe or SwiftShader. */
  readonly software: boolean;
  /** Optional features that were found and asked for. */
  readonly features: readonly string[];
  /** Bytes one shader may bind at once, of a buffer, and of a workgroup's own memory. */
  readonly maxBinding: number;
  readonly maxBuffer: number;
  readonly workgroupMemory: number;
  /** Threads of a workgroup, workgroups along one axis, buffers one shader may see. */
  readonly maxInvocations: number;
  readonly maxWorkgroups: number;
  readonly maxStorageBuffers: number;
}

/** Limits of the adapter that are asked for as they are. */
const LIMITS = [
  'maxComputeWorkgroupStorageSize',
  'maxComputeInvocationsPerWorkgroup',
  'maxComputeWorkgroupSizeX',
  'maxComputeWorkgroupsPerDimension',
  'maxStorageBufferBindingSize',
  'maxStorageBuffersPerShaderStage',
  'maxBufferSize',
] as const;

/** Features that are used where they are. */
const FEATURES = ['subgroups', 'shader-f16', 'timestamp-query'] as const;

const isSoftware = ({ architecture, description, isFallbackAdapter }: GPUAdapterInfo) =>
  isFallbackAdapter === true || /software|llvmpipe|swiftshader/i.test(`${architecture} ${description}`);

const nameOf = ({ description, device, vendor }: GPUAdapterInfo) =>
  description || device || vendor || 'unnamed';

/** What is said where no adapter has the name that was asked for. */
export const notCalled = (name: string): string => `no GPU called ${JSON.stringify(name)}`;

/** An adapter and a device of it. */
export interface OpenedDevice {
  readonly device: GPUDevice;
  readonly report: GpuReport;
}

/** Which adapter is wanted: any that is a card, or one whose name has this in it. */
export interface AdapterChoice {
  readonly name?: string;
  /** Features without which a device is of no use to the caller. */
  readonly required?: readonly GPUFeatureName[];
}

/**
 * Opens a device of `gpu`: a card, or what `name` asks for (software too).
 * @throws GpuError `absent` that says why there is none
 */
export async function openDevice(
  gpu: GPU,
  { name, required = [] }: AdapterChoice = {},
): Promise<OpenedDevice> {
  let adapter: GPUAdapter | null;
  try {
    adapter = await gpu.requestAdapter({ powerPreference: 'high-performance' });
  } catch (error) {
    const reason = `no GPU: the driver gave no adapter (${firstLine((error as Error).message)})`;
    throw new GpuError('absent', name === undefined ? reason : notCalled(name));
  }
  if (!adapter) {
    const reason = 'no GPU: no driver with Vulkan, Metal or Direct3D 12 was found';
    throw new GpuError('absent', name === undefined ? reason : notCalled(name));
  }
  const { info, limits } = adapter;
  const found = nameOf(info);
  const software = isSoftware(info);
  if (name === undefined && software) {
    throw new GpuError(
      'absent',
      `no GPU: only a program on the processor (${found}); WEIGHTLOOM_GPU=NAME takes it`,
    );
  }
  if (
    name !== undefined &&
    !`${found} ${info.vendor} ${info.device}`.toLowerCase().includes(name.toLowerCase())
  ) {
    throw new GpuError('absent', `${notCalled(name)}; there is ${found}`);
  }
  const missing = required.filter(feature => !adapter.features.has(feature));
  if (missing.length > 0) throw new GpuError('absent', `${found} lacks ${missing.join(', ')}`);
  const features = FEATURES.filter(feature => adapter.features.has(feature));
  let device: GPUDevice;
  try {
    device = await adapter.requestDevice({
      label: 'weightloom',
      requiredFeatures: [...new Set([...features, ...required])],
      requiredLimits: Object.fromEntries(LIMITS.map(limit => [limit, limits[limit]])),
    });
  } catch (error) {
    throw new GpuError('absent', `${found} gave no device: ${firstLine((error as Error).message)}`);
  }
  const report: GpuReport = {
    name: found,
    vendor: info.vendor,
    architecture: info.architecture,
    software,
    features: [...features],
    maxBinding: device.limits.maxStorageBufferBindingSize,
    maxBuffer: device.limits.maxBufferSize,
    workgroupMemory: device.limits.maxComputeWorkgroupStorageSize,
    maxInvocations: device.limits.maxComputeInvocationsPerWorkgroup,
    maxWorkgroups: device.limits.maxComputeWorkgroupsPerDimension,
    maxStorageBuffers: device.limits.maxStorageBuffersPerShaderStage,
  };
  return { device, report };
}

/** The report in one line. */
export const gpuSummary = ({ name, features }: GpuReport): string =>
  `${name}${features.length > 0 ? ` (${features.join(', ')})` : ''}`;
