/** What the pool needs of the machine it runs on. This is Node; in a browser host.web.ts stands in its place. */
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
import type { HelperData } from './team.mjs';

/** Pages of 64 KiB of the shared memory: all that 32 bits address. Only those that are touched are backed. */
export const MOST_PAGES = 65536;

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

/** Threads to begin with. */
export const initialThreads = (): number =>
  fromEnvironment('WEIGHTLOOM_THREADS', Math.min(availableParallelism(), 16));

/** The best kernel build this runtime accepts, its libraries in order; WEIGHTLOOM_BUILD=simd|fma|wide forces one. */
export function loadKernels(): { readonly build: Build; readonly modules: WebAssembly.Module[] } {
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
    return { build, modules: binaries.map(binary => new WebAssembly.Module(binary)) };
  }
  throw new UserError(
    `no kernel build (${candidates.join(', ')}) is both compiled from the present sources and accepted by this Node (${process.version}); \`node src/cli/setup.mjs\` compiles them`,
  );
}

/** Starts a thread that helps with bands; `onEnd` is told when it is gone, which it should never be. @throws Error when none starts */
export function startHelper(data: HelperData, onEnd: (what: string) => void): void {
  const worker = new Worker(new URL('./worker.mjs', import.meta.url), {
    workerData: data,
    execArgv: [],
    env: {},
  });
  worker.on('error', error => onEnd(error.message));
  worker.on('exit', code => onEnd(`exit code ${code}`));
  worker.unref();
}

/** Whether a helper has gone without a word: the events that would tell of it wait until the call ends. `id` is what it wrote of itself. */
export const isGone = (id: number): boolean =>
  id !== 0 && existsSync('/proc/self/task') && !existsSync(`/proc/self/task/${id}`);
