// Small matrix products in register tiles: C[m][n] = start + sum_k A[m][k] B[k][n].
//
// A tile is 4 x 8 sums, kept in registers over the whole k loop: with two vectors of B and one splat number of A they just fit the sixteen
// registers of x86, in both builds. A is read where it lies, row by row or column by column; the eight numbers of B for every k lie together.
// A matrix in *panels* is [n / 8][k][8]; where n is no multiple of 8 its last four columns are [k / 2][4][2] (see narrowTile).
// The loop is left rolled: unrolled by hand, V8 moves all loads to its top and runs out of registers.
// The sum over k is in a fixed order: a result depends on nothing beside its row of A and its column of B.

/** a * b + c, in one rounding where the build has it. */
// @ts-ignore: decorator
@inline
export function fma(a: v128, b: v128, c: v128): v128 {
  if (FMA) return f32x4.relaxed_madd(a, b, c);
  return f32x4.add(f32x4.mul(a, b), c);
}

// What a tile's sums start from.
const ZERO: i32 = 0;
/** Every row from the numbers at `start`. */
const ROW: i32 = 1;
/** What C holds. */
const SUM: i32 = 2;

// What is done to a finished sum.
const NOTHING: i32 = 0;
/** max(s, 0) */
const RELU: i32 = 1;
/** Kept where the number at `gate` is in (0, limit], else 0. */
const GATE: i32 = 2;

// @ts-ignore: decorator
@inline
function begin(from: i32, start: usize, c: usize): v128 {
  if (from == ROW) return v128.load(start);
  if (from == SUM) return v128.load(c);
  return f32x4.splat(0);
}

/** Stores a finished sum, and returns what was stored. */
// @ts-ignore: decorator
@inline
function finish(to: i32, s: v128, c: usize, gate: usize, limit: v128): v128 {
  // pmax(s, 0), not max: NaN stays NaN, and it is one instruction on x86.
  if (to == RELU) s = f32x4.pmax(s, f32x4.splat(0));
  if (to == GATE) {
    const h = v128.load(gate);
    s = v128.and(s, v128.and(f32x4.gt(h, f32x4.splat(0)), f32x4.le(h, limit)));
  }
  v128.store(c, s);
  return s;
}

/**
 * One tile. Bytes from one to the next: `am` row of A, `ak` column of A, `bk` row of B, `cm` row of C. With GATE, `gate` is laid out as C and the
 * sums over the tile's rows are added to the eight numbers at `sum`.
 */
// @ts-ignore: decorator
@inline
function tile(
  from: i32, to: i32, k: i32, a: usize, am: i32, ak: i32, b: usize, bk: i32, start: usize, c: usize, cm: i32, gate: usize, limit: v128, sum: usize,
): void {
  let a1 = a + am, a2 = a1 + am, a3 = a2 + am;
  const c1 = c + cm, c2 = c1 + cm, c3 = c2 + cm;
  let s00 = begin(from, start, c), s01 = begin(from, start + 16, c + 16);
  let s10 = begin(from, start, c1), s11 = begin(from, start + 16, c1 + 16);
  let s20 = begin(from, start, c2), s21 = begin(from, start + 16, c2 + 16);
  let s30 = begin(from, start, c3), s31 = begin(from, start + 16, c3 + 16);
  for (; k > 0; k--) {
    const b0 = v128.load(b), b1 = v128.load(b, 16);
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
    a += ak;
    a1 += ak;
    a2 += ak;
    a3 += ak;
    b += bk;
  }
  const g1 = gate + cm, g2 = g1 + cm, g3 = g2 + cm;
  s00 = finish(to, s00, c, gate, limit);
  s01 = finish(to, s01, c + 16, gate + 16, limit);
  s10 = finish(to, s10, c1, g1, limit);
  s11 = finish(to, s11, c1 + 16, g1 + 16, limit);
  s20 = finish(to, s20, c2, g2, limit);
  s21 = finish(to, s21, c2 + 16, g2 + 16, limit);
  s30 = finish(to, s30, c3, g3, limit);
  s31 = finish(to, s31, c3 + 16, g3 + 16, limit);
  if (to != GATE) return;
  const sum0 = f32x4.add(f32x4.add(s00, s10), f32x4.add(s20, s30));
  const sum1 = f32x4.add(f32x4.add(s01, s11), f32x4.add(s21, s31));
  v128.store(sum, f32x4.add(v128.load(sum), sum0));
  v128.store(sum, f32x4.add(v128.load(sum, 16), sum1), 16);
}

/** Four sums of the even and the odd terms, from [0 even, 0 odd, 1 even, 1 odd] and [2 ..., 3 odd]. */
// @ts-ignore: decorator
@inline
function addPairs(low: v128, high: v128): v128 {
  return f32x4.add(v128.shuffle<f32>(low, high, 0, 2, 4, 6), v128.shuffle<f32>(low, high, 1, 3, 5, 7));
}

