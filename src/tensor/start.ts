/**
 * Which tfjs backend computes. TensorFlow's native library is taken where it has a GPU; on a processor alone loom trains the six
 * denoisers faster (bench/README.md, "Six denoisers on three engines"), and TensorFlow is there for those who ask for it.
 */
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import * as tf from '@tensorflow/tfjs-core';
import {
  type Build,
  buildNames,
  GpuError,
  type GpuReport,
  gpuSummary,
  kernelBuild,
  startGpu,
  stopGpu,
  tellOnce,
  threadCount,
} from '../compute/index.ts';
import { type BackendName, backendNamed, backendOfConfig, UserError } from '../config/index.ts';
import './backend.ts';
import { startLoomGpu } from './loom-gpu/start.ts';
import { mendGradients } from './mended-gradients.ts';

export type { BackendName };

/** Which backend runs, and why: what `startBackend` found. */
export interface BackendReport {
  readonly backend: BackendName;
  /** One line for people: backend, threads, build. */
  readonly summary: string;
  /** Threads of the loom backend and of the NCA kernels. */
  readonly threads: number;
  /** Build of the kernels. */
  readonly build: Build;
  /** The GPU that NCAs run on, with the backend `gpu`. */
  readonly gpu?: GpuReport;
  /** The package that brought TensorFlow, when it runs. */
  readonly package?: string;
  /** Why a backend that was tried before this one was not taken, in the order tried. */
  readonly passedOver: readonly { readonly backend: string; readonly reason: string }[];
}

let running: BackendReport | undefined;

/** What `startBackend` found, or undefined before it ran. */
export const backendReport = (): BackendReport | undefined => running;

function wanted(prefer: BackendName | undefined): BackendName | undefined {
  const text = process.env.WEIGHTLOOM_BACKEND;
  return text ? backendNamed(text, 'environment variable WEIGHTLOOM_BACKEND') : (backendOfConfig() ?? prefer);
}

/** Why a package did not load, in one line. */
function reasonOf(error: unknown, name: string): string {
  if (
    (error as NodeJS.ErrnoException).code === 'ERR_MODULE_NOT_FOUND' &&
    String(error).includes(`'${name}'`)
  ) {
    return 'not installed (its download of libtensorflow may have failed at install)';
  }
  return (error instanceof Error ? error.message : String(error)).split('\n')[0].slice(0, 200);
}

/** Where drivers show a GPU that TensorFlow could use: NVIDIA's on Linux, and under Windows' Linux. */
const GPU_DEVICES = ['/dev/nvidiactl', '/dev/dxg'];

const hasGpuDevice = () => process.platform === 'win32' || GPU_DEVICES.some(path => existsSync(path));

/** What tfjs-node's backend tells of itself. */
interface TensorflowBackend {
  readonly isUsingGpuDevice?: boolean;
  readonly binding?: { readonly TF_Version?: string };
}

export interface LoadedTensorflow {
  /** The package that brought it. */
  readonly source: string;
  /** Version of the library behind the package. */
  readonly version: string;
  /** Whether it computes on a GPU. */
  readonly gpu: boolean;
}

/** One line for people. */
export const tensorflowSummary = ({ source, version, gpu }: LoadedTensorflow) =>
  `tensorflow (${source}, library ${version}, ${gpu ? 'GPU' : 'no GPU'})`;

export type PassedOver = { backend: string; reason: string }[];

/** tfjs-node 4.22 calls functions of node:util that Node 23 took away. */
function giveBackToUtil(): void {
  const util = createRequire(import.meta.url)('node:util');
  util.isNullOrUndefined ??= (x: unknown) => x === null || x === undefined;
  util.isArray ??= Array.isArray;
}

/** The smallest product: a library that loads may still not compute. */
const computes = () => tf.tidy(() => tf.matMul(tf.ones([2, 2]), tf.ones([2, 2])).dataSync()[0] === 2);

/**
 * Loads TensorFlow's native binding and makes it the backend. It is optional: not installed, half installed or too old are all fine,
 * and why goes to `passedOver`.
 */
export async function loadTensorflow(passedOver: PassedOver): Promise<LoadedTensorflow | undefined> {
  // Its library greets on standard error otherwise; what it warns of is still shown.
  process.env.TF_CPP_MIN_LOG_LEVEL ??= '1';
  giveBackToUtil();
  for (const source of ['@tensorflow/tfjs-node-gpu', '@tensorflow/tfjs-node']) {
    try {
      await import(source);
      mendGradients();
      if ((await tf.setBackend('tensorflow')) && computes()) {
        const { isUsingGpuDevice, binding } = tf.backend() as unknown as TensorflowBackend;
        return { source, version: binding?.TF_Version ?? 'unknown', gpu: isUsingGpuDevice === true };
      }
      passedOver.push({ backend: source, reason: 'it loaded but does not compute' });
    } catch (error) {
      passedOver.push({ backend: source, reason: reasonOf(error, source) });
    }
  }
  return undefined;
}

