/** How loom's kernels are made known to tfjs: each may decline a case, which then goes to tfjs-backend-cpu's kernel of that name. */
import {
  getKernel,
  getKernelsForBackend,
  type KernelFunc,
  registerKernel,
  type TensorInfo,
  util,
} from '@tensorflow/tfjs-core';
import type { LoomBackend } from './loom-backend.ts';

type Inputs = Record<string, TensorInfo>;
// biome-ignore lint/suspicious/noExplicitAny: the attributes differ from kernel to kernel and tfjs gives them no type
type Attributes = any;

/** Computes the kernel, or returns undefined to leave the case to tfjs-backend-cpu. */
export type LoomKernel = (
  inputs: Inputs,
  attributes: Attributes,
  backend: LoomBackend,
) => TensorInfo | TensorInfo[] | undefined;

const kernels = new Map<string, LoomKernel>();

/** Announces loom's kernel of a name. */
export function define(name: string, kernel: LoomKernel): void {
  kernels.set(name, kernel);
}

/** Runs a kernel of the loom backend from inside another one. */
export function run(name: string, inputs: Inputs, attributes: Attributes, backend: LoomBackend): TensorInfo {
  return getKernel(name, 'loom').kernelFunc({ inputs, attrs: attributes, backend }) as TensorInfo;
}

/** Registers with tfjs: ours where there is one, tfjs-backend-cpu's for every other name it has, and ours that it has not. */
export function registerKernels(): void {
  for (const { kernelName, kernelFunc, setupFunc, disposeFunc } of getKernelsForBackend('cpu')) {
    const ours = kernels.get(kernelName);
    const chosen: KernelFunc = ours
      ? args =>
          ours(args.inputs as Inputs, args.attrs as Attributes, args.backend as LoomBackend) ??
          kernelFunc(args)
      : kernelFunc;
    registerKernel({ kernelName, backendName: 'loom', kernelFunc: guarded(chosen), setupFunc, disposeFunc });
  }
  for (const [kernelName, kernel] of kernels) {
    if (getKernel(kernelName, 'loom')) continue;
    const kernelFunc: KernelFunc = args => {
      const out = kernel(args.inputs as Inputs, args.attrs as Attributes, args.backend as LoomBackend);
      if (!out) throw new Error(`${kernelName}: expected float32 tensors`);
      return out;
    };
    registerKernel({ kernelName, backendName: 'loom', kernelFunc: guarded(kernelFunc) });
  }
}

/** The same kernel, which releases what it made when it throws. */
const guarded =
  (kernel: KernelFunc): KernelFunc =>
  args =>
    (args.backend as LoomBackend).guard(() => kernel(args));

/** Names of the kernels that are loom's own, at least for some inputs. */
export const ownKernels = (): string[] => [...kernels.keys()];

export const sizeOf = (tensor: TensorInfo): number => util.sizeFromShape(tensor.shape);

/** Length of the last axis. */
export const lastOf = (tensor: TensorInfo): number => tensor.shape[tensor.shape.length - 1];

export const allFloat = (...tensors: TensorInfo[]): boolean => tensors.every(t => t.dtype === 'float32');

/** Runs `work` on a fresh output and hands it over; when the work throws, the output is released first. */
export function filled(
  backend: LoomBackend,
  shape: number[],
  dtype: 'float32' | 'int32' | 'bool',
  work: (address: number) => void,
): TensorInfo {
  const out = backend.output(shape, dtype);
  try {
    work(backend.address(out));
  } catch (error) {
    backend.disposeIntermediateTensorInfo(out);
    throw error;
  }
  return out;
}

/** The same numbers under another shape: shares the memory, counts as one more holder of it. */
export function alias(backend: LoomBackend, tensor: TensorInfo, shape: number[]): TensorInfo {
  backend.incRef(tensor.dataId);
  return { dataId: tensor.dataId, shape, dtype: tensor.dtype };
}

/** Bands of at least `minimum` items each, no more than `most` of them: how many items each takes. */
export const share = (items: number, minimum: number, most = 16): number =>
  Math.max(1, minimum, Math.ceil(items / most));
