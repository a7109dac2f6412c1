/** The kernels of `loom-gpu`, by name, before tfjs knows of them. */
import type { TensorInfo } from '@tensorflow/tfjs-core';
import type { GpuReport } from '../../compute/index.ts';
import type { LoomGpuBackend } from './backend.ts';
import type { Shader } from './shader.ts';

type Inputs = Record<string, TensorInfo>;
// biome-ignore lint/suspicious/noExplicitAny: the attributes differ from kernel to kernel and tfjs gives them no type
type Attributes = any;

/** Computes the kernel, or returns undefined to leave the case to tfjs-backend-webgpu. */
export type GpuKernel = (
  inputs: Inputs,
  attributes: Attributes,
  backend: LoomGpuBackend,
) => TensorInfo | TensorInfo[] | undefined;

/** A kernel and all shaders that it may run, on a device of these limits. */
export interface DefinedKernel {
  readonly run: GpuKernel;
  readonly shaders: (report: GpuReport) => readonly Shader[];
  /** Whether nothing else may take its place: tfjs-backend-webgpu's own gives wrong numbers. */
  readonly needed: boolean;
}

export const kernels = new Map<string, DefinedKernel>();

/** Announces a kernel. */
export const define = (
  name: string,
  shaders: readonly Shader[] | ((report: GpuReport) => readonly Shader[]),
  run: GpuKernel,
  { needed = false } = {},
): void =>
  void kernels.set(name, { run, shaders: typeof shaders === 'function' ? shaders : () => shaders, needed });
