/**
 * One element of the whole symmetry group of NCA weights, a direct product of three parts:
 *   hidden units are permuted and scaled by positive numbers  x  the state's channels change basis  x  the grid is turned or mirrored.
 * The named groups (groups.ts) are subgroups of it, so that composing, inverting and acting are written once.
 */
import { inverse as invertMatrix, Matrix } from 'ml-matrix';
import type { NcaSpec } from '../spec.ts';

/** Row-major 2x2 matrix of 0, 1, -1 acting on (x, y): right and down. */
export type GridTurn = readonly [number, number, number, number];

/** One element of the symmetry group of NCA weights: a hidden permutation and scaling, a change of channel basis and a turn of the grid. */
export interface SymmetryElement {
  /** [hidden] unit i of the result is unit permutation[i] of what is acted on. */
  readonly permutation: Uint32Array;
  /** [hidden] positive factor on the input weights of unit i of the result. */
  readonly scale: Float64Array;
  /** [channels, channels] row-major A: a cell's state x becomes A x. */
  readonly basis: Float64Array;
  /** Inverse of A, kept so that orthogonal elements stay exact. */
  readonly basisInverse: Float64Array;
  /** Where a cell goes: offset r from the centre of the grid to M r. */
  readonly turn: GridTurn;
}

/** Elements of different specs do not mix. */
export interface ElementSize {
  readonly hidden: number;
  readonly channels: number;
}

const STILL: GridTurn = [1, 0, 0, 1];

/** The element that changes nothing. */
export function identity({ hidden, channels }: ElementSize): SymmetryElement {
  const eye = Float64Array.from({ length: channels ** 2 }, (_, i) => (i % (channels + 1) === 0 ? 1 : 0));
  return {
    permutation: Uint32Array.from({ length: hidden }, (_, i) => i),
    scale: new Float64Array(hidden).fill(1),
    basis: eye,
    basisInverse: eye,
    turn: STILL,
  };
}

/** Acting with compose(a, b) is acting with b, then with a. */
export function compose(a: SymmetryElement, b: SymmetryElement): SymmetryElement {
  return {
    permutation: a.permutation.map(i => b.permutation[i]),
    scale: a.scale.map((factor, i) => factor * b.scale[a.permutation[i]]),
    basis: multiply(a.basis, b.basis),
    basisInverse: multiply(b.basisInverse, a.basisInverse),
    turn: multiply(a.turn, b.turn) as unknown as GridTurn,
  };
}

/** The element that undoes another: compose(inverse(g), g) is the identity, up to rounding in the scales. */
export function inverse(g: SymmetryElement): SymmetryElement {
  const permutation = new Uint32Array(g.permutation.length);
  const scale = new Float64Array(g.scale.length);
  g.permutation.forEach((source, i) => {
    permutation[source] = i;
    scale[source] = 1 / g.scale[i];
  });
  const [a, b, c, d] = g.turn;
  return { permutation, scale, basis: g.basisInverse, basisInverse: g.basis, turn: [a, c, b, d] };
}

/** An element that only changes the basis of the channels, by A [channels, channels]. Throws when A cannot be inverted. */
export function basisChange(
  size: ElementSize,
  basis: Float64Array,
  basisInverse?: Float64Array,
): SymmetryElement {
  const back = basisInverse ?? inverseOf(basis, size.channels);
  return { ...identity(size), basis, basisInverse: back };
}

/** An element whose A acts on the picture's colours alone: R [3, 3] row-major, about mid-grey. */
export function colourChange(size: ElementSize, colour: ArrayLike<number>): SymmetryElement {
  const embed = (block: ArrayLike<number>) => {
    const whole = Float64Array.from(identity(size).basis);
    for (let i = 0; i < 9; i++) whole[Math.floor(i / 3) * size.channels + (i % 3)] = block[i];
    return whole;
  };
  return basisChange(size, embed(colour), embed(inverseOf(Float64Array.from(colour), 3)));
}

/** An element that only permutes hidden units. @param permutation [hidden] unit i of the result is unit permutation[i] */
export const hiddenPermutation = (size: ElementSize, permutation: Uint32Array): SymmetryElement => ({
  ...identity(size),
  permutation,
});

