// The register tile of matrix products: MR rows of A by 8 columns of B. 6 x 8 fills the registers of the FMA build; without FMA the
// product needs one register more, so 5 rows are the most that fit.
import { madd, splat } from "./vector";

export const MR: i32 = FMA ? 6 : 5;
export const NR: i32 = 8;

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

/** C [m, n] (+)= packed A, packed B over k; `tile` is scratch of MR * 8 floats for the ragged edges. `ldc` in floats. */
export function multiplyPanels(
  pa: usize, pb: usize, c: usize, ldc: i32, m: i32, n: i32, k: i32, accumulate: bool, tile: usize,
): void {
  const row = <usize>ldc << 2;
  for (let j = 0; j < n; j += NR) {
    const b = pb + (<usize>(j * k) << 2);
    const columns = min(NR, n - j);
    for (let i = 0; i < m; i += MR) {
      const a = pa + (<usize>(i * k) << 2);
      const to = c + (<usize>(i * ldc + j) << 2);
      if (columns == NR && i + MR <= m) {
        if (accumulate) panelAdd(a, b, k, to, row);
        else panelSet(a, b, k, to, row);
        continue;
      }
      panelSet(a, b, k, tile, 32);
      const rows = min(MR, m - i);
      for (let r = 0; r < rows; r++) {
        for (let s = 0; s < columns; s++) {
          const p = to + <usize>r * row + (<usize>s << 2);
          const x = load<f32>(tile + (<usize>(r * NR + s) << 2));
          store<f32>(p, accumulate ? load<f32>(p) + x : x);
        }
      }
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
  for (let j = 0; j < n; j += NR) {
    const b = pb + (<usize>(j * k) << 2);
    let from = a;
    let to = c + (<usize>j << 2);
    for (let i = 0; i < m; i += MR2) {
      if (accumulate) {
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
