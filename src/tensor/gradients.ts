/**
 * Registers the gradients of every tfjs op. The bundle that Node loads as tfjs-core leaves them out, and the modules that hold them
 * are ECMAScript modules without file endings, which only a CommonJS loader resolves.
 */
import { createRequire } from 'node:module';

createRequire(import.meta.url)('@tensorflow/tfjs-core/dist/register_all_gradients');
