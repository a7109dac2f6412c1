/**
 * The worker pool: a synchronous parallel-for over the kernels.
 *
 * A kernel is an exported function `(band: i32, thread: i32, ...arguments)` of one of the compiled libraries. `parallel` runs it
 * for every band, on the calling thread and on the workers. What a band computes depends on the band alone, never on the
 * thread that runs it or on how many there are: so results are bit-identical for any number of threads.
 */
import { existsSync, readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { setFlagsFromString } from 'node:v8';
import { Worker } from 'node:worker_threads';
import { UserError } from '../config/index.ts';
import {
  type Build,
  builds,
  kernelFolders,
  nodeMajor,
  preferredBuilds,
  upToDate,
  wasmPath,
} from './build.mjs';
import { memory } from './memory.ts';
import {
  ARGUMENTS,
  ARITY,
  BANDS,
  CONTROL,
  DONE,
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

/** Reads a small positive number from the environment; anything else is an error that says so. */
function fromEnvironment(name: string, otherwise: number): number {
  const text = process.env[name];
  if (text === undefined || text === '') return otherwise;
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1 || value > 64) {
    throw new UserError(
      `environment variable ${name}: expected a whole number from 1 to 64, found "${text}"`,
    );
  }
  return value;
}

let threads = fromEnvironment('WEIGHTLOOM_THREADS', Math.min(availableParallelism(), 16));

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

/** Loads the best kernel build this runtime accepts; WEIGHTLOOM_BUILD=simd|fma|wide forces one. */
function libraries(): Libraries {
  if (loaded) return loaded;
  // Node 20 has relaxed SIMD behind a flag, later ones without; V8 complains on stderr of a flag it does not know.
  if (nodeMajor < 21) setFlagsFromString('--experimental-wasm-relaxed-simd');
  const candidates = preferredBuilds();
  if (candidates.length === 0) {
    throw new UserError(
      `environment variable WEIGHTLOOM_BUILD: expected ${builds.join(' or ')}, found "${process.env.WEIGHTLOOM_BUILD}"`,
    );
  }
  if (candidates[0] === 'wide' && nodeMajor >= 24) setFlagsFromString('--experimental-wasm-revectorize');
  for (const build of candidates) {
    const files = kernelFolders.map(folder => wasmPath(folder, build));
    if (!files.every(existsSync) || !upToDate(build)) continue;
    const binaries = files.map(file => readFileSync(file));
    if (!binaries.every(binary => WebAssembly.validate(binary))) continue;
    const modules = binaries.map(binary => new WebAssembly.Module(binary));
    const exports = modules.map(module => instantiate(module, memory) as Record<string, KernelFunction>);
    const names = exports.map(library => Object.keys(library).sort());
    loaded = { build, modules, exports, names };
    return loaded;
  }
  throw new UserError(
    `no kernel build (${candidates.join(', ')}) is both compiled from the present sources and accepted by this Node (${process.version}); \`node src/cli/setup.mjs\` compiles them`,
  );
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

const workers: Worker[] = [];
/** What ended a worker. What it had claimed is never finished, so nothing more can be trusted to the pool. */
let lost: string | undefined;

function lose(what: string): never {
  lost ??= what;
  throw new UserError(
    `a thread of the kernels ended (${lost}); start again, with fewer of them (WEIGHTLOOM_THREADS)`,
  );
}

function startWorkers(count: number): void {
  const { modules, names } = libraries();
  while (workers.length < count) {
    let worker: Worker;
    try {
      worker = new Worker(new URL('./worker.mjs', import.meta.url), {
        workerData: { memory, modules, names, thread: workers.length + 1 },
        execArgv: [],
        env: {},
      });
    } catch (error) {
      lose(`it could not start: ${(error as Error).message}`);
    }
    worker.on('error', error => {
      lost ??= error.message;
    });
    worker.on('exit', code => {
      lost ??= `exit code ${code}`;
    });
    worker.unref();
    workers.push(worker);
  }
}

/** Looks for a worker that has gone without a word: the events that would tell of it wait until the call ends. */
function findDead(): void {
  if (!existsSync('/proc/self/task')) return;
  for (let thread = 1; thread <= workers.length; thread++) {
    const id = control[SYSTEM_THREADS + thread];
    if (id !== 0 && !existsSync(`/proc/self/task/${id}`)) lose('it is no longer there');
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
  if (workers.length < threads - 1) startWorkers(threads - 1);
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
  for (let spins = SPINS; ; ) {
    const done = Atomics.load(control, DONE);
    if (done === bands) break;
    if (--spins <= 0 && Atomics.wait(control, DONE, done, 1000) === 'timed-out') findDead();
  }
  if (control[TRAPPED] !== 0) {
    control[TRAPPED] = 0;
    throw new Error(`kernel ${kernel.name} trapped`);
  }
}