/** Takes the backend that was asked for, or chooses. */
async function choose(
  asked: BackendName | undefined,
  passedOver: PassedOver,
): Promise<{ readonly backend: BackendName; readonly loaded?: LoadedTensorflow }> {
  if (asked !== undefined && asked !== 'tensorflow') return { backend: asked };
  if (asked === undefined && !hasGpuDevice()) {
    passedOver.push({
      backend: 'tensorflow',
      reason: 'no GPU here, and on processors loom is the faster (WEIGHTLOOM_BACKEND=tensorflow asks for it)',
    });
    return { backend: 'loom' };
  }
  const loaded = await loadTensorflow(passedOver);
  if (asked === 'tensorflow') {
    if (loaded) return { backend: 'tensorflow', loaded };
    throw new UserError({
      where: 'backend',
      expected: 'tensorflow, as asked for',
      found: passedOver.map(({ backend, reason }) => `${backend}: ${reason}`).join('; '),
      hint: 'bench/README.md says how it is installed.',
    });
  }
  if (loaded?.gpu) return { backend: 'tensorflow', loaded };
  if (loaded) passedOver.push({ backend: loaded.source, reason: 'it loaded, but uses no GPU here' });
  return { backend: 'loom' };
}

/**
 * Opens the GPU that was asked for, and makes it the backend of tfjs too where that was asked for. Where its driver refuses a shader that tensors cannot
 * do without, they stay on the processor, and that is said.
 */
async function openGpu(
  asked: 'gpu' | 'loom-gpu',
  passedOver: PassedOver,
): Promise<{ readonly backend: 'gpu' | 'loom-gpu'; readonly gpu: GpuReport }> {
  try {
    const gpu = await startGpu();
    const { report } = gpu;
    if (asked === 'gpu') return { backend: 'gpu', gpu: report };
    try {
      await startLoomGpu(gpu);
      return { backend: 'loom-gpu', gpu: report };
    } catch (error) {
      if (!(error instanceof GpuError) || error.fault !== 'refused') throw error;
      gpu.faults.forgive();
      tellOnce(`${error.message}; only NCAs run on the GPU`);
      passedOver.push({ backend: asked, reason: error.message });
      return { backend: 'gpu', gpu: report };
    }
  } catch (error) {
    if (!(error instanceof GpuError)) throw error;
    throw new UserError({ where: 'backend', expected: `${asked}, as asked for`, found: error.message });
  }
}

/**
 * Chooses and starts the tfjs backend: TensorFlow (tfjs-node-gpu, then tfjs-node) where it has a GPU, else `loom`. `prefer` asks for
 * one, or `gpu`; the environment variable WEIGHTLOOM_BACKEND overrides it. Comes before the first tensor; may be called again, to change.
 *
 *     const { summary } = await startBackend();
 *
 * @throws UserError when WEIGHTLOOM_BACKEND names no backend, or TensorFlow or a GPU is asked for and is not there
 */
export async function startBackend(options: { readonly prefer?: BackendName } = {}): Promise<BackendReport> {
  const passedOver: PassedOver = [];
  const { backend: chosen, loaded } = await choose(wanted(options.prefer), passedOver);
  const opened = chosen === 'gpu' || chosen === 'loom-gpu' ? await openGpu(chosen, passedOver) : undefined;
  const backend = opened?.backend ?? chosen;
  const gpu = opened?.gpu;
  if (!gpu) stopGpu();
  // `choose` has set TensorFlow's already.
  if (backend !== 'tensorflow') await tf.setBackend(backend === 'gpu' ? 'loom' : backend);
  await tf.ready();
  const threads = threadCount();
  const build = kernelBuild();
  const loom = `loom (${buildNames[build]}, ${threads} thread${threads === 1 ? '' : 's'})`;
  const summaries: Record<BackendName, () => string> = {
    tensorflow: () => tensorflowSummary(loaded!),
    gpu: () => `gpu (NCAs on ${gpuSummary(gpu!)}), the rest on ${loom}`,
    'loom-gpu': () => `loom-gpu (${gpuSummary(gpu!)})`,
    loom: () => loom,
    cpu: () => 'cpu (tfjs, one thread)',
  };
  const summary = summaries[backend]();
  running = { backend, summary, threads, build, gpu, package: loaded?.source, passedOver };
  return running;
}
