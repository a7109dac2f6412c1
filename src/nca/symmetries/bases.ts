/** Matrices that change the basis of the channels, and the elements they make. */
import { Matrix, QrDecomposition } from 'ml-matrix';
import type { RandomStream } from '../../tensor/index.ts';
import { basisChange, type ElementSize, identity, type SymmetryElement } from './element.ts';

/** The identity matrix with some entries changed. */
function onChannels(
  size: ElementSize,
  edit: (basis: Float64Array, at: (row: number, column: number) => number) => void,
) {
  const basis = Float64Array.from(identity(size).basis);
  edit(basis, (row, column) => row * size.channels + column);
  return basis;
}

const transposed = (matrix: Float64Array, n: number): Float64Array =>
  matrix.map((_, i) => matrix[(i % n) * n + Math.floor(i / n)]);

export const orthogonalChange = (size: ElementSize, basis: Float64Array) =>
  basisChange(size, basis, transposed(basis, size.channels));

/** cos(pi / 2) is 6e-17 in float64. */
const exactZero = (x: number) => (Math.abs(x) < 1e-15 ? 0 : x);

/** A rotation by `angle` in the plane of channels c and d; the reflection of c when they are the same. */
export function planeRotation(size: ElementSize, c: number, d: number, angle: number): SymmetryElement {
  return orthogonalChange(
    size,
    onChannels(size, (basis, at) => {
      if (c === d) {
        basis[at(c, c)] = angle < 0 ? -1 : 1;
        return;
      }
      const [cos, sin] = [Math.cos(angle), Math.sin(angle)].map(exactZero);
      basis[at(c, c)] = cos;
      basis[at(d, d)] = cos;
      basis[at(c, d)] = -sin;
      basis[at(d, c)] = sin;
    }),
  );
}

/** A shear adding `amount` of channel `from` to channel `to`; a scaling of it by 2^amount when they are the same. */
export function shear(size: ElementSize, to: number, from: number, amount: number): SymmetryElement {
  const by = (sign: 1 | -1) =>
    onChannels(size, (basis, at) => {
      basis[at(to, from)] = to === from ? 2 ** (sign * amount) : sign * amount;
    });
  return basisChange(size, by(1), by(-1));
}

/** Channel order[k] of the old state is channel first + k of the new, times its sign. */
export function signedPermutation(
  size: ElementSize,
  first: number,
  order: ArrayLike<number>,
  signs: ArrayLike<number>,
) {
  return orthogonalChange(
    size,
    onChannels(size, (basis, at) => {
      for (let k = 0; k < order.length; k++) basis[at(first + k, first + k)] = 0;
      for (let k = 0; k < order.length; k++) basis[at(first + k, first + order[k])] = signs[k];
    }),
  );
}

/** An orthogonal n x n matrix, uniform on O(n): QR of a Gaussian matrix with the signs of R's diagonal (Mezzadri 2007). */
export function randomOrthogonal(n: number, random: RandomStream): Float64Array {
  if (n === 0) return new Float64Array(0);
  const { orthogonalMatrix, upperTriangularMatrix } = new QrDecomposition(
    Matrix.from1DArray(
      n,
      n,
      Float64Array.from({ length: n * n }, () => random.normal()),
    ),
  );
  const signs = upperTriangularMatrix.diagonal().map(x => (x < 0 ? -1 : 1));
  return Float64Array.from(orthogonalMatrix.mulRowVector(signs).to1DArray());
}

/** Puts an [n, n] block on the channels from `first` on. */
export function block(size: ElementSize, first: number, n: number, entries: ArrayLike<number>): Float64Array {
  return onChannels(size, (basis, at) => {
    for (let i = 0; i < n * n; i++) basis[at(first + Math.floor(i / n), first + (i % n))] = entries[i];
  });
}

/** A well-conditioned random matrix: orthogonal times scales within a factor of two times orthogonal. */
export function randomBasis(n: number, random: RandomStream): Float64Array {
  if (n === 0) return new Float64Array(0);
  const [left, right] = [0, 1].map(() => Matrix.from1DArray(n, n, randomOrthogonal(n, random)));
  const scales = Array.from({ length: n }, () => 2 ** random.uniform(-1, 1));
  return Float64Array.from(left.mulRowVector(scales).mmul(right).to1DArray());
}

/** Rotation about the grey axis (1, 1, 1) by an angle (Rodrigues). */
export function hueRotation(angle: number): number[] {
  const cos = Math.cos(angle);
  const same = cos + (1 - cos) / 3;
  const turn = Math.sin(angle) / Math.sqrt(3);
  const off = (1 - cos) / 3;
  return [same, off - turn, off + turn, off + turn, same, off - turn, off - turn, off + turn, same];
}
