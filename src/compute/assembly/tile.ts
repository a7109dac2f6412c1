// The register tile of matrix products: MR rows of A by 8 columns of B, or by 16, two panels of B, in the wide build. 6 x 8 fills the
// registers of the FMA build, 6 x 16 those of the wide one once V8 has joined its vectors in pairs. Without FMA the product needs one
// register more, so 5 rows are the most that fit.
import { madd, splat } from "./vector";

export const MR: i32 = FMA ? 6 : 5;
export const NR: i32 = 8;
/** Columns that a step of `multiplyPanels` takes where there are so many. */
const STEP: i32 = WIDE ? 2 * NR : NR;
/** Bytes of scratch for a tile. */
export const TILE: usize = 384;

/** Bytes from row to row of an A that is not in panels (see `multiplyRows`): room for ROW_FLOATS, and no power of two. */
export const ROW: usize = 1088;
export const ROW_FLOATS: i32 = 256;

// @ts-ignore: decorator
@inline
function tile6(a: usize, b: usize, k: i32, c: usize, ldc: usize, accumulate: bool, row: usize, step: usize): void {
  let x0 = accumulate ? v128.load(c) : splat(0), y0 = accumulate ? v128.load(c, 16) : splat(0);
  let x1 = accumulate ? v128.load(c + ldc) : splat(0), y1 = accumulate ? v128.load(c + ldc, 16) : splat(0);
  let x2 = accumulate ? v128.load(c + 2 * ldc) : splat(0), y2 = accumulate ? v128.load(c + 2 * ldc, 16) : splat(0);
  let x3 = accumulate ? v128.load(c + 3 * ldc) : splat(0), y3 = accumulate ? v128.load(c + 3 * ldc, 16) : splat(0);
  let x4 = accumulate ? v128.load(c + 4 * ldc) : splat(0), y4 = accumulate ? v128.load(c + 4 * ldc, 16) : splat(0);
  let x5 = accumulate ? v128.load(c + 5 * ldc) : splat(0), y5 = accumulate ? v128.load(c + 5 * ldc, 16) : splat(0);
  for (; k > 0; k--) {
    const u = v128.load(b), v = v128.load(b, 16);
    const a0 = v128.load_splat<f32>(a);
    x0 = madd(a0, u, x0);
    y0 = madd(a0, v, y0);
    const a1 = v128.load_splat<f32>(a + row);
    x1 = madd(a1, u, x1);
    y1 = madd(a1, v, y1);
    const a2 = v128.load_splat<f32>(a + 2 * row);
    x2 = madd(a2, u, x2);
    y2 = madd(a2, v, y2);
    const a3 = v128.load_splat<f32>(a + 3 * row);
    x3 = madd(a3, u, x3);
    y3 = madd(a3, v, y3);
    const a4 = v128.load_splat<f32>(a + 4 * row);
    x4 = madd(a4, u, x4);
    y4 = madd(a4, v, y4);
    const a5 = v128.load_splat<f32>(a + 5 * row);
    x5 = madd(a5, u, x5);
    y5 = madd(a5, v, y5);
    a += step;
    b += 32;
  }
  v128.store(c, x0);
  v128.store(c, y0, 16);
  v128.store(c + ldc, x1);
  v128.store(c + ldc, y1, 16);
  v128.store(c + 2 * ldc, x2);
  v128.store(c + 2 * ldc, y2, 16);
  v128.store(c + 3 * ldc, x3);
  v128.store(c + 3 * ldc, y3, 16);
  v128.store(c + 4 * ldc, x4);
  v128.store(c + 4 * ldc, y4, 16);
  v128.store(c + 5 * ldc, x5);
  v128.store(c + 5 * ldc, y5, 16);
}

