// Small matrix products in register tiles: C[m][n] = start + sum_k A[m][k] B[k][n].
//
// A tile is 4 x 8 sums, kept in registers over the whole k loop: with two vectors of B and one splat number of A they just fit the sixteen
// registers of x86, in both builds. For every k the four numbers of A lie together, and the eight of B: `ak` and `bk` bytes from one k to the
// next. A matrix in *quads* is [m / 4][k][4], one in *panels* [n / 8][k][8].
// The loop is left rolled: unrolled by hand, V8 moves all loads to its top and runs out of registers.
// The sum over k is in the order of k: a result depends on nothing beside its row of A and its column of B.

/** a * b + c, in one rounding where the build has it. */
// @ts-ignore: decorator
@inline
export function fma(a: v128, b: v128, c: v128): v128 {
  if (FMA) return f32x4.relaxed_madd(a, b, c);
  return f32x4.add(f32x4.mul(a, b), c);
}

// What a tile's sums start from.
const ZERO: i32 = 0;
/** Row m starts from the m-th number at `start`. */
const COLUMN: i32 = 1;
/** What C holds. */
const SUM: i32 = 2;

// What is done to a finished sum.
const NOTHING: i32 = 0;
/** max(s, 0) */
const RELU: i32 = 1;

// @ts-ignore: decorator
@inline
function begin(from: i32, start: usize, m: i32, c: usize): v128 {
  if (from == COLUMN) return v128.load32_splat(start + (m << 2));
  if (from == SUM) return v128.load(c);
  return f32x4.splat(0);
}

// pmax(s, 0), not max: NaN stays NaN, and it is one instruction on x86.
// @ts-ignore: decorator
@inline
function finish(to: i32, s: v128, c: usize): void {
  if (to == RELU) s = f32x4.pmax(s, f32x4.splat(0));
  v128.store(c, s);
}

// @ts-ignore: decorator
@inline
function tile(
  from: i32, to: i32, k: i32, a: usize, ak: i32, b: usize, bk: i32, start: usize, c: usize, cm: i32,
): void {
  const c1 = c + cm, c2 = c1 + cm, c3 = c2 + cm;
  let s00 = begin(from, start, 0, c), s01 = begin(from, start, 0, c + 16);
  let s10 = begin(from, start, 1, c1), s11 = begin(from, start, 1, c1 + 16);
  let s20 = begin(from, start, 2, c2), s21 = begin(from, start, 2, c2 + 16);
  let s30 = begin(from, start, 3, c3), s31 = begin(from, start, 3, c3 + 16);
  for (; k > 0; k--) {
    const b0 = v128.load(b), b1 = v128.load(b, 16);
    let x = v128.load32_splat(a);
    s00 = fma(x, b0, s00);
    s01 = fma(x, b1, s01);
    x = v128.load32_splat(a, 4);
    s10 = fma(x, b0, s10);
    s11 = fma(x, b1, s11);
    x = v128.load32_splat(a, 8);
    s20 = fma(x, b0, s20);
    s21 = fma(x, b1, s21);
    x = v128.load32_splat(a, 12);
    s30 = fma(x, b0, s30);
    s31 = fma(x, b1, s31);
    a += ak;
    b += bk;
  }
  finish(to, s00, c);
  finish(to, s01, c + 16);
  finish(to, s10, c1);
  finish(to, s11, c1 + 16);
  finish(to, s20, c2);
  finish(to, s21, c2 + 16);
  finish(to, s30, c3);
  finish(to, s31, c3 + 16);
}

// A [m, k] in quads, B [k, n] and C [m, n] in panels; m a multiple of 4, n of 8.

/** C = relu(start + A B), `start` a column [m]. */
export function productRelu(m: i32, n: i32, k: i32, a: usize, b: usize, start: usize, c: usize): void {
  for (let i = 0; i < m; i += 4) {
    for (let j = 0; j < n; j += 8) {
      tile(COLUMN, RELU, k, a, 16, b + ((j * k) << 2), 32, start, c + ((j * m + i * 8) << 2), 32);
    }
    a += k << 4;
    start += 16;
  }
}

/** C = start + A B, `start` a column [m]. */
export function productFrom(m: i32, n: i32, k: i32, a: usize, b: usize, start: usize, c: usize): void {
  for (let i = 0; i < m; i += 4) {
    for (let j = 0; j < n; j += 8) {
      tile(COLUMN, NOTHING, k, a, 16, b + ((j * k) << 2), 32, start, c + ((j * m + i * 8) << 2), 32);
    }
    a += k << 4;
    start += 16;
  }
}

/** C = A B. */
export function product(m: i32, n: i32, k: i32, a: usize, b: usize, c: usize): void {
  for (let i = 0; i < m; i += 4) {
    for (let j = 0; j < n; j += 8) {
      tile(ZERO, NOTHING, k, a, 16, b + ((j * k) << 2), 32, 0, c + ((j * m + i * 8) << 2), 32);
    }
    a += k << 4;
  }
}

/** C [m, n] += A [k, m]^T B [k, n], all row by row. */
export function outerProduct(m: i32, n: i32, k: i32, a: usize, b: usize, c: usize): void {
  const ak = m << 2, bk = n << 2;
  for (let j = 0; j < n; j += 8) {
    for (let i = 0; i < m; i += 4) {
      tile(SUM, NOTHING, k, a + (i << 2), ak, b + (j << 2), bk, 0, c + ((i * n + j) << 2), bk);
    }
  }
}

