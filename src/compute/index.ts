/** Shared memory, its allocator, and the pool of threads that run the kernels. */
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
