/** Shared memory, its allocator, and the pool of threads that run the kernels; the GPU. */
export { breathe } from './breathe.ts';
export * from './gpu/index.ts';
export { gpuGlobals, gpuInUse, startGpu, stopGpu, useGpu } from './gpu-start.ts';
export { allocate, f32, i32, type MemoryStatistics, memory, release, statistics, u8, u32 } from './memory.ts';
export {
  type Build,
  buildNames,
  type Kernel,
  kernel,
  kernelBuild,
  parallel,
  setThreadCount,
  threadCount,
} from './pool.ts';
export { type Rows, rowDots, rowDotsInPieces, transposed } from './rows.ts';
export { tellOnce } from './tell.ts';
