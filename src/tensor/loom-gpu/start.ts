/** Loads tfjs-backend-webgpu and makes the backend `loom-gpu` of it, on the device that src/compute opened. */
import * as tf from '@tensorflow/tfjs-core';
import { type Gpu, GpuError, gpuGlobals, tellOnce } from '../../compute/index.ts';
import { backendClass, ENOUGH, type LoomGpuBackend } from './backend.ts';
import { kernels } from './kernels.ts';
import './attention.ts';
import './blocks.ts';
import './edges.ts';
import './elementwise.ts';
import './gemm.ts';
import './norm.ts';
import './optimiser.ts';
import './reduce.ts';

const NAME = 'loom-gpu';
let backend: LoomGpuBackend | undefined;

/** The backend in charge when it is loom-gpu, else undefined. */
export const loomGpuInCharge = (): LoomGpuBackend | undefined =>
  backend !== undefined && tf.engine().backend === (backend as unknown) ? backend : undefined;

/** The backend in charge when it is loom-gpu and all these kernels run on it; a seam then takes them, else the operator's parts. */
export const loomGpuWith = (...names: readonly string[]): LoomGpuBackend | undefined => {
  const inCharge = loomGpuInCharge();
  return inCharge?.has(...names) ? inCharge : undefined;
};

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
        const { inputs, attrs } = args;
        const running = args.backend as LoomGpuBackend;
        // biome-ignore lint/suspicious/noExplicitAny: tfjs gives kernels' arguments no type
        const out = running.has(kernelName) && kernels.get(kernelName)!.run(inputs as any, attrs, running);
        if (out) return out;
        if (!other) throw new Error(`${kernelName}: no kernel of ${NAME} for this case`);
        return other.kernelFunc(args);
      },
    });
  }
}

/**
 * Compiles our shaders before anything is computed, when it can still be done otherwise: an operator whose shader this driver refuses is made of other
 * operators, which is said once.
 * @throws GpuError `refused` where there are none that would give right numbers
 */
async function prepare(made: LoomGpuBackend): Promise<void> {
  const { report } = made.gpu;
  const shadersOf = new Map([...kernels].map(([name, { shaders }]) => [name, shaders(report)]));
  for (const [name, error] of await made.prepare(shadersOf)) {
    if (kernels.get(name)!.needed) throw error;
    tellOnce(`${error.message}; other operators compute it`);
  }
}

/**
 * Makes `loom-gpu` the backend of tfjs.
 * @throws GpuError when its package does not load, or the driver refuses a shader that nothing can take the place of
 */
export async function startLoomGpu(gpu: Gpu): Promise<void> {
  const { WebGPUBackend } = await load();
  // Small tensors would be computed by other kernels, in JavaScript, and hide what the GPU's do.
  tf.env().set('WEBGPU_CPU_FORWARD', false);
  tf.env().set('WEBGPU_DEFERRED_SUBMIT_BATCH_SIZE', ENOUGH);
  const made = new (backendClass(WebGPUBackend))(gpu);
  await prepare(made);
  if (tf.findBackend(NAME)) tf.removeBackend(NAME);
  else register();
  tf.registerBackend(NAME, () => made as unknown as tf.KernelBackend, 0);
  backend = made;
  await tf.setBackend(NAME);
  await tf.ready();
}
