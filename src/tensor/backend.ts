/**
 * The package export `weightloom/backend`: importing it registers the tfjs backend `loom`, for use without the rest
 * (`await tf.setBackend('loom')`).
 */
import './mended-cpu.ts';
import { registerBackend } from '@tensorflow/tfjs-core';
import { registerKernels } from './loom/kernels.ts';
import { LoomBackend } from './loom/loom-backend.ts';
import './loom/blocks.ts';
import './loom/conv.ts';
import './loom/depthwise.ts';
import './loom/elementwise.ts';
import './loom/edges.ts';
import './loom/einsum.ts';
import './loom/functions.ts';
import './loom/fused.ts';
import './loom/linear.ts';
import './loom/matmul.ts';
import './loom/move.ts';
import './loom/pool.ts';
import './loom/reduce.ts';
import './loom/spread.ts';

registerBackend('loom', () => new LoomBackend(), 2);
registerKernels();
