/**
 * A GPU through WebGPU: the same in Node (where `startGpu` of src/compute opens it) and in a page, for nothing here needs Node.
 */
export { type AdapterChoice, type GpuReport, gpuSummary, notCalled } from './adapter.ts';
export type { GpuBlock, GpuStatistics } from './buffers.ts';
export { Gpu, type GpuBinding, type GpuNumbers, type GpuProgram } from './device.ts';
export { GpuError, type GpuFault, mib } from './failure.ts';
