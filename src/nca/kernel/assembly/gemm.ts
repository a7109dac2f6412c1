// Small matrix products in register tiles: C[m][n] = start + sum_k A[m][k] B[k][n].
//
// A is read one number at a time (splat), B and C by vectors of four; a tile keeps its sums in registers over the whole k loop.
// 4 x 8 sums, their two B vectors and a splat fit the sixteen registers of x86 in both builds; bigger tiles spill in one or the other.
// All strides are in bytes. The order of the sum over k is that of k: results depend on no tile's neighbours.

/** a * b + c, in one rounding where the build has it. */
// @ts-ignore: decorator
@inline
export function fma(a: v128, b: v128, c: v128): v128 {
  if (FMA) return f32x4.relaxed_madd(a, b, c);
  return f32x4.add(f32x4.mul(a, b), c);
}

// What a tile's sums start from.
export const ZERO: i32 = 0;
/** A row of numbers, the same for every m. */
export const ROW: i32 = 1;
/** What C holds. */
export const SUM: i32 = 2;

// What is done to a finished sum.
export const STORE: i32 = 0;
/** max(s, 0) */
export const RELU: i32 = 1;
/** s where the gate's number is in (0, limit], else 0. */
export const GATE: i32 = 2;

// @ts-ignore: decorator
@inline
function begin(from: i32, row: usize, c: usize, offset: i32): v128 {
  if (from == ROW) return v128.load(row + offset);
  if (from == SUM) return v128.load(c + offset);
  return f32x4.splat(0);
}

// pmax(s, 0), not max: NaN stays NaN, and it is one instruction on x86.
// @ts-ignore: decorator
@inline
function finish(to: i32, s: v128, gate: usize, limit: v128, c: usize, offset: i32): void {
  if (to == RELU) s = f32x4.pmax(s, f32x4.splat(0));
  if (to == GATE) {
    const h = v128.load(gate + offset);
    s = v128.and(s, v128.and(f32x4.gt(h, f32x4.splat(0)), f32x4.le(h, limit)));
  }
  v128.store(c + offset, s);
}

/** 4 x 8, A row-major (k numbers at `a`, rows `am` apart), B a packed panel [k][8]; k is even. */
// @ts-ignore: decorator
@inline
function tile8(
  from: i32, to: i32, k: i32, a: usize, am: i32, b: usize,
  row: usize, gate: usize, limit: v128, c: usize, cm: i32,
): void {
  const c1 = c + cm, c2 = c1 + cm, c3 = c2 + cm;
  let s00 = begin(from, row, c, 0), s01 = begin(from, row, c, 16);
  let s10 = begin(from, row, c1, 0), s11 = begin(from, row, c1, 16);
  let s20 = begin(from, row, c2, 0), s21 = begin(from, row, c2, 16);
  let s30 = begin(from, row, c3, 0), s31 = begin(from, row, c3, 16);
  let a1 = a + am, a2 = a1 + am, a3 = a2 + am;
  for (const end = a + (<usize>k << 2); a < end; a += 8) {
    let b0 = v128.load(b), b1 = v128.load(b, 16);
    let x = v128.load32_splat(a);
    s00 = fma(x, b0, s00);
    s01 = fma(x, b1, s01);
    x = v128.load32_splat(a1);
    s10 = fma(x, b0, s10);
    s11 = fma(x, b1, s11);
    x = v128.load32_splat(a2);
    s20 = fma(x, b0, s20);
    s21 = fma(x, b1, s21);
    x = v128.load32_splat(a3);
    s30 = fma(x, b0, s30);
    s31 = fma(x, b1, s31);
    b0 = v128.load(b, 32);
    b1 = v128.load(b, 48);
    x = v128.load32_splat(a, 4);
    s00 = fma(x, b0, s00);
    s01 = fma(x, b1, s01);
    x = v128.load32_splat(a1, 4);
    s10 = fma(x, b0, s10);
    s11 = fma(x, b1, s11);
    x = v128.load32_splat(a2, 4);
    s20 = fma(x, b0, s20);
    s21 = fma(x, b1, s21);
    x = v128.load32_splat(a3, 4);
    s30 = fma(x, b0, s30);
    s31 = fma(x, b1, s31);
    b += 64;
    a1 += 8;
    a2 += 8;
    a3 += 8;
  }
  finish(to, s00, gate, limit, c, 0);
  finish(to, s01, gate, limit, c, 16);
  finish(to, s10, gate + cm, limit, c1, 0);
  finish(to, s11, gate + cm, limit, c1, 16);
  finish(to, s20, gate + cm * 2, limit, c2, 0);
  finish(to, s21, gate + cm * 2, limit, c2, 16);
  finish(to, s30, gate + cm * 3, limit, c3, 0);
  finish(to, s31, gate + cm * 3, limit, c3, 16);
}

