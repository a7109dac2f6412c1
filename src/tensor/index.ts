/** tfjs as the project uses it: backend choice, layers, optimisers, random numbers. */
import './gradients.ts';
import './mended-gradients.ts';

export * as tf from '@tensorflow/tfjs-core';
export { edgeMessage } from './edge-message.ts';
export * as fused from './fused.ts';
export { addressOf, type OutputSpec, onMemory, uninitialised } from './on-memory.ts';
export * from './parameters.ts';
export { hashName, RandomStream, randomStream } from './random.ts';
export * from './resize.ts';
export { type BackendName, type BackendReport, backendReport, startBackend } from './start.ts';
export * from './transformer.ts';
