/** tfjs as the project uses it: backend choice, layers, optimisers, random numbers. */
import './gradients.ts';
import './mended-gradients.ts';

/** tfjs, with the gradients it lacks or has wrong mended: everybody imports it from here. */
export * as tf from '@tensorflow/tfjs-core';
export { edgeMessage } from './edge-message.ts';
/** Operators whose plain form wastes time or memory, each with its own gradient: linear layers, norms, attention, Adam. */
export * as fused from './fused.ts';
export { onGpu } from './on-gpu.ts';
export { addressOf, type OutputSpec, onMemory, uninitialised } from './on-memory.ts';
export { onProcessor, onProcessorNow } from './on-processor.ts';
export * from './parameters.ts';
export { hashName, RandomStream, randomStream } from './random.ts';
export * from './resize.ts';
export {
  type BackendName,
  type BackendReport,
  backendReport,
  loadTensorflow,
  startBackend,
  tensorflowSummary,
} from './start.ts';
export * from './transformer.ts';
