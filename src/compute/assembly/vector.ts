// Functions of four floats at a time. Polynomials in Cephes' coefficients (S. L. Moshier, public domain) unless said otherwise;
// errors are a few units in the last place. NaN stays NaN everywhere.

/** a * b + c: fused in the FMA build, rounded twice in the other. */
// @ts-ignore: decorator
@inline
export function madd(a: v128, b: v128, c: v128): v128 {
  if (FMA) return f32x4.relaxed_madd(a, b, c);
  return f32x4.add(f32x4.mul(a, b), c);
}

// @ts-ignore: decorator
@inline
export function splat(x: f32): v128 {
  return f32x4.splat(x);
}

// @ts-ignore: decorator
@inline
export function sumLanes(v: v128): f32 {
  return f32x4.extract_lane(v, 0) + f32x4.extract_lane(v, 1) + (f32x4.extract_lane(v, 2) + f32x4.extract_lane(v, 3));
}

/** 1 to 4 floats from `p`, the other lanes zero. */
// @ts-ignore: decorator
@inline
export function loadPart(p: usize, count: i32): v128 {
  let v = v128.load32_zero(p);
  if (count > 1) v = v128.load32_lane(p, v, 1, 4);
  if (count > 2) v = v128.load32_lane(p, v, 2, 8);
  return v;
}

/** The first `count` (1 to 3) lanes to `p`. */
// @ts-ignore: decorator
@inline
export function storePart(p: usize, v: v128, count: i32): void {
  v128.store32_lane(p, v, 0);
  if (count > 1) v128.store32_lane(p, v, 1, 4);
  if (count > 2) v128.store32_lane(p, v, 2, 8);
}

/** Four floats from index c of `length` at p, zeros beyond the end. */
// @ts-ignore: decorator
@inline
export function at(p: usize, c: i32, length: i32): v128 {
  return c + 4 <= length ? v128.load(p + (<usize>c << 2)) : loadPart(p + (<usize>c << 2), length - c);
}

/** The same for a store. */
// @ts-ignore: decorator
@inline
export function put(p: usize, c: i32, length: i32, v: v128): void {
  if (c + 4 <= length) v128.store(p + (<usize>c << 2), v);
  else storePart(p + (<usize>c << 2), v, length - c);
}

/**
 * Number i of a table of constants, in all lanes. A load that broadcasts is one instruction; of a literal that does not fit into the
 * registers left over V8 makes six, at each step of the loop.
 */
// @ts-ignore: decorator
@inline
function constant(table: usize, i: i32): v128 {
  return v128.load32_splat(table + (<usize>i << 2));
}

// Bounds; log2 e; 1.5 * 2^23 + 254; -ln 2 in two parts; the polynomial from its highest power.
const EXP = memory.data<f32>([
  -104, 89, 1.44269504088896341, 12583166, -0.693359375, 2.12194440e-4,
  1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1, 1,
]);
// @ts-ignore: decorator
@inline
export function vexp(v: v128): v128 {
  // The clamp keeps the exponent arithmetic in range; beyond it the two scalings give infinity or zero by themselves. pmin and pmax
  // are one instruction each and keep a NaN.
  const x = f32x4.pmin(f32x4.pmax(v, constant(EXP, 0)), constant(EXP, 1));
  // Adding 1.5 * 2^23 rounds to a whole number n, and n + 254 then stands in the low bits.
  const t = madd(x, constant(EXP, 2), constant(EXP, 3));
  const n = f32x4.sub(t, constant(EXP, 3));
  let r = madd(n, constant(EXP, 4), x);
  r = madd(n, constant(EXP, 5), r);
  let p = constant(EXP, 6);
  p = madd(p, r, constant(EXP, 7));
  p = madd(p, r, constant(EXP, 8));
  p = madd(p, r, constant(EXP, 9));
  p = madd(p, r, constant(EXP, 10));
  p = madd(p, r, constant(EXP, 11));
  p = madd(p, f32x4.mul(r, r), f32x4.add(r, constant(EXP, 12)));
  // The two halves of n + 254 are the biased exponents of two powers of two whose product is 2^n.
  const half = i32x4.shr_u(t, 1);
  return f32x4.mul(f32x4.mul(p, i32x4.shl(half, 23)), i32x4.shl(i32x4.sub(t, half), 23));
}

