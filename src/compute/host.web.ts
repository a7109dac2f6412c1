/** What the pool needs of a browser: a page gives the compiled kernels before their first use, for it can only wait for them without blocking. */
import type { Build } from './build.mjs';
import type { HelperData } from './team.mjs';

/** Pages of 64 KiB of the shared memory: 256 MiB, which telephones give too. */
export const MOST_PAGES = 4096;

interface Given {
  readonly build: Build;
  readonly modules: WebAssembly.Module[];
}
let given: Given | undefined;

/** Gives the kernel libraries, compiled. */
export function provideKernels(kernels: Given): void {
  given = kernels;
}

/** Threads to begin with: memory is shared only in a page that is isolated from other origins. */
export const initialThreads = (): number =>
  globalThis.crossOriginIsolated ? Math.min(navigator.hardwareConcurrency || 1, 16) : 1;

/** The kernels that were given. */
export function loadKernels(): Given {
  if (!given) throw new Error('provideKernels comes first');
  return given;
}

/** Starts a thread that helps with bands; `onEnd` is told when it fails. */
export function startHelper(data: HelperData, onEnd: (what: string) => void): void {
  const worker = new Worker(new URL('./worker.web.mjs', import.meta.url), { type: 'module' });
  worker.onerror = event => onEnd(event.message);
  worker.postMessage(data);
}

/** A browser does not say what became of a thread. */
export const isGone = (_id: number): boolean => false;
