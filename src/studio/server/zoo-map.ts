/** A map of many NCAs: the plane in which their weights differ most. */
import { EVD, Matrix } from 'ml-matrix';

/** NCAs from which the plane is found, and rows read at once. */
const SAMPLE = 256;
const CHUNK = 256;

/** What is needed of a set of NCAs. */
interface Rows {
  readonly count: number;
  rows(first: number, count: number): Promise<Float32Array>;
}

/**
 * Places [N, 2] of N NCAs on their two principal axes, both in one unit. The axes are those of at most 256 of them, evenly chosen; all are projected.
 * Of NCAs with one common base the hidden units are in one order, and nothing need be matched.
 */
export async function principalPlane({ count, rows }: Rows): Promise<Float32Array> {
  const points = new Float32Array(2 * count);
  if (count < 3) return points;
  const chosen = Array.from({ length: Math.min(SAMPLE, count) }, (_, k) =>
    Math.floor((k * count) / Math.min(SAMPLE, count)),
  );
  const sample = await Promise.all(chosen.map(row => rows(row, 1)));
  const size = sample[0].length;
  const mean = new Float32Array(size);
  for (const row of sample) for (let i = 0; i < size; i++) mean[i] += row[i] / sample.length;
  const centred = sample.map(row => row.map((x, i) => x - mean[i]));
  // The axes from the products of the sample with itself: small, however many weights there are.
  const products = Matrix.zeros(centred.length, centred.length);
  for (let a = 0; a < centred.length; a++) {
    for (let b = 0; b <= a; b++) {
      const product = dot(centred[a], centred[b]);
      products.set(a, b, product);
      products.set(b, a, product);
    }
    if (a % 16 === 0) await turn();
  }
  const { realEigenvalues, eigenvectorMatrix } = new EVD(products, { assumeSymmetric: true });
  const order = [...realEigenvalues.keys()].sort((a, b) => realEigenvalues[b] - realEigenvalues[a]);
  const axes = order.slice(0, 2).map(column => {
    const axis = new Float32Array(size);
    centred.forEach((row, k) => {
      const share = eigenvectorMatrix.get(k, column) / Math.sqrt(Math.max(realEigenvalues[column], 1e-30));
      for (let i = 0; i < size; i++) axis[i] += share * row[i];
    });
    return axis;
  });
  const offsets = axes.map(axis => dot(axis, mean));
  for (let first = 0; first < count; first += CHUNK) {
    const wanted = Math.min(CHUNK, count - first);
    const chunk = await rows(first, wanted);
    for (let k = 0; k < wanted; k++) {
      const row = chunk.subarray(k * size, (k + 1) * size);
      axes.forEach((axis, c) => {
        points[2 * (first + k) + c] = dot(row, axis) - offsets[c];
      });
    }
    await turn();
  }
  return points;
}

function dot(a: Float32Array, b: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i] * b[i];
  return sum;
}

/** Lets other requests have their turn. */
const turn = () => new Promise(resolve => setImmediate(resolve));
