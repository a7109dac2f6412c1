/** The kernels of `loom-gpu`, by name, before tfjs knows of them. */
import type { TensorInfo } from '@tensorflow/tfjs-core';
import type { LoomGpuBackend } from './backend.ts';

type Inputs = Record<string, TensorInfo>;
// biome-ignore lint/suspicious/noExplicitAny: the attributes differ from kernel to kernel and tfjs gives them no type
type Attributes = any;

/** Computes the kernel, or returns undefined to leave the case to tfjs-backend-webgpu. */
export type GpuKernel = (
  inputs: Inputs,
  attributes: Attributes,
  backend: LoomGpuBackend,
) => TensorInfo | TensorInfo[] | undefined;

export const kernels = new Map<string, GpuKernel>();

/** Announces a kernel. */
export const define = (name: string, kernel: GpuKernel): void => void kernels.set(name, kernel);
