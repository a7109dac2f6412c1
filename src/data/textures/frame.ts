/**
 * The plane a texture is drawn on: pixels are mapped to *cells* of a rotated square lattice, and every cell has random numbers of its own.
 *
 * A tileable frame bends scale and angle as little as possible, so that the picture's width and height become whole lattice
 * vectors; cells that coincide on the torus then share their random numbers.
 */

export interface Frame {
  /** Cell coordinates (u, v) of a pixel position. */
  toCell(x: number, y: number): readonly [number, number];
  /**
   * A number in [0, 1) that belongs to the cell (i, j) and a channel. Octave k divides every cell into 2^k x 2^k:
   * i and j then count those.
   */
  random(i: number, j: number, channel: number, octave?: number): number;
}

export interface FrameOptions {
  /** Width and height of the picture in pixels. */
  readonly size: number;
  /** Pixels per cell. */
  readonly scale: number;
  /** Radians, counter-clockwise. */
  readonly angle: number;
  /** Shift in cells. */
  readonly phase: readonly [number, number];
  /** Seed of the cells' random numbers. */
  readonly layout: number;
  readonly tileable: boolean;
  /** The whole lattice vectors of a tileable frame are multiples of this: 2 for patterns that repeat every other cell. */
  readonly period: number;
}

const modulo = (a: number, n: number) => ((a % n) + n) % n;

/** A 32-bit integer hash of four integers (the finaliser of MurmurHash3 after each word). */
export function hash(a: number, b: number, c: number, d: number): number {
  let h = 0x9e3779b9 | 0;
  for (const word of [a, b, c, d]) {
    h = Math.imul(h ^ word, 0x85ebca6b);
    h ^= h >>> 13;
    h = Math.imul(h, 0xc2b2ae35);
    h ^= h >>> 16;
  }
  return h >>> 0;
}

export function textureFrame(options: FrameOptions): Frame {
  const { size, scale, angle, phase, layout, tileable, period } = options;
  // (u, v) = [p -q; q p] (x, y) + phase: a rotation and a scaling.
  let p = Math.cos(angle) / scale;
  let q = Math.sin(angle) / scale;
  let across = 0;
  let down = 0;
  if (tileable) {
    const snap = (cells: number) => Math.round((cells * size) / period) * period;
    across = snap(p);
    down = snap(q);
    if (across === 0 && down === 0) {
      if (Math.abs(p) >= Math.abs(q)) across = period;
      else down = period;
    }
    p = across / size;
    q = down / size;
  }
  return {
    toCell: (x, y) => [p * x - q * y + phase[0], q * x + p * y + phase[1]],
    random(i, j, channel, octave = 0) {
      if (tileable) {
        // (i, j) modulo the lattice spanned by (across, down) and (-down, across), as a pair of whole numbers.
        const a = across << octave;
        const b = down << octave;
        const cells = a * a + b * b;
        return (
          hash(modulo(i * a + j * b, cells), modulo(j * a - i * b, cells), channel + 64 * octave, layout) /
          2 ** 32
        );
      }
      return hash(i, j, channel + 64 * octave, layout) / 2 ** 32;
    },
  };
}
