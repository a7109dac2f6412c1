/**
 * Distances of NCAs by what they compute, not by what their weights are: states grown under one sequence of masks, compared after the best linear map of
 * colours. An NCA whose hidden units, latent channels or colours were changed by a symmetry grows the same states up to such a map, and one that was
 * turned or mirrored grows them when its weights are turned back: so copies under every symmetry have distance 0 up to rounding.
 */
import { breathe } from '../compute/index.ts';
import {
  actOnWeights,
  elementSize,
  GRID_TURNS,
  gridTurn,
  type NcaSpec,
  rollout,
  SYMMETRIES,
  seedState,
  weightCount,
} from '../nca/index.ts';
import { tf } from '../tensor/index.ts';

/** Side of the grid and number of steps that functions are compared over: long enough for the texture to be there, short enough for rounding not to grow. */
const SIDE = 24;
const STEPS = 40;
/** Masks of every rollout here. */
const MASKS = 77;
/** NCAs that run at once. */
const BATCH = 64;
const CELLS = SIDE * SIDE;
/** A picture of less variance than this share of full contrast is flat: every map explains it, and nothing is said by it. */
const FLAT = 1e-6;

/** What NCAs compute, ready to be compared with. */
export interface FunctionReference {
  /**
   * For each NCA the `count` nearest of the reference, nearest first.
   * @param weights [M * D]
   * @param onProgress told of the share that is done
   */
  nearest(weights: Float32Array, count: number, options?: FunctionSearch): Promise<FunctionNeighbours>;
}

/** How a search is watched and stopped. */
export interface FunctionSearch {
  readonly signal?: AbortSignal;
  onProgress?(share: number): void;
}

/** The K nearest of every query. */
export interface FunctionNeighbours {
  /** [M * K] rows of the reference. */
  readonly index: Int32Array;
  /** [M * K] shares of the reference's variance that the query's colours do not explain, in [0, 1]: the least over the eight turns. */
  readonly distance: Float64Array;
}

/** Grows the N NCAs [N * D] that others are to be compared with. */
export async function functionReference(
  spec: NcaSpec,
  weights: Float32Array,
  watched: FunctionSearch = {},
): Promise<FunctionReference> {
  const size = weightCount(spec);
  const known = await grown(spec, weights, watched);
  const rows = weights.length / size;
  const spread = Float64Array.from({ length: rows }, (_, n) => squares(known, n));
  const turns = SYMMETRIES.d4.obstacle(spec) ? GRID_TURNS.slice(0, 1) : GRID_TURNS;

  return {
    async nearest(asked, count, options = {}) {
      const queries = asked.length / size;
      const least = new Float64Array(queries * rows).fill(1);
      for (const [t, turn] of turns.entries()) {
        const element = gridTurn(elementSize(spec), turn);
        const turned = new Float32Array(asked.length);
        for (let q = 0; q < queries; q++)
          turned.set(actOnWeights(spec, element, asked.slice(q * size, (q + 1) * size)), q * size);
        const own = await grown(spec, turned, { signal: options.signal });
        const cross = tf.tidy(() =>
          tf.matMul(
            tf.tensor2d(own, [queries * 3, CELLS]),
            tf.tensor2d(known, [rows * 3, CELLS]),
            false,
            true,
          ),
        );
        const products = (await cross.data()) as Float32Array;
        cross.dispose();
        for (let q = 0; q < queries; q++) {
          if (q % 16 === 0) await breathe(options.signal);
          const inverse = inverseCovariance(own, q);
          for (let n = 0; n < rows; n++) {
            if (!inverse || spread[n] < FLAT * CELLS) continue;
            const left = 1 - explained(products, inverse, q, n, rows) / spread[n];
            least[q * rows + n] = Math.min(least[q * rows + n], Math.max(0, left));
          }
        }
        options.onProgress?.((t + 1) / turns.length);
      }
      const kept = Math.min(count, rows);
      const index = new Int32Array(queries * kept);
      const distance = new Float64Array(queries * kept);
      for (let q = 0; q < queries; q++) {
        const of = least.subarray(q * rows, (q + 1) * rows);
        const order = Int32Array.from({ length: rows }, (_, n) => n).sort((a, b) => of[a] - of[b] || a - b);
        order.subarray(0, kept).forEach((n, k) => {
          index[q * kept + k] = n;
          distance[q * kept + k] = of[n];
        });
      }
      return { index, distance };
    },
  };
}

