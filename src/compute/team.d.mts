export const CONTROL: number;
export const ARGUMENTS: number;
export const REMAINING: number;
export const DONE: number;
export const BANDS: number;
export const LIBRARY: number;
export const KERNEL: number;
export const ARITY: number;
export const TRAPPED: number;
export const JOB: number;
export const ENDED: number;
export const SYSTEM_THREADS: number;
export const SLOTS: number;
export const MAX_BANDS: number;
export function posted(bands: number, team: number): number;
export function hasWork(word: number, thread: number): boolean;
export const SPINS: number;
export function instantiate(module: WebAssembly.Module, memory: WebAssembly.Memory): WebAssembly.Exports;
/** What a helper is told: the memory, the kernel libraries and the names of their functions in order, and which thread it is. */
export interface HelperData {
  readonly memory: WebAssembly.Memory;
  readonly modules: readonly WebAssembly.Module[];
  readonly names: readonly (readonly string[])[];
  readonly thread: number;
}
export function tellEnd(data: HelperData): void;
export function help(data: HelperData, id?: number): never;
export function runBands(
  control: Int32Array,
  args: Float64Array,
  thread: number,
  kernelOf: (library: number, kernel: number) => (...args: number[]) => number,
): void;
