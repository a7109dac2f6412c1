import { GpuError } from '../../compute/gpu/index.ts';

/** Whether a fault only says that this work is not for this device: the processor can do it. */
export const isUnfit = (error: unknown): error is GpuError =>
  error instanceof GpuError && (error.fault === 'limit' || error.fault === 'refused');
