/**
 * The NCA engine for a page: `Gpu.open(navigator.gpu)` and the kernels. Nothing that is reached from here needs Node (`npm run check` holds that).
 *
 *     const gpu = await Gpu.open(navigator.gpu);
 *     const kernels = await NcaKernels.compile(gpu, spec, { height, width }, 1);
 *     const packed = kernels.pack(gpu.upload(weights, 'weights'), 1);
 *     const rollout = new GpuRollout(kernels, { batch: 1, rows: 1, steps, firstStep, seeds, keepEvery: 0 }, packed, state);
 */
export { Gpu, type GpuBlock, GpuError, type GpuReport, gpuSummary } from '../../compute/gpu/index.ts';
export { type NcaEngine, type NcaRun, type NcaTask, padChannels } from '../engine.ts';
export { type NcaSizes, weightBlocks, weightCount } from '../layout.ts';
export { GpuEngine } from './engine.ts';
export type { KernelSpec, Torus } from './plan.ts';
export { GpuRollout, type GpuRolloutTask, NcaKernels } from './rollout.ts';
