/**
 * Registers the gradients of every tfjs op. The bundle that Node loads as tfjs-core leaves them out, and the modules that hold them
 * are ECMAScript modules without file endings, which only a CommonJS loader resolves.
 */
import { createRequire } from 'node:module';
// First: the engine and the tensor class of whichever copy of tfjs-core loads first are everybody's, and only the bundle's is complete.
import '@tensorflow/tfjs-core';

createRequire(import.meta.url)('@tensorflow/tfjs-core/dist/register_all_gradients');