// @ts-ignore: decorator
@inline
function tile5(a: usize, b: usize, k: i32, c: usize, ldc: usize, accumulate: bool, row: usize, step: usize): void {
  let x0 = accumulate ? v128.load(c) : splat(0), y0 = accumulate ? v128.load(c, 16) : splat(0);
  let x1 = accumulate ? v128.load(c + ldc) : splat(0), y1 = accumulate ? v128.load(c + ldc, 16) : splat(0);
  let x2 = accumulate ? v128.load(c + 2 * ldc) : splat(0), y2 = accumulate ? v128.load(c + 2 * ldc, 16) : splat(0);
  let x3 = accumulate ? v128.load(c + 3 * ldc) : splat(0), y3 = accumulate ? v128.load(c + 3 * ldc, 16) : splat(0);
  let x4 = accumulate ? v128.load(c + 4 * ldc) : splat(0), y4 = accumulate ? v128.load(c + 4 * ldc, 16) : splat(0);
  for (; k > 0; k--) {
    const u = v128.load(b), v = v128.load(b, 16);
    const a0 = v128.load_splat<f32>(a);
    x0 = madd(a0, u, x0);
    y0 = madd(a0, v, y0);
    const a1 = v128.load_splat<f32>(a + row);
    x1 = madd(a1, u, x1);
    y1 = madd(a1, v, y1);
    const a2 = v128.load_splat<f32>(a + 2 * row);
    x2 = madd(a2, u, x2);
    y2 = madd(a2, v, y2);
    const a3 = v128.load_splat<f32>(a + 3 * row);
    x3 = madd(a3, u, x3);
    y3 = madd(a3, v, y3);
    const a4 = v128.load_splat<f32>(a + 4 * row);
    x4 = madd(a4, u, x4);
    y4 = madd(a4, v, y4);
    a += step;
    b += 32;
  }
  v128.store(c, x0);
  v128.store(c, y0, 16);
  v128.store(c + ldc, x1);
  v128.store(c + ldc, y1, 16);
  v128.store(c + 2 * ldc, x2);
  v128.store(c + 2 * ldc, y2, 16);
  v128.store(c + 3 * ldc, x3);
  v128.store(c + 3 * ldc, y3, 16);
  v128.store(c + 4 * ldc, x4);
  v128.store(c + 4 * ldc, y4, 16);
}

