/** How a symmetry element acts on weights, states, pictures and masks. The arithmetic is float64; the result has the type of its input. */
import { type NcaSpec, weightBlocks, weightCount } from '../spec.ts';
import type { SymmetryElement } from './element.ts';

/** Numbers of either precision: what acts on them gives the same type back. */
export type Floats = Float32Array | Float64Array;

const like = <T extends Floats>(source: T): T =>
  new (source.constructor as new (n: number) => T)(source.length);

/**
 * Acts on one NCA [D] or a batch [B * D] of flat weights:
 *   w1' = S P w1 (A^-1 kron F),  b1' = S P b1,  w2' = A w2 P' S^-1,  b2' = A b2
 * with P, S the hidden permutation and scaling, A the channel basis and F the turn of the two Sobel inputs.
 * The NCA with the new weights, started on the acted-on state with acted-on masks, grows the acted-on state.
 */
export function actOnWeights<T extends Floats>(spec: NcaSpec, g: SymmetryElement, weights: T): T {
  const size = weightCount(spec);
  if (weights.length % size !== 0) throw new Error(`${weights.length} weights are no batch of ${size}`);
  checkFits(spec, g);
  const result = like(weights);
  for (let from = 0; from < weights.length; from += size) {
    actOnOne(spec, g, weights.subarray(from, from + size) as T, result.subarray(from, from + size) as T);
  }
  return result;
}

function checkFits(spec: NcaSpec, g: SymmetryElement): void {
  if (g.permutation.length !== spec.hidden || g.basis.length !== spec.channels ** 2) {
    throw new Error(
      `a symmetry of ${g.permutation.length} hidden units and ${Math.sqrt(g.basis.length)} channels does not act on the spec ${spec.name}`,
    );
  }
}

function actOnOne(spec: NcaSpec, g: SymmetryElement, from: Floats, to: Floats): void {
  const { hidden, channels } = spec;
  const inputs = 4 * channels;
  const [w1, b1, w2, b2] = weightBlocks(spec);
  const { permutation, scale, basis, basisInverse } = g;
  const [xx, xy, yx, yy] = g.turn;
  const sums = new Float64Array(inputs);
  for (let i = 0; i < hidden; i++) {
    const source = permutation[i];
    sums.fill(0);
    for (let k = 0; k < channels; k++) {
      const at = w1.offset + source * inputs + 4 * k;
      const sobelX = from[at + 1];
      const sobelY = from[at + 2];
      const turnedX = xx * sobelX + xy * sobelY;
      const turnedY = yx * sobelX + yy * sobelY;
      for (let c = 0; c < channels; c++) {
        const factor = basisInverse[k * channels + c];
        if (factor === 0) continue;
        sums[4 * c] += factor * from[at];
        sums[4 * c + 1] += factor * turnedX;
        sums[4 * c + 2] += factor * turnedY;
        sums[4 * c + 3] += factor * from[at + 3];
      }
    }
    for (let j = 0; j < inputs; j++) to[w1.offset + i * inputs + j] = scale[i] * sums[j];
    to[b1.offset + i] = scale[i] * from[b1.offset + source];
    for (let c = 0; c < channels; c++) {
      let sum = 0;
      for (let k = 0; k < channels; k++) {
        const factor = basis[c * channels + k];
        if (factor !== 0) sum += factor * from[w2.offset + k * hidden + source];
      }
      to[w2.offset + c * hidden + i] = sum / scale[i];
    }
  }
  if (!b2) return;
  for (let c = 0; c < channels; c++) {
    let sum = 0;
    for (let k = 0; k < channels; k++) sum += basis[c * channels + k] * from[b2.offset + k];
    to[b2.offset + c] = sum;
  }
}

/** Values on a grid of cells, [height, width, channels] row-major. */
export interface Grid<T extends Floats = Floats> {
  readonly height: number;
  readonly width: number;
  /** [height * width * channels] */
  readonly data: T;
}

/** Turns the grid of any number of channels: what was at offset r from the centre is now at M r. Sides swap under a quarter turn. */
export function turnGrid<T extends Floats>(g: SymmetryElement, grid: Grid<T>): Grid<T> {
  const [a, b, c, d] = g.turn;
  const { height, width, data } = grid;
  const channels = data.length / (height * width);
  const swapped = a === 0;
  const size = swapped ? { height: width, width: height } : { height, width };
  const result = like(data);
  // In doubled coordinates the centre of a cell is a whole number. M is orthogonal: its inverse is its transpose.
  for (let y = 0; y < size.height; y++) {
    for (let x = 0; x < size.width; x++) {
      const rx = 2 * x + 1 - size.width;
      const ry = 2 * y + 1 - size.height;
      const fromX = (a * rx + c * ry + width - 1) / 2;
      const fromY = (b * rx + d * ry + height - 1) / 2;
      const at = (fromY * width + fromX) * channels;
      const to = (y * size.width + x) * channels;
      for (let k = 0; k < channels; k++) result[to + k] = data[at + k];
    }
  }
  return { ...size, data: result };
}

/** Mask bits move with their cells. @param mask [height, width] */
export const actOnMask = turnGrid;

/** Turns the grid and changes the basis of the channels. @param state [height, width, channels] */
export function actOnState<T extends Floats>(spec: NcaSpec, g: SymmetryElement, state: Grid<T>): Grid<T> {
  checkFits(spec, g);
  const turned = turnGrid(g, state);
  return { ...turned, data: linear(turned.data, spec.channels, g.basis, 0) };
}

/**
 * Row-major [3, 3] part of A that acts on the colours of pictures. Throws when A mixes latent channels into the picture: then the picture alone does not
 * say what becomes of it.
 */
export function colourPart(spec: NcaSpec, g: SymmetryElement): Float64Array {
  checkFits(spec, g);
  for (let c = 0; c < 3; c++) {
    for (let k = 3; k < spec.channels; k++) {
      if (g.basis[c * spec.channels + k] !== 0) throw new Error('latent channels are mixed into the picture');
    }
  }
  return Float64Array.from({ length: 9 }, (_, i) => g.basis[Math.floor(i / 3) * spec.channels + (i % 3)]);
}

/**
 * The picture's colours change by A's part on the first three channels, about grey (the picture of a zero state).
 * @param picture [height, width, 3]
 * Throws as `colourPart` does.
 */
export function actOnImage<T extends Floats>(spec: NcaSpec, g: SymmetryElement, picture: Grid<T>): Grid<T> {
  const colour = colourPart(spec, g);
  const turned = turnGrid(g, picture);
  return { ...turned, data: linear(turned.data, 3, colour, spec.rgb.offset) };
}

/** x -> A (x - offset) + offset for every group of n numbers; A is row-major [n, n]. */
function linear<T extends Floats>(data: T, n: number, matrix: Float64Array, offset: number): T {
  if (matrix.every((x, i) => x === (i % (n + 1) === 0 ? 1 : 0))) return data;
  const result = like(data);
  for (let at = 0; at < data.length; at += n) {
    for (let c = 0; c < n; c++) {
      let sum = offset;
      for (let k = 0; k < n; k++) sum += matrix[c * n + k] * (data[at + k] - offset);
      result[at + c] = sum;
    }
  }
  return result;
}
