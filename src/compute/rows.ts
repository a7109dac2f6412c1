/** Products of large matrices in float64, on all threads and in pieces that can be interrupted. */
import { breathe } from './breathe.ts';
import { allocate, memory, release } from './memory.ts';
import { kernel, parallel } from './pool.ts';

/** A matrix [rows * columns], row by row. */
export interface Rows {
  readonly rows: number;
  readonly columns: number;
  readonly data: Float64Array;
}

/** a b' of [N, K] and [M, K]: all dot products of rows. */
export function rowDots(a: Rows, b: Rows): Rows {
  const work = dotProducts(a, b);
  for (;;) {
    const { done, value } = work.next();
    if (done) return value;
  }
}

/** The same, with turns of the event loop in between. Throws the signal's reason when it is raised. */
export async function rowDotsInPieces(a: Rows, b: Rows, signal?: AbortSignal): Promise<Rows> {
  const work = dotProducts(a, b);
  try {
    for (;;) {
      const { done, value } = work.next();
      if (done) return value;
      await breathe(signal);
    }
  } finally {
    work.return(a);
  }
}

/** Rows and columns exchanged. */
export function transposed({ rows, columns, data }: Rows): Rows {
  const moved = new Float64Array(data.length);
  for (let n = 0; n < rows; n++)
    for (let d = 0; d < columns; d++) moved[d * rows + n] = data[n * columns + d];
  return { rows: columns, columns: rows, data: moved };
}

/** Rows of a band, and bands of a piece: a piece of 1,000 rows of 6,000 numbers takes some tenths of a second on one thread. */
const [BAND, PIECE] = [18, 7];

/** a b', some rows of a at a time. */
function* dotProducts(a: Rows, b: Rows): Generator<undefined, Rows> {
  const found = new Float64Array(a.rows * b.rows);
  // The kernel takes two numbers at a time: rows of odd length get a zero.
  const depth = 2 * Math.ceil(a.columns / 2);
  const most = Math.min(a.rows, BAND * PIECE);
  const room = [b.rows * depth, most * depth, most * b.rows].map(numbers => allocate(8 * numbers));
  try {
    const [right, left, out] = room;
    place(b, 0, b.rows, right, depth);
    for (let from = 0; from < a.rows; from += most) {
      const rows = Math.min(most, a.rows - from);
      place(a, from, from + rows, left, depth);
      parallel(kernel('rowDots'), Math.ceil(rows / BAND), left, right, out, rows, b.rows, depth, BAND);
      found.set(new Float64Array(memory.buffer, out, rows * b.rows), from * b.rows);
      yield;
    }
    return { rows: a.rows, columns: b.rows, data: found };
  } finally {
    room.forEach(release);
  }
}

/** Copies rows to shared memory, each as `depth` numbers. */
function place({ columns, data }: Rows, from: number, to: number, address: number, depth: number) {
  const target = new Float64Array(memory.buffer, address, (to - from) * depth);
  if (depth > columns) target.fill(0);
  for (let row = from; row < to; row++)
    target.set(data.subarray(row * columns, (row + 1) * columns), (row - from) * depth);
}