/** The same with 16 columns: `b` and `b2` are neighbouring panels. */
// @ts-ignore: decorator
@inline
function tile6x16(a: usize, b: usize, b2: usize, k: i32, c: usize, ldc: usize, accumulate: bool, row: usize, step: usize): void {
  let x0 = accumulate ? v128.load(c) : splat(0), y0 = accumulate ? v128.load(c, 16) : splat(0);
  let z0 = accumulate ? v128.load(c, 32) : splat(0), w0 = accumulate ? v128.load(c, 48) : splat(0);
  let x1 = accumulate ? v128.load(c + ldc) : splat(0), y1 = accumulate ? v128.load(c + ldc, 16) : splat(0);
  let z1 = accumulate ? v128.load(c + ldc, 32) : splat(0), w1 = accumulate ? v128.load(c + ldc, 48) : splat(0);
  let x2 = accumulate ? v128.load(c + 2 * ldc) : splat(0), y2 = accumulate ? v128.load(c + 2 * ldc, 16) : splat(0);
  let z2 = accumulate ? v128.load(c + 2 * ldc, 32) : splat(0), w2 = accumulate ? v128.load(c + 2 * ldc, 48) : splat(0);
  let x3 = accumulate ? v128.load(c + 3 * ldc) : splat(0), y3 = accumulate ? v128.load(c + 3 * ldc, 16) : splat(0);
  let z3 = accumulate ? v128.load(c + 3 * ldc, 32) : splat(0), w3 = accumulate ? v128.load(c + 3 * ldc, 48) : splat(0);
  let x4 = accumulate ? v128.load(c + 4 * ldc) : splat(0), y4 = accumulate ? v128.load(c + 4 * ldc, 16) : splat(0);
  let z4 = accumulate ? v128.load(c + 4 * ldc, 32) : splat(0), w4 = accumulate ? v128.load(c + 4 * ldc, 48) : splat(0);
  let x5 = accumulate ? v128.load(c + 5 * ldc) : splat(0), y5 = accumulate ? v128.load(c + 5 * ldc, 16) : splat(0);
  let z5 = accumulate ? v128.load(c + 5 * ldc, 32) : splat(0), w5 = accumulate ? v128.load(c + 5 * ldc, 48) : splat(0);
  for (; k > 0; k--) {
    const p = v128.load(b), q = v128.load(b, 16), u = v128.load(b2), v = v128.load(b2, 16);
    const a0 = v128.load_splat<f32>(a);
    x0 = madd(a0, p, x0);
    y0 = madd(a0, q, y0);
    z0 = madd(a0, u, z0);
    w0 = madd(a0, v, w0);
    const a1 = v128.load_splat<f32>(a + row);
    x1 = madd(a1, p, x1);
    y1 = madd(a1, q, y1);
    z1 = madd(a1, u, z1);
    w1 = madd(a1, v, w1);
    const a2 = v128.load_splat<f32>(a + 2 * row);
    x2 = madd(a2, p, x2);
    y2 = madd(a2, q, y2);
    z2 = madd(a2, u, z2);
    w2 = madd(a2, v, w2);
    const a3 = v128.load_splat<f32>(a + 3 * row);
    x3 = madd(a3, p, x3);
    y3 = madd(a3, q, y3);
    z3 = madd(a3, u, z3);
    w3 = madd(a3, v, w3);
    const a4 = v128.load_splat<f32>(a + 4 * row);
    x4 = madd(a4, p, x4);
    y4 = madd(a4, q, y4);
    z4 = madd(a4, u, z4);
    w4 = madd(a4, v, w4);
    const a5 = v128.load_splat<f32>(a + 5 * row);
    x5 = madd(a5, p, x5);
    y5 = madd(a5, q, y5);
    z5 = madd(a5, u, z5);
    w5 = madd(a5, v, w5);
    a += step;
    b += 32;
    b2 += 32;
  }
  v128.store(c, x0);
  v128.store(c, y0, 16);
  v128.store(c, z0, 32);
  v128.store(c, w0, 48);
  v128.store(c + ldc, x1);
  v128.store(c + ldc, y1, 16);
  v128.store(c + ldc, z1, 32);
  v128.store(c + ldc, w1, 48);
  v128.store(c + 2 * ldc, x2);
  v128.store(c + 2 * ldc, y2, 16);
  v128.store(c + 2 * ldc, z2, 32);
  v128.store(c + 2 * ldc, w2, 48);
  v128.store(c + 3 * ldc, x3);
  v128.store(c + 3 * ldc, y3, 16);
  v128.store(c + 3 * ldc, z3, 32);
  v128.store(c + 3 * ldc, w3, 48);
  v128.store(c + 4 * ldc, x4);
  v128.store(c + 4 * ldc, y4, 16);
  v128.store(c + 4 * ldc, z4, 32);
  v128.store(c + 4 * ldc, w4, 48);
  v128.store(c + 5 * ldc, x5);
  v128.store(c + 5 * ldc, y5, 16);
  v128.store(c + 5 * ldc, z5, 32);
  v128.store(c + 5 * ldc, w5, 48);
}

// One function for each case: a branch beside the loop makes V8 shuffle registers inside it, at half the speed. The last two
// arguments are compile-time constants: where the next row and the next k of A lie.
function panelSet(a: usize, b: usize, k: i32, c: usize, ldc: usize): void {
  if (FMA) tile6(a, b, k, c, ldc, false, 4, 24);
  else tile5(a, b, k, c, ldc, false, 4, 20);
}

function panelAdd(a: usize, b: usize, k: i32, c: usize, ldc: usize): void {
  if (FMA) tile6(a, b, k, c, ldc, true, 4, 24);
  else tile5(a, b, k, c, ldc, true, 4, 20);
}

function rowsSet(a: usize, b: usize, k: i32, c: usize, ldc: usize): void {
  if (FMA) tile6(a, b, k, c, ldc, false, ROW, 4);
  else tile5(a, b, k, c, ldc, false, ROW, 4);
}

function rowsAdd(a: usize, b: usize, k: i32, c: usize, ldc: usize): void {
  if (FMA) tile6(a, b, k, c, ldc, true, ROW, 4);
  else tile5(a, b, k, c, ldc, true, ROW, 4);
}

function panelPairSet(a: usize, b: usize, b2: usize, k: i32, c: usize, ldc: usize): void {
  tile6x16(a, b, b2, k, c, ldc, false, 4, 24);
}

function panelPairAdd(a: usize, b: usize, b2: usize, k: i32, c: usize, ldc: usize): void {
  tile6x16(a, b, b2, k, c, ldc, true, 4, 24);
}