/** An element that only scales hidden units. @param scale [hidden] positive factors on their input weights, undone in the output layer */
export const hiddenScaling = (size: ElementSize, scale: Float64Array): SymmetryElement => ({
  ...identity(size),
  scale,
});

/** An element that only turns or mirrors the grid. @param turn one of `GRID_TURNS` */
export const gridTurn = (size: ElementSize, turn: GridTurn): SymmetryElement => ({ ...identity(size), turn });

/** The eight turns of the square: every signed permutation of (x, y). */
export const GRID_TURNS: readonly GridTurn[] = [
  STILL,
  [0, -1, 1, 0],
  [-1, 0, 0, -1],
  [0, 1, -1, 0],
  [-1, 0, 0, 1],
  [1, 0, 0, -1],
  [0, 1, 1, 0],
  [0, -1, -1, 0],
];

/** How many hidden units and channels an element for this spec acts on. */
export const sizeOf = ({ hidden, channels }: NcaSpec): ElementSize => ({ hidden, channels });

/** Product of two square row-major matrices. */
function multiply<T extends Float64Array | GridTurn>(a: T, b: T): Float64Array {
  const n = Math.sqrt(a.length);
  const product = new Float64Array(n * n);
  for (let i = 0; i < n; i++) {
    for (let k = 0; k < n; k++) {
      const factor = a[i * n + k];
      if (factor === 0) continue;
      for (let j = 0; j < n; j++) product[i * n + j] += factor * b[k * n + j];
    }
  }
  return product;
}

function inverseOf(matrix: Float64Array, n: number): Float64Array {
  return Float64Array.from(invertMatrix(Matrix.from1DArray(n, n, matrix)).to1DArray());
}

const near = (a: ArrayLike<number>, b: ArrayLike<number>, tolerance: number) =>
  Array.from(a).every((x, i) => Math.abs(x - b[i]) <= tolerance * (1 + Math.abs(b[i])));

/** Whether two elements are the same, up to a tolerance in their real numbers. */
export const sameElement = (a: SymmetryElement, b: SymmetryElement, tolerance = 1e-9): boolean =>
  near(a.permutation, b.permutation, 0) &&
  near(a.turn, b.turn, 0) &&
  near(a.scale, b.scale, tolerance) &&
  near(a.basis, b.basis, tolerance);

/** The element in words, such as `hidden units 0 -> 1, 1 -> 0; mirrored left to right`. */
export function describeElement(g: SymmetryElement): string {
  const parts: string[] = [];
  const round = (x: number) => Number(x.toPrecision(4));
  const moved = [...g.permutation.keys()].filter(i => g.permutation[i] !== i);
  if (moved.length > 0)
    parts.push(`hidden units ${moved.map(i => `${g.permutation[i]} -> ${i}`).join(', ')}`);
  const scaled = [...g.scale.keys()].filter(i => g.scale[i] !== 1);
  if (scaled.length > 0) parts.push(`hidden ${scaled.map(i => `${i} x ${round(g.scale[i])}`).join(', ')}`);
  const channels = Math.sqrt(g.basis.length);
  const rows: string[] = [];
  for (let c = 0; c < channels; c++) {
    const terms: string[] = [];
    for (let k = 0; k < channels; k++) {
      const factor = g.basis[c * channels + k];
      if (factor !== 0)
        terms.push(factor === 1 ? `x${k}` : factor === -1 ? `-x${k}` : `${round(factor)} x${k}`);
    }
    const row = terms.join(' + ').replaceAll('+ -', '- ');
    if (row !== `x${c}`) rows.push(`x${c} = ${row}`);
  }
  if (rows.length > 0) parts.push(`channels ${rows.join(', ')}`);
  const turn = GRID_TURNS.findIndex(t => t.every((x, i) => x === g.turn[i]));
  if (turn > 0) parts.push(TURN_NAMES[turn]);
  return parts.join('; ') || 'identity';
}

const TURN_NAMES = [
  'identity',
  'turned right',
  'turned half',
  'turned left',
  'mirrored left to right',
  'mirrored top to bottom',
  'transposed',
  'transposed about the other diagonal',
];