/**
 * The last four columns of C = start + A B where n is no multiple of 8; k even. Four sums alone would wait for one another, so those of even and
 * odd k run apart: two numbers of A are splat at once, and the panel of B is [k / 2][4][2].
 */
// @ts-ignore: decorator
@inline
function narrowTile(k: i32, a: usize, am: i32, b: usize, start: usize, c: usize, cm: i32): void {
  let a1 = a + am, a2 = a1 + am, a3 = a2 + am;
  let s00 = f32x4.splat(0), s01 = s00, s10 = s00, s11 = s00, s20 = s00, s21 = s00, s30 = s00, s31 = s00;
  for (; k > 0; k -= 2) {
    const b0 = v128.load(b), b1 = v128.load(b, 16);
    let x = v128.load64_splat(a);
    s00 = fma(x, b0, s00);
    s01 = fma(x, b1, s01);
    x = v128.load64_splat(a1);
    s10 = fma(x, b0, s10);
    s11 = fma(x, b1, s11);
    x = v128.load64_splat(a2);
    s20 = fma(x, b0, s20);
    s21 = fma(x, b1, s21);
    x = v128.load64_splat(a3);
    s30 = fma(x, b0, s30);
    s31 = fma(x, b1, s31);
    a += 8;
    a1 += 8;
    a2 += 8;
    a3 += 8;
    b += 32;
  }
  const first = v128.load(start);
  v128.store(c, f32x4.add(first, addPairs(s00, s01)));
  v128.store(c + cm, f32x4.add(first, addPairs(s10, s11)));
  v128.store(c + 2 * cm, f32x4.add(first, addPairs(s20, s21)));
  v128.store(c + 3 * cm, f32x4.add(first, addPairs(s30, s31)));
}

// A [m, k] and C [m, n] row by row, B [k, n] in panels; m a multiple of 4, n of 8 where nothing else is said.

/** C = relu(start + A B), `start` a row [n]. */
export function productRelu(m: i32, n: i32, k: i32, a: usize, b: usize, start: usize, c: usize): void {
  const am = k << 2, cm = n << 2;
  const none = f32x4.splat(0);
  for (let i = 0; i < m; i += 4) {
    for (let j = 0; j < n; j += 8) {
      tile(ROW, RELU, k, a, am, 4, b + ((j * k) << 2), 32, start + (j << 2), c + (j << 2), cm, 0, none, 0);
    }
    a += am << 2;
    c += cm << 2;
  }
}

/** C = start + A B, `start` a row [n]; n a multiple of 4, k of 2. */
export function productFrom(m: i32, n: i32, k: i32, a: usize, b: usize, start: usize, c: usize): void {
  const am = k << 2, cm = n << 2, wide = n & ~7;
  const none = f32x4.splat(0);
  for (let i = 0; i < m; i += 4) {
    for (let j = 0; j < wide; j += 8) {
      tile(ROW, NOTHING, k, a, am, 4, b + ((j * k) << 2), 32, start + (j << 2), c + (j << 2), cm, 0, none, 0);
    }
    if (wide < n) narrowTile(k, a, am, b + ((wide * k) << 2), start + (wide << 2), c + (wide << 2), cm);
    a += am << 2;
    c += cm << 2;
  }
}

/** C = A B. */
export function product(m: i32, n: i32, k: i32, a: usize, b: usize, c: usize): void {
  const am = k << 2, cm = n << 2;
  const none = f32x4.splat(0);
  for (let i = 0; i < m; i += 4) {
    for (let j = 0; j < n; j += 8) {
      tile(ZERO, NOTHING, k, a, am, 4, b + ((j * k) << 2), 32, 0, c + (j << 2), cm, 0, none, 0);
    }
    a += am << 2;
    c += cm << 2;
  }
}

/**
 * Gradients C = A B of hidden units, taken back through their ReLU and clip: 0 where the unit, at `h` [m, n], is not in (0, limit]. Their sum over
 * the rows is added to `sum` [n].
 */
export function productGated(m: i32, n: i32, k: i32, a: usize, b: usize, h: usize, limit: f32, c: usize, sum: usize): void {
  const am = k << 2, cm = n << 2;
  const limits = f32x4.splat(limit);
  for (let i = 0; i < m; i += 4) {
    for (let j = 0; j < n; j += 8) {
      const at = j << 2;
      tile(ZERO, GATE, k, a, am, 4, b + ((j * k) << 2), 32, 0, c + at, cm, h + at, limits, sum + at);
    }
    a += am << 2;
    c += cm << 2;
    h += cm << 2;
  }
}

/** C [m, n] += A [k, m]^T B [k, n], all row by row. */
export function outerProduct(m: i32, n: i32, k: i32, a: usize, b: usize, c: usize): void {
  const ak = m << 2, bk = n << 2;
  const none = f32x4.splat(0);
  for (let j = 0; j < n; j += 8) {
    for (let i = 0; i < m; i += 4) {
      tile(SUM, NOTHING, k, a + (i << 2), 4, ak, b + (j << 2), bk, 0, c + ((i * n + j) << 2), bk, 0, none, 0);
    }
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