// sqrt 1/2; 2^23; ln 2 in two parts, the small one first; -1/2; 1; the polynomial from its highest power.
const LOG = memory.data<f32>([
  0.707106781186547524, 8388608, -2.12194440e-4, 0.693359375, -0.5, 1,
  7.0376836292e-2, -1.1514610310e-1, 1.1676998740e-1, -1.2420140846e-1, 1.4249322787e-1, -1.6668057665e-1, 2.0000714765e-1,
  -2.4999993993e-1, 3.3333331174e-1,
]);
// @ts-ignore: decorator
@inline
export function vlog(v: v128): v128 {
  // Subnormal numbers are scaled up first.
  const tiny = f32x4.lt(v, splat(1.17549435e-38));
  const scaled = v128.bitselect(f32x4.mul(v, constant(LOG, 1)), v, tiny);
  let e = f32x4.convert_i32x4_s(i32x4.sub(i32x4.shr_u(scaled, 23), i32x4.splat(126)));
  e = f32x4.sub(e, v128.and(tiny, splat(23)));
  let m = v128.or(v128.and(scaled, i32x4.splat(0x007fffff)), i32x4.splat(0x3f000000));
  const small = f32x4.lt(m, constant(LOG, 0));
  const one = constant(LOG, 5);
  e = f32x4.sub(e, v128.and(small, one));
  m = f32x4.sub(f32x4.add(m, v128.and(small, m)), one);
  const z = f32x4.mul(m, m);
  let p = constant(LOG, 6);
  p = madd(p, m, constant(LOG, 7));
  p = madd(p, m, constant(LOG, 8));
  p = madd(p, m, constant(LOG, 9));
  p = madd(p, m, constant(LOG, 10));
  p = madd(p, m, constant(LOG, 11));
  p = madd(p, m, constant(LOG, 12));
  p = madd(p, m, constant(LOG, 13));
  p = madd(p, m, constant(LOG, 14));
  p = f32x4.mul(f32x4.mul(p, m), z);
  p = madd(e, constant(LOG, 2), p);
  p = madd(z, constant(LOG, 4), p);
  const y = madd(e, constant(LOG, 3), f32x4.add(m, p));
  // Zero, negative, infinite and NaN arguments.
  let out = v128.bitselect(splat(f32.NEGATIVE_INFINITY), y, f32x4.eq(v, splat(0)));
  out = v128.bitselect(splat(NaN), out, f32x4.lt(v, splat(0)));
  const strange = v128.not(f32x4.lt(v, splat(f32.POSITIVE_INFINITY)));
  return v128.bitselect(v, out, strange);
}

// @ts-ignore: decorator
@inline
export function vsigmoid(v: v128): v128 {
  const one = constant(EXP, 12);
  return f32x4.div(one, f32x4.add(one, vexp(f32x4.neg(v))));
}

// 1; 2; where the polynomial ends; the polynomial from its highest power.
const TANH = memory.data<f32>([
  1, 2, 0.625, -5.70498872745e-3, 2.06390887954e-2, -5.37397155531e-2, 1.33314422036e-1, -3.33332819422e-1,
]);
// @ts-ignore: decorator
@inline
export function vtanh(v: v128): v128 {
  const a = f32x4.abs(v);
  const one = constant(TANH, 0);
  const large = f32x4.sub(one, f32x4.div(constant(TANH, 1), f32x4.add(vexp(f32x4.add(a, a)), one)));
  const signed = v128.or(large, v128.and(v, i32x4.splat(0x80000000)));
  const z = f32x4.mul(v, v);
  let p = constant(TANH, 3);
  p = madd(p, z, constant(TANH, 4));
  p = madd(p, z, constant(TANH, 5));
  p = madd(p, z, constant(TANH, 6));
  p = madd(p, z, constant(TANH, 7));
  const near = madd(f32x4.mul(p, z), v, v);
  return v128.bitselect(near, signed, f32x4.lt(a, constant(TANH, 2)));
}

// The bound; the numerator and the denominator from their highest powers.
const ERF = memory.data<f32>([
  -4, 4,
  -2.72614225801306e-10, 2.77068142495902e-8, -2.10102402082508e-6, -5.69250639462346e-5, -7.34990630326855e-4, -2.95459980854025e-3,
  -1.60960333262415e-2,
  -1.45660718464996e-5, -2.13374055278905e-4, -1.68282697438203e-3, -7.37332916720468e-3, -1.42647390514189e-2,
]);
/** erf as a ratio of polynomials on [-4, 4], the minimax fit that XLA and Eigen use. */
// @ts-ignore: decorator
@inline
export function verf(v: v128): v128 {
  return ratio64(v, ERF);
}