function rowsPairSet(a: usize, b: usize, b2: usize, k: i32, c: usize, ldc: usize): void {
  tile6x16(a, b, b2, k, c, ldc, false, ROW, 4);
}

function rowsPairAdd(a: usize, b: usize, b2: usize, k: i32, c: usize, ldc: usize): void {
  tile6x16(a, b, b2, k, c, ldc, true, ROW, 4);
}

/** The first rows and columns of a tile in scratch, `width` floats a row, to C or on top of it. */
function putEdge(tile: usize, width: i32, c: usize, ldc: usize, rows: i32, columns: i32, accumulate: bool): void {
  for (let r = 0; r < rows; r++) {
    let p = c + <usize>r * ldc;
    let t = tile + (<usize>(r * width) << 2);
    let s = columns;
    for (; s >= 4; s -= 4) {
      v128.store(p, accumulate ? f32x4.add(v128.load(p), v128.load(t)) : v128.load(t));
      p += 16;
      t += 16;
    }
    for (; s > 0; s--) {
      store<f32>(p, accumulate ? load<f32>(p) + load<f32>(t) : load<f32>(t));
      p += 4;
      t += 4;
    }
  }
}

/** C [m, n] (+)= packed A, packed B over k; `tile` is TILE bytes of scratch for the ragged edges. `ldc` in floats. */
export function multiplyPanels(
  pa: usize, pb: usize, c: usize, ldc: i32, m: i32, n: i32, k: i32, accumulate: bool, tile: usize,
): void {
  const row = <usize>ldc << 2;
  for (let j = 0; j < n; j += STEP) {
    const b = pb + (<usize>(j * k) << 2);
    const pair = WIDE && n - j > NR;
    const b2 = b + (<usize>(NR * k) << 2);
    const columns = min(pair ? STEP : NR, n - j);
    const whole = columns == (pair ? STEP : NR);
    for (let i = 0; i < m; i += MR) {
      const a = pa + (<usize>(i * k) << 2);
      const to = c + (<usize>(i * ldc + j) << 2);
      if (whole && i + MR <= m) {
        if (pair) {
          if (accumulate) panelPairAdd(a, b, b2, k, to, row);
          else panelPairSet(a, b, b2, k, to, row);
        } else if (accumulate) panelAdd(a, b, k, to, row);
        else panelSet(a, b, k, to, row);
        continue;
      }
      if (pair) panelPairSet(a, b, b2, k, tile, 64);
      else panelSet(a, b, k, tile, 32);
      putEdge(tile, pair ? STEP : NR, to, row, min(MR, m - i), columns, accumulate);
    }
  }
}

/** Rows that `multiplyRows` takes at a time. */
export const MR2: i32 = 2 * MR;

/**
 * The same for A in rows of ROW bytes, which need no packing: C [m, n] (+)= A [m, k] packed B [k, n], k <= ROW_FLOATS. m must be a multiple
 * of MR2 and n of 8. Two calls of a tile in a loop: a function with one caller would be inlined, and the loops share the registers.
 */
export function multiplyRows(a: usize, pb: usize, c: usize, ldc: i32, m: i32, n: i32, k: i32, accumulate: bool): void {
  const row = <usize>ldc << 2;
  const nextA = <usize>MR * ROW, nextC = <usize>MR * row;
  for (let j = 0; j < n; j += STEP) {
    const b = pb + (<usize>(j * k) << 2);
    const b2 = b + (<usize>(NR * k) << 2);
    const pair = WIDE && n - j > NR;
    let from = a;
    let to = c + (<usize>j << 2);
    for (let i = 0; i < m; i += MR2) {
      if (pair) {
        if (accumulate) {
          rowsPairAdd(from, b, b2, k, to, row);
          rowsPairAdd(from + nextA, b, b2, k, to + nextC, row);
        } else {
          rowsPairSet(from, b, b2, k, to, row);
          rowsPairSet(from + nextA, b, b2, k, to + nextC, row);
        }
      } else if (accumulate) {
        rowsAdd(from, b, k, to, row);
        rowsAdd(from + nextA, b, k, to + nextC, row);
      } else {
        rowsSet(from, b, k, to, row);
        rowsSet(from + nextA, b, k, to + nextC, row);
      }
      from += 2 * nextA;
      to += 2 * nextC;
    }
  }
}
