/**
 * The package export `weightloom/backend`: importing it registers the tfjs backend `loom`, for use without the rest
 * (`await tf.setBackend('loom')`).
 */
import '@tensorflow/tfjs-backend-cpu';
import { copyRegisteredKernels, registerBackend } from '@tensorflow/tfjs-core';
import { LoomBackend } from './loom/loom-backend.ts';

registerBackend('loom', () => new LoomBackend(), 2);
copyRegisteredKernels('cpu', 'loom');