/** Stores the columns of the 4 x 4 block with rows a, b, c, d, `stride` bytes apart, and returns their sum. */
// @ts-ignore: decorator
@inline
function storeTransposed(a: v128, b: v128, c: v128, d: v128, to: usize, stride: i32): v128 {
  const ab = v128.shuffle<f32>(a, b, 0, 4, 1, 5), cd = v128.shuffle<f32>(c, d, 0, 4, 1, 5);
  const abHigh = v128.shuffle<f32>(a, b, 2, 6, 3, 7), cdHigh = v128.shuffle<f32>(c, d, 2, 6, 3, 7);
  const first = v128.shuffle<i64>(ab, cd, 0, 2), second = v128.shuffle<i64>(ab, cd, 1, 3);
  const third = v128.shuffle<i64>(abHigh, cdHigh, 0, 2), fourth = v128.shuffle<i64>(abHigh, cdHigh, 1, 3);
  v128.store(to, first);
  v128.store(to + stride, second);
  v128.store(to + 2 * stride, third);
  v128.store(to + 3 * stride, fourth);
  return f32x4.add(f32x4.add(first, second), f32x4.add(third, fourth));
}

/** Transposes a 4 x 4 block: `fm` bytes from row to row of the source, `tm` of the target. */
// @ts-ignore: decorator
@inline
function transpose4(from: usize, fm: i32, to: usize, tm: i32): void {
  storeTransposed(v128.load(from), v128.load(from + fm), v128.load(from + 2 * fm), v128.load(from + 3 * fm), to, tm);
}

// @ts-ignore: decorator
@inline
function gated(s: v128, h: v128, limit: v128): v128 {
  return v128.and(s, v128.and(f32x4.gt(h, f32x4.splat(0)), f32x4.le(h, limit)));
}

/** Half a tile of hidden units, [4, 4]: see `passHidden`. Returns the gradients' sum over the cells. */
// @ts-ignore: decorator
@inline
function passQuarter(limit: v128, gradient: usize, h: usize, hRows: usize, rows: usize, stride: i32): v128 {
  const h0 = v128.load(h), h1 = v128.load(h, 32), h2 = v128.load(h, 64), h3 = v128.load(h, 96);
  storeTransposed(f32x4.pmin(h0, limit), f32x4.pmin(h1, limit), f32x4.pmin(h2, limit), f32x4.pmin(h3, limit), hRows, stride);
  const g0 = gated(v128.load(gradient), h0, limit), g1 = gated(v128.load(gradient, 32), h1, limit);
  const g2 = gated(v128.load(gradient, 64), h2, limit), g3 = gated(v128.load(gradient, 96), h3, limit);
  v128.store(gradient, g0);
  v128.store(gradient, g1, 32);
  v128.store(gradient, g2, 64);
  v128.store(gradient, g3, 96);
  return storeTransposed(g0, g1, g2, g3, rows, stride);
}

/**
 * Gradients A B [m, n] (panels, to `c`) of hidden units taken back through their ReLU and clip: 0 where the unit, at `h` (panels), is not in
 * (0, limit]. In the same sweep: the gradients row by row [n, m], the clipped units row by row, and `sum` [m] += the gradients' sum over n.
 */
export function passHidden(
  m: i32, n: i32, k: i32, a: usize, b: usize, h: usize, limit: f32, c: usize, rows: usize, hRows: usize, sum: usize,
): void {
  const limits = f32x4.splat(limit), stride = m << 2;
  for (let i = 0; i < m; i += 4) {
    let total = v128.load(sum);
    for (let j = 0; j < n; j += 8) {
      const at = (j * m + i * 8) << 2, rowAt = (j * m + i) << 2;
      tile(ZERO, NOTHING, k, a, 16, b + ((j * k) << 2), 32, 0, c + at, 32);
      total = f32x4.add(total, passQuarter(limits, c + at, h + at, hRows + rowAt, rows + rowAt, stride));
      const later = rowAt + 4 * stride;
      total = f32x4.add(total, passQuarter(limits, c + at + 16, h + at + 16, hRows + later, rows + later, stride));
    }
    v128.store(sum, total);
    sum += 16;
    a += k << 4;
  }
}

/** sum [m] += the sum of the first n rows [n, m]. */
export function sumRows(n: i32, m: i32, rows: usize, sum: usize): void {
  for (let i = 0; i < m; i += 4) {
    let total = v128.load(sum);
    for (let j = 0; j < n; j++) total = f32x4.add(total, v128.load(rows + ((j * m + i) << 2)));
    v128.store(sum, total);
    sum += 16;
  }
}

/** Rows [n, k] to panels of their transpose [k, n]. */
export function toPanels(n: i32, k: i32, rows: usize, panels: usize): void {
  for (let j = 0; j < n; j += 4) {
    const from = rows + ((j * k) << 2), to = panels + (((j & ~7) * k + (j & 4)) << 2);
    for (let i = 0; i < k; i += 4) transpose4(from + (i << 2), k << 2, to + (i << 5), 32);
  }
}

/** Panels of [k, n] to the rows of its transpose [n, k]. */
export function toRows(n: i32, k: i32, panels: usize, rows: usize): void {
  for (let j = 0; j < n; j += 4) {
    const from = panels + (((j & ~7) * k + (j & 4)) << 2), to = rows + ((j * k) << 2);
    for (let i = 0; i < k; i += 4) transpose4(from + (i << 5), 32, to + (i << 2), k << 2);
  }
}