/** 4 x 4, as tile8, B a packed panel [k][4]. */
// @ts-ignore: decorator
@inline
function tile4(from: i32, k: i32, a: usize, am: i32, b: usize, row: usize, c: usize, cm: i32): void {
  let s0 = begin(from, row, c, 0), s1 = begin(from, row, c + cm, 0);
  let s2 = begin(from, row, c + cm * 2, 0), s3 = begin(from, row, c + cm * 3, 0);
  let a1 = a + am, a2 = a1 + am, a3 = a2 + am;
  for (const end = a + (<usize>k << 2); a < end; a += 4) {
    const b0 = v128.load(b);
    s0 = fma(v128.load32_splat(a), b0, s0);
    s1 = fma(v128.load32_splat(a1), b0, s1);
    s2 = fma(v128.load32_splat(a2), b0, s2);
    s3 = fma(v128.load32_splat(a3), b0, s3);
    b += 16;
    a1 += 4;
    a2 += 4;
    a3 += 4;
  }
  v128.store(c, s0);
  v128.store(c + cm, s1);
  v128.store(c + cm * 2, s2);
  v128.store(c + cm * 3, s3);
}

/** 4 x 12, as tile8, B a packed panel [k][12]; k is even. */
// @ts-ignore: decorator
@inline
function tile12(from: i32, k: i32, a: usize, am: i32, b: usize, row: usize, c: usize, cm: i32): void {
  const c1 = c + cm, c2 = c1 + cm, c3 = c2 + cm;
  let s00 = begin(from, row, c, 0), s01 = begin(from, row, c, 16), s02 = begin(from, row, c, 32);
  let s10 = begin(from, row, c1, 0), s11 = begin(from, row, c1, 16), s12 = begin(from, row, c1, 32);
  let s20 = begin(from, row, c2, 0), s21 = begin(from, row, c2, 16), s22 = begin(from, row, c2, 32);
  let s30 = begin(from, row, c3, 0), s31 = begin(from, row, c3, 16), s32 = begin(from, row, c3, 32);
  let a1 = a + am, a2 = a1 + am, a3 = a2 + am;
  for (const end = a + (<usize>k << 2); a < end; a += 8) {
    let b0 = v128.load(b), b1 = v128.load(b, 16), b2 = v128.load(b, 32);
    let x = v128.load32_splat(a);
    s00 = fma(x, b0, s00);
    s01 = fma(x, b1, s01);
    s02 = fma(x, b2, s02);
    x = v128.load32_splat(a1);
    s10 = fma(x, b0, s10);
    s11 = fma(x, b1, s11);
    s12 = fma(x, b2, s12);
    x = v128.load32_splat(a2);
    s20 = fma(x, b0, s20);
    s21 = fma(x, b1, s21);
    s22 = fma(x, b2, s22);
    x = v128.load32_splat(a3);
    s30 = fma(x, b0, s30);
    s31 = fma(x, b1, s31);
    s32 = fma(x, b2, s32);
    b0 = v128.load(b, 48);
    b1 = v128.load(b, 64);
    b2 = v128.load(b, 80);
    x = v128.load32_splat(a, 4);
    s00 = fma(x, b0, s00);
    s01 = fma(x, b1, s01);
    s02 = fma(x, b2, s02);
    x = v128.load32_splat(a1, 4);
    s10 = fma(x, b0, s10);
    s11 = fma(x, b1, s11);
    s12 = fma(x, b2, s12);
    x = v128.load32_splat(a2, 4);
    s20 = fma(x, b0, s20);
    s21 = fma(x, b1, s21);
    s22 = fma(x, b2, s22);
    x = v128.load32_splat(a3, 4);
    s30 = fma(x, b0, s30);
    s31 = fma(x, b1, s31);
    s32 = fma(x, b2, s32);
    b += 96;
    a1 += 8;
    a2 += 8;
    a3 += 8;
  }
  v128.store(c, s00);
  v128.store(c, s01, 16);
  v128.store(c, s02, 32);
  v128.store(c1, s10);
  v128.store(c1, s11, 16);
  v128.store(c1, s12, 32);
  v128.store(c2, s20);
  v128.store(c2, s21, 16);
  v128.store(c2, s22, 32);
  v128.store(c3, s30);
  v128.store(c3, s31, 16);
  v128.store(c3, s32, 32);
}

