/** Loads tfjs-backend-webgpu and makes the backend `loom-gpu` of it, on the device that src/compute opened. */
import * as tf from '@tensorflow/tfjs-core';
import { type Gpu, GpuError, gpuGlobals } from '../../compute/index.ts';
import { backendClass, type LoomGpuBackend } from './backend.ts';
import { kernels } from './kernels.ts';
import './attention.ts';
import './edges.ts';
import './elementwise.ts';
import './gemm.ts';
import './norm.ts';
import './reduce.ts';

const NAME = 'loom-gpu';
let backend: LoomGpuBackend | undefined;

/** The backend in charge when it is loom-gpu, else undefined. */
export const loomGpuInCharge = (): LoomGpuBackend | undefined =>
  backend !== undefined && tf.engine().backend === (backend as unknown) ? backend : undefined;

async function load() {
  await gpuGlobals();
  try {
    return await import('@tensorflow/tfjs-backend-webgpu' as string);
  } catch (error) {
    throw new GpuError(
      'absent',
      `the package @tensorflow/tfjs-backend-webgpu does not load: ${(error as Error).message.split('\n')[0].slice(0, 200)}`,
    );
  }
}

/** Registers kernels under the backend's name: ours where there is one for the case, else theirs. */
function register(): void {
  const theirs = new Map(tf.getKernelsForBackend('webgpu').map(kernel => [kernel.kernelName, kernel]));
  for (const kernelName of new Set([...theirs.keys(), ...kernels.keys()])) {
    const other = theirs.get(kernelName);
    tf.registerKernel({
      kernelName,
      backendName: NAME,
      kernelFunc: args => {
        // biome-ignore lint/suspicious/noExplicitAny: tfjs gives kernels' arguments no type
        const out = kernels.get(kernelName)?.(args.inputs as any, args.attrs, args.backend as LoomGpuBackend);
        if (out) return out;
        if (!other) throw new Error(`${kernelName}: no kernel of ${NAME} for this case`);
        return other.kernelFunc(args);
      },
    });
  }
}

/** Makes `loom-gpu` the backend of tfjs. @throws GpuError when its package does not load */
export async function startLoomGpu(gpu: Gpu): Promise<void> {
  const { WebGPUBackend } = await load();
  // Small tensors would be computed by other kernels, in JavaScript, and hide what the GPU's do.
  tf.env().set('WEBGPU_CPU_FORWARD', false);
  if (tf.findBackend(NAME)) tf.removeBackend(NAME);
  else register();
  const made = new (backendClass(WebGPUBackend))(gpu);
  tf.registerBackend(NAME, () => made as unknown as tf.KernelBackend, 0);
  backend = made;
  await tf.setBackend(NAME);
  await tf.ready();
}
