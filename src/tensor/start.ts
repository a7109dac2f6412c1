/** Which tfjs backend computes: TensorFlow's native library where it loads, else our own. */
import * as tf from '@tensorflow/tfjs-core';
import { type Build, buildNames, kernelBuild, threadCount } from '../compute/index.ts';
import { UserError } from '../config/index.ts';
import './backend.ts';

const names = ['tensorflow', 'loom', 'cpu'] as const;
/** tfjs's own names: `tensorflow` (the native library), `loom` (our kernels on all cores), `cpu` (tfjs in plain JavaScript). */
export type BackendName = (typeof names)[number];

/** Which backend runs, and why: what `startBackend` found. */
export interface BackendReport {
  readonly backend: BackendName;
  /** One line for people: backend, threads, build. */
  readonly summary: string;
  /** Threads of the loom backend and of the NCA kernels. */
  readonly threads: number;
  /** Build of the kernels. */
  readonly build: Build;
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
  if (text === undefined || text === '') return prefer;
  if (!names.includes(text as BackendName)) {
    throw new UserError({
      where: 'environment variable WEIGHTLOOM_BACKEND',
      expected: `one of ${names.join(', ')}`,
      found: `"${text}"`,
    });
  }
  return text as BackendName;
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

/** Loads TensorFlow's native binding. It is optional: not installed, half installed or too old are all fine. */
async function tryTensorflow(passedOver: { backend: string; reason: string }[]): Promise<string | undefined> {
  for (const name of ['@tensorflow/tfjs-node-gpu', '@tensorflow/tfjs-node']) {
    try {
      await import(name);
      if (await tf.setBackend('tensorflow')) return name;
      passedOver.push({ backend: name, reason: 'it loaded but did not start' });
    } catch (error) {
      passedOver.push({ backend: name, reason: reasonOf(error, name) });
    }
  }
  return undefined;
}

/**
 * Chooses and starts the tfjs backend: TensorFlow (tfjs-node-gpu, then tfjs-node) where it loads, else `loom`. `prefer` asks for
 * one; the environment variable WEIGHTLOOM_BACKEND overrides it. Comes before the first tensor; may be called again, to change.
 *
 *     const { summary } = await startBackend();
 *
 * @throws UserError when WEIGHTLOOM_BACKEND names no backend
 */
export async function startBackend(options: { readonly prefer?: BackendName } = {}): Promise<BackendReport> {
  const asked = wanted(options.prefer);
  const passedOver: { backend: string; reason: string }[] = [];
  let backend: BackendName = asked ?? 'loom';
  let source: string | undefined;
  if (asked === undefined || asked === 'tensorflow') {
    source = await tryTensorflow(passedOver);
    backend = source ? 'tensorflow' : 'loom';
  }
  if (backend !== 'tensorflow') await tf.setBackend(backend);
  await tf.ready();
  const threads = threadCount();
  const build = kernelBuild();
  const summary =
    backend === 'tensorflow'
      ? `tensorflow (${source})`
      : backend === 'loom'
        ? `loom (${buildNames[build]}, ${threads} thread${threads === 1 ? '' : 's'})`
        : 'cpu (tfjs, one thread)';
  running = { backend, summary, threads, build, package: source, passedOver };
  return running;
}