/** x p(x^2) / q(x^2) with p of degree 6 and q of degree 4, and x first brought between the table's first two numbers. */
// @ts-ignore: decorator
@inline
function ratio64(v: v128, table: usize): v128 {
  const x = f32x4.pmin(f32x4.pmax(v, constant(table, 0)), constant(table, 1));
  const z = f32x4.mul(x, x);
  let p = constant(table, 2);
  p = madd(p, z, constant(table, 3));
  p = madd(p, z, constant(table, 4));
  p = madd(p, z, constant(table, 5));
  p = madd(p, z, constant(table, 6));
  p = madd(p, z, constant(table, 7));
  p = madd(p, z, constant(table, 8));
  let q = constant(table, 9);
  q = madd(q, z, constant(table, 10));
  q = madd(q, z, constant(table, 11));
  q = madd(q, z, constant(table, 12));
  q = madd(q, z, constant(table, 13));
  return f32x4.div(f32x4.mul(x, p), q);
}

/** exp(x) - 1: a Taylor polynomial near 0. */
// @ts-ignore: decorator
@inline
export function vexpm1(x: v128): v128 {
  let p = splat(2.48015873e-5);
  p = madd(p, x, splat(1.98412698e-4));
  p = madd(p, x, splat(1.38888889e-3));
  p = madd(p, x, splat(8.33333333e-3));
  p = madd(p, x, splat(4.16666667e-2));
  p = madd(p, x, splat(1.66666667e-1));
  p = madd(p, x, splat(0.5));
  const near = madd(f32x4.mul(x, x), p, x);
  return v128.bitselect(near, f32x4.sub(vexp(x), splat(1)), f32x4.lt(f32x4.abs(x), splat(0.5)));
}

/** ln(1 + exp x). */
// @ts-ignore: decorator
@inline
export function vsoftplus(v: v128): v128 {
  const e = vexp(f32x4.neg(f32x4.abs(v)));
  // log1p(e) for e in [0, 1]: log(u) * e / (u - 1) with u = 1 + e repairs the rounding of the sum (Kahan).
  const u = f32x4.add(e, splat(1));
  const d = f32x4.sub(u, splat(1));
  const l = v128.bitselect(e, f32x4.div(f32x4.mul(vlog(u), e), d), f32x4.eq(d, splat(0)));
  return f32x4.add(f32x4.max(v, splat(0)), l);
}

// Minimax fits of our own, laid out as those of erf. The bounds are where the rounded fit is 1/2, so that both tails are exact.
const NORMAL = memory.data<f32>([
  -5.2750001, 5.2750001,
  2.14303519e-10, -3.95542976e-8, 5.27806014e-6, 2.547357e-4, 7.60890916e-3, 5.85051775e-2, 0.698148847,
  9.53163908e-5, 2.94820499e-3, 4.83797491e-2, 0.438315094, 1.75,
  0.5,
]);
/** The standard normal distribution function, (1 + erf(x / sqrt 2)) / 2, within 2e-7. */
// @ts-ignore: decorator
@inline
export function vnormal(v: v128): v128 {
  return f32x4.add(ratio64(v, NORMAL), constant(NORMAL, 14));
}

/** x / 2 (1 + erf(x / sqrt 2)) */
// @ts-ignore: decorator
@inline
export function vgelu(v: v128): v128 {
  return f32x4.mul(v, vnormal(v));
}

const SLOPE = memory.data<f32>([
  -5.80000019, 5.80000019,
  2.12222758e-7, 3.95515817e-5, 2.11419028e-5, 1.56533401e-2, -3.40954736e-2, 0.877673924,
  9.84767939e-6, 2.11239967e-4, 3.87533801e-3, 4.50782254e-2, 0.323943406, 1.10000002,
  0.5,
]);
/** Its derivative, (1 + erf(x / sqrt 2)) / 2 + x exp(-x^2 / 2) / sqrt(2 pi), within 3e-7: 1/2 and an odd function, a ratio like erf's. */
// @ts-ignore: decorator
@inline
export function vgeluSlope(v: v128): v128 {
  const x = f32x4.pmin(f32x4.pmax(v, constant(SLOPE, 0)), constant(SLOPE, 1));
  const z = f32x4.mul(x, x);
  let p = constant(SLOPE, 2);
  p = madd(p, z, constant(SLOPE, 3));
  p = madd(p, z, constant(SLOPE, 4));
  p = madd(p, z, constant(SLOPE, 5));
  p = madd(p, z, constant(SLOPE, 6));
  p = madd(p, z, constant(SLOPE, 7));
  let q = constant(SLOPE, 8);
  q = madd(q, z, constant(SLOPE, 9));
  q = madd(q, z, constant(SLOPE, 10));
  q = madd(q, z, constant(SLOPE, 11));
  q = madd(q, z, constant(SLOPE, 12));
  q = madd(q, z, constant(SLOPE, 13));
  return f32x4.add(f32x4.div(f32x4.mul(x, p), q), constant(SLOPE, 14));
}
