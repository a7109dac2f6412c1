/**
 * The worker pool: a synchronous parallel-for over the kernels.
 *
 * A kernel is an exported function `(band: i32, thread: i32, ...arguments)` of one of the compiled libraries. `parallel` runs it
 * for every band, on the calling thread and on the workers. What a band computes depends on the band alone, never on the
 * thread that runs it or on how many there are: so results are bit-identical for any number of threads.
 */
import { UserError } from '../config/index.ts';
import type { Build } from './build.mjs';
import { initialThreads, isGone, loadKernels, startHelper } from './host.ts';
import { memory } from './memory.ts';
import {
  ARGUMENTS,
  ARITY,
  BANDS,
  CONTROL,
  DONE,
  ENDED,
  instantiate,
  JOB,
  KERNEL,
  LIBRARY,
  MAX_BANDS,
  posted,
  REMAINING,
  runBands,
  SLOTS,
  SPINS,
  SYSTEM_THREADS,
  TRAPPED,
} from './team.mjs';

export type { Build };
/** The builds in words. */
export const buildNames: Readonly<Record<Build, string>> = {
  simd: 'SIMD',
  fma: 'SIMD + FMA',
  wide: 'SIMD + FMA, 256 bits',
};
type KernelFunction = (...args: number[]) => number;

/** A kernel, looked up once by `kernel()` and run any number of times. */
export interface Kernel {
  readonly name: string;
  /** Which of the compiled libraries has it, and which of that library's functions in order of names it is. */
  readonly library: number;
  readonly index: number;
  /** The function itself, for a call on this thread alone. */
  readonly call: KernelFunction;
}

const control = new Int32Array(memory.buffer, CONTROL, SLOTS);
const args = new Float64Array(memory.buffer, ARGUMENTS, 64);

let threads = initialThreads();

/** How many threads `parallel` uses, the calling one included. */
export const threadCount = () => threads;

/** Changes the number of threads from now on. Results do not depend on it. */
export function setThreadCount(count: number): void {
  if (!Number.isInteger(count) || count < 1)
    throw new Error(`thread count ${count} is not a positive whole number`);
  threads = count;
}

interface Libraries {
  readonly build: Build;
  readonly modules: WebAssembly.Module[];
  readonly exports: Record<string, KernelFunction>[];
  readonly names: string[][];
}
let loaded: Libraries | undefined;

/** The kernel libraries that the host has, instantiated for this thread. */
function libraries(): Libraries {
  if (loaded) return loaded;
  const { build, modules } = loadKernels();
  const exports = modules.map(module => instantiate(module, memory) as Record<string, KernelFunction>);
  loaded = { build, modules, exports, names: exports.map(library => Object.keys(library).sort()) };
  return loaded;
}

/** Which kernel build runs. */
export const kernelBuild = (): Build => libraries().build;

const known = new Map<string, Kernel>();

/** Looks a kernel up by name in all libraries. Throws when there is none. */
export function kernel(name: string): Kernel {
  const found = known.get(name);
  if (found) return found;
  const { exports, names } = libraries();
  for (let library = 0; library < exports.length; library++) {
    const index = names[library].indexOf(name);
    if (index < 0) continue;
    const made = { name, library, index, call: exports[library][name] };
    known.set(name, made);
    return made;
  }
  throw new Error(`no kernel is called ${name}`);
}

let helpers = 0;
/** What ended a helper. What it had claimed is never finished, so nothing more can be trusted to the pool. */
let lost: string | undefined;

function lose(what: string): never {
  lost ??= what;
  throw new UserError(
    `a thread of the kernels ended (${lost}); start again, with fewer of them (WEIGHTLOOM_THREADS)`,
  );
}

function startHelpers(count: number): void {
  const { modules, names } = libraries();
  for (; helpers < count; helpers++) {
    try {
      startHelper({ memory, modules, names, thread: helpers + 1 }, what => {
        lost ??= what;
      });
    } catch (error) {
      lose(`it could not start: ${(error as Error).message}`);
    }
  }
}

/** A band takes milliseconds, seconds at most: who has finished none for so long, in seconds, will not finish any. */
const PATIENCE = 600;

/** Looks for a helper that has gone without a word, after so many seconds in which no band was finished. */
function findDead(waited: number): void {
  if (waited >= PATIENCE) lose(`it has not answered for ${PATIENCE} seconds`);
  for (let thread = 1; thread <= helpers; thread++) {
    if (isGone(control[SYSTEM_THREADS + thread])) lose('it is no longer there');
  }
}

const kernelOf = (library: number, index: number) => loaded!.exports[library][loaded!.names[library][index]];

/**
 * Runs `kernel(band, thread, ...values)` for band = 0 .. bands - 1 and returns when all are done.
 * @param values numbers; pointers and integers are passed as such and arrive in the kernel as its parameter types
 */
export function parallel(kernel: Kernel, bands: number, ...values: number[]): void {
  if (threads === 1 || bands <= 1) {
    for (let band = 0; band < bands; band++) kernel.call(band, 0, ...values);
    return;
  }
  if (bands >= MAX_BANDS) throw new RangeError(`kernel ${kernel.name}: ${bands} bands are too many`);
  if (lost !== undefined) lose(lost);
  if (helpers < threads - 1) startHelpers(threads - 1);
  control[JOB]++;
  control[BANDS] = bands;
  control[LIBRARY] = kernel.library;
  control[KERNEL] = kernel.index;
  control[ARITY] = values.length;
  args.set(values);
  Atomics.store(control, DONE, 0);
  Atomics.store(control, REMAINING, posted(bands, threads));
  Atomics.notify(control, REMAINING);
  runBands(control, args, 0, kernelOf);
  for (let [spins, waited, last] = [SPINS, 0, 0]; ; ) {
    const done = Atomics.load(control, DONE);
    if (done === bands) break;
    if (--spins > 0) continue;
    if (Atomics.load(control, ENDED) !== 0) lose('it has ended');
    if (Atomics.wait(control, DONE, done, 1000) !== 'timed-out') continue;
    [waited, last] = [done === last ? waited + 1 : 0, done];
    findDead(waited);
  }
  if (control[TRAPPED] !== 0) {
    control[TRAPPED] = 0;
    throw new Error(`kernel ${kernel.name} trapped`);
  }
}
