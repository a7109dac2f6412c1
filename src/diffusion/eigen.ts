/** Eigenvectors of symmetric matrices, beside this thread. */
import { createRequire } from 'node:module';
import { Worker } from 'node:worker_threads';
import { EigenvalueDecomposition, Matrix } from 'ml-matrix';
import type { Rows } from '../compute/index.ts';

/** Of a symmetric matrix [N, N]. */
export interface Eigen {
  /** [N] largest first. */
  readonly values: Float64Array;
  /** [N, N]: row k is the unit vector of values[k]. */
  readonly vectors: Rows;
}

/** Fewer rows than these are done before a thread has started. */
const LARGE = 256;

/** What the thread runs. */
const PROGRAM = `
const { parentPort, workerData: { library, rows, data } } = require('node:worker_threads');
const { EigenvalueDecomposition, Matrix } = require(library);
const found = new EigenvalueDecomposition(Matrix.from1DArray(rows, rows, data), { assumeSymmetric: true });
parentPort.postMessage({ values: found.realEigenvalues, columns: Float64Array.from(found.eigenvectorMatrix.to1DArray()) });
`;

/**
 * The decomposition of a symmetric matrix, by ml-matrix: in one call that takes seconds for 1,000 rows and that nothing could interrupt, so in a thread of
 * its own, which ends when the signal is raised. Throws the signal's reason.
 */
export async function symmetricEigen(matrix: Rows, signal?: AbortSignal): Promise<Eigen> {
  signal?.throwIfAborted();
  if (matrix.rows >= LARGE) return inOrder(await besides(matrix, signal));
  const found = new EigenvalueDecomposition(Matrix.from1DArray(matrix.rows, matrix.rows, matrix.data), {
    assumeSymmetric: true,
  });
  return inOrder({
    values: found.realEigenvalues,
    columns: Float64Array.from(found.eigenvectorMatrix.to1DArray()),
  });
}

/** Eigenvalues as they come, and the matrix whose columns are their vectors. */
interface Found {
  readonly values: readonly number[];
  readonly columns: Float64Array;
}

function inOrder({ values, columns }: Found): Eigen {
  const rows = values.length;
  const order = values.map((_, k) => k).sort((a, b) => values[b] - values[a]);
  const data = new Float64Array(rows * rows);
  order.forEach((k, i) => {
    for (let n = 0; n < rows; n++) data[i * rows + n] = columns[n * rows + k];
  });
  return {
    values: Float64Array.from(order, k => values[k]),
    vectors: { rows, columns: rows, data },
  };
}

async function besides({ rows, data }: Rows, signal?: AbortSignal): Promise<Found> {
  const library = createRequire(import.meta.url).resolve('ml-matrix');
  const worker = new Worker(PROGRAM, { eval: true, execArgv: [], workerData: { library, rows, data } });
  let stop = () => {};
  try {
    return await new Promise((resolve, reject) => {
      stop = () => reject(signal!.reason);
      signal?.addEventListener('abort', stop);
      worker.on('message', resolve);
      worker.on('error', reject);
    });
  } finally {
    signal?.removeEventListener('abort', stop);
    await worker.terminate();
  }
}
