/** Eigenvectors of symmetric matrices, beside this thread. */
import { createRequire } from 'node:module';
import { Worker } from 'node:worker_threads';
import type { Rows } from './products.ts';

/** Of a symmetric matrix [N, N]. */
export interface Eigen {
  /** [N] largest first. */
  readonly values: Float64Array;
  /** [N, N]: row k is the unit vector of values[k]. */
  readonly vectors: Rows;
}

/** What the thread runs: ml-matrix's decomposition takes seconds for 1,000 rows, in one call that nothing could interrupt. */
const PROGRAM = `
const { parentPort, workerData: { library, rows, data } } = require('node:worker_threads');
const { EigenvalueDecomposition, Matrix } = require(library);
const matrix = Matrix.from1DArray(rows, rows, data);
const { realEigenvalues, eigenvectorMatrix } = new EigenvalueDecomposition(matrix, { assumeSymmetric: true });
const order = realEigenvalues.map((_, k) => k).sort((a, b) => realEigenvalues[b] - realEigenvalues[a]);
const vectors = new Float64Array(rows * rows);
order.forEach((k, i) => vectors.set(eigenvectorMatrix.getColumn(k), i * rows));
parentPort.postMessage({ values: Float64Array.from(order, k => realEigenvalues[k]), vectors });
`;

/** The decomposition of a symmetric matrix, in a thread of its own that ends when the signal is raised; then it throws the signal's reason. */
export async function symmetricEigen({ rows, data }: Rows, signal?: AbortSignal): Promise<Eigen> {
  signal?.throwIfAborted();
  const library = createRequire(import.meta.url).resolve('ml-matrix');
  const worker = new Worker(PROGRAM, { eval: true, execArgv: [], workerData: { library, rows, data } });
  let stop = () => {};
  try {
    return await new Promise((resolve, reject) => {
      stop = () => reject(signal!.reason);
      signal?.addEventListener('abort', stop);
      worker.on('message', ({ values, vectors }) =>
        resolve({ values, vectors: { rows, columns: rows, data: vectors } }),
      );
      worker.on('error', reject);
    });
  } finally {
    signal?.removeEventListener('abort', stop);
    await worker.terminate();
  }
}