/** 4 x 8 of C += A^T B: A and B hold one row per k, `ak` and `bk` apart. */
// @ts-ignore: decorator
@inline
function outer8(k: i32, a: usize, ak: i32, b: usize, bk: i32, c: usize, cm: i32): void {
  const c1 = c + cm, c2 = c1 + cm, c3 = c2 + cm;
  let s00 = v128.load(c), s01 = v128.load(c, 16);
  let s10 = v128.load(c1), s11 = v128.load(c1, 16);
  let s20 = v128.load(c2), s21 = v128.load(c2, 16);
  let s30 = v128.load(c3), s31 = v128.load(c3, 16);
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
  v128.store(c, s00);
  v128.store(c, s01, 16);
  v128.store(c1, s10);
  v128.store(c1, s11, 16);
  v128.store(c2, s20);
  v128.store(c2, s21, 16);
  v128.store(c3, s30);
  v128.store(c3, s31, 16);
}

/** [m, n] = relu(row + A [m, k] B [k, n]). m a multiple of 4, n of 8 (B in panels of 8), k of 2. */
export function productRelu(m: i32, n: i32, k: i32, a: usize, b: usize, row: usize, c: usize): void {
  const am = k << 2, cm = n << 2;
  for (let j = 0; j < n; j += 8) {
    for (let i = 0; i < m; i += 4) {
      tile8(ROW, RELU, k, a + i * am, am, b, row, 0, f32x4.splat(0), c + i * cm + (j << 2), cm);
    }
    b += am << 3;
    row += 32;
  }
}

/** [m, n] = gate * (A [m, k] B [k, n]), the gate open where the numbers of `gate` [m, n] lie in (0, limit]. Shapes as above. */
export function productGated(m: i32, n: i32, k: i32, a: usize, b: usize, gate: usize, limit: f32, c: usize): void {
  const am = k << 2, cm = n << 2;
  const limits = f32x4.splat(limit);
  for (let j = 0; j < n; j += 8) {
    for (let i = 0; i < m; i += 4) {
      const at = i * cm + (j << 2);
      tile8(ZERO, GATE, k, a + i * am, am, b, 0, gate + at, limits, c + at, cm);
    }
    b += am << 3;
  }
}

/** [m, n] = row + A [m, k] B [k, n]. m and n multiples of 4, k of 2; B in panels as `panelWidth` says. */
export function product(m: i32, n: i32, k: i32, a: usize, b: usize, row: usize, c: usize): void {
  const am = k << 2, cm = n << 2;
  for (let j = 0; j < n; ) {
    const width = panelWidth(n - j);
    for (let i = 0; i < m; i += 4) {
      const from = a + i * am, to = c + i * cm + (j << 2);
      if (width == 12) tile12(ROW, k, from, am, b, row, to, cm);
      else if (width == 8) tile8(ROW, STORE, k, from, am, b, row, 0, f32x4.splat(0), to, cm);
      else tile4(ROW, k, from, am, b, row, to, cm);
    }
    b += am * width;
    row += width << 2;
    j += width;
  }
}

/** Width of the next panel when `left` columns (a multiple of 4) are left: eights, and one of 12 or 4 where they do not go in. */
// @ts-ignore: decorator
@inline
export function panelWidth(left: i32): i32 {
  return (left & 4) == 0 ? 8 : left == 4 ? 4 : 12;
}

/** C [m, n] += A [k, m]^T B [k, n]. m a multiple of 4, n of 8. */
export function outerProduct(m: i32, n: i32, k: i32, a: usize, b: usize, c: usize): void {
  const ak = m << 2, bk = n << 2;
  for (let j = 0; j < n; j += 8) {
    for (let i = 0; i < m; i += 4) outer8(k, a + (i << 2), ak, b + (j << 2), bk, c + i * bk + (j << 2), bk);
  }
}