/** Colours [N * 3 * CELLS] of what NCAs grow, channel by channel, each of mean 0; zeros where a rollout is not finite. */
async function grown(
  spec: NcaSpec,
  weights: Float32Array,
  { signal, onProgress }: FunctionSearch,
): Promise<Float32Array> {
  const size = weightCount(spec);
  const count = weights.length / size;
  const result = new Float32Array(count * 3 * CELLS);
  for (let from = 0; from < count; from += BATCH) {
    await breathe(signal);
    const rows = Math.min(BATCH, count - from);
    const colours = tf.tidy(() => {
      const batch = tf.tensor2d(weights.subarray(from * size, (from + rows) * size), [rows, size]);
      const options = { steps: STEPS, seeds: new Array<number>(rows).fill(MASKS) };
      const state = rollout(spec, batch, seedState(spec, rows, SIDE, SIDE), options);
      const rgb = tf.reshape(tf.slice(state, [0, 0, 0, 0], [-1, -1, -1, 3]), [rows, CELLS, 3]);
      const planes = tf.transpose(rgb, [0, 2, 1]);
      const centred = tf.sub(planes, tf.mean(planes, 2, true));
      const finite = tf.isFinite(tf.sum(tf.square(centred), [1, 2], true));
      return tf.where(tf.broadcastTo(finite, [rows, 3, CELLS]), centred, tf.zerosLike(centred));
    });
    result.set((await colours.data()) as Float32Array, from * 3 * CELLS);
    colours.dispose();
    onProgress?.((from + rows) / count);
  }
  return result;
}

/** Sum of squares of NCA n's colours. */
function squares(colours: Float32Array, n: number): number {
  let sum = 0;
  for (let i = n * 3 * CELLS; i < (n + 1) * 3 * CELLS; i++) sum += colours[i] ** 2;
  return sum;
}

/** (X X')^-1 of NCA q's colours X [3, CELLS], as six numbers of a symmetric matrix in rows; null for a flat picture. */
function inverseCovariance(colours: Float32Array, q: number): Float64Array | null {
  const product = (a: number, b: number) => {
    let sum = 0;
    for (let p = 0; p < CELLS; p++)
      sum += colours[(q * 3 + a) * CELLS + p] * colours[(q * 3 + b) * CELLS + p];
    return sum;
  };
  const [xx, yy, zz] = [product(0, 0), product(1, 1), product(2, 2)];
  const trace = xx + yy + zz;
  if (trace < FLAT * CELLS) return null;
  // A grey picture has colours of rank one.
  const ridge = 1e-7 * trace;
  const [a, d, f, b, c, e] = [
    xx + ridge,
    yy + ridge,
    zz + ridge,
    product(0, 1),
    product(0, 2),
    product(1, 2),
  ];
  const minors = [d * f - e * e, c * e - b * f, b * e - c * d, a * f - c * c, b * c - a * e, a * d - b * b];
  const determinant = a * minors[0] + b * minors[1] + c * minors[2];
  return Float64Array.from(minors, minor => minor / determinant);
}

/** What the best linear map of q's colours explains of the sum of squares of n's: tr(C' G C) with C = X_q X_n' and G the inverse above. */
function explained(products: Float32Array, inverse: Float64Array, q: number, n: number, rows: number) {
  const [g00, g01, g02, g11, g12, g22] = inverse;
  let sum = 0;
  for (let c = 0; c < 3; c++) {
    const at = (a: number) => products[(q * 3 + a) * rows * 3 + n * 3 + c];
    const [x, y, z] = [at(0), at(1), at(2)];
    sum += g00 * x * x + g11 * y * y + g22 * z * z + 2 * (g01 * x * y + g02 * x * z + g12 * y * z);
  }
  return sum;
}
