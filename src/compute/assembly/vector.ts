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

// @ts-ignore: decorator
@inline
export function vexp(v: v128): v128 {
  // The clamp keeps the exponent arithmetic in range; beyond it the two scalings give infinity or zero by themselves. pmin and pmax
  // are one instruction each and keep a NaN.
  const x = f32x4.pmin(f32x4.pmax(v, splat(-104)), splat(89));
  // Adding 1.5 * 2^23 rounds to a whole number, which then stands in the low bits.
  const t = madd(x, splat(1.44269504088896341), splat(12582912));
  const n = f32x4.sub(t, splat(12582912));
  let r = madd(n, splat(-0.693359375), x);
  r = madd(n, splat(2.12194440e-4), r);
  let p = splat(1.9875691500e-4);
  p = madd(p, r, splat(1.3981999507e-3));
  p = madd(p, r, splat(8.3334519073e-3));
  p = madd(p, r, splat(4.1665795894e-2));
  p = madd(p, r, splat(1.6666665459e-1));
  p = madd(p, r, splat(5.0000001201e-1));
  p = madd(p, f32x4.mul(r, r), f32x4.add(r, splat(1)));
  const e = i32x4.sub(t, i32x4.splat(0x4b400000));
  const half = i32x4.shr_s(e, 1);
  const bias = i32x4.splat(127);
  const first = i32x4.shl(i32x4.add(half, bias), 23);
  const second = i32x4.shl(i32x4.add(i32x4.sub(e, half), bias), 23);
  return f32x4.mul(f32x4.mul(p, first), second);
}

// @ts-ignore: decorator
@inline
export function vlog(v: v128): v128 {
  // Subnormal numbers are scaled up first.
  const tiny = f32x4.lt(v, splat(1.17549435e-38));
  const scaled = v128.bitselect(f32x4.mul(v, splat(8388608)), v, tiny);
  let e = f32x4.convert_i32x4_s(i32x4.sub(i32x4.shr_u(scaled, 23), i32x4.splat(126)));
  e = f32x4.sub(e, v128.and(tiny, splat(23)));
  let m = v128.or(v128.and(scaled, i32x4.splat(0x007fffff)), i32x4.splat(0x3f000000));
  const small = f32x4.lt(m, splat(0.707106781186547524));
  e = f32x4.sub(e, v128.and(small, splat(1)));
  m = f32x4.sub(f32x4.add(m, v128.and(small, m)), splat(1));
  const z = f32x4.mul(m, m);
  let p = splat(7.0376836292e-2);
  p = madd(p, m, splat(-1.1514610310e-1));
  p = madd(p, m, splat(1.1676998740e-1));
  p = madd(p, m, splat(-1.2420140846e-1));
  p = madd(p, m, splat(1.4249322787e-1));
  p = madd(p, m, splat(-1.6668057665e-1));
  p = madd(p, m, splat(2.0000714765e-1));
  p = madd(p, m, splat(-2.4999993993e-1));
  p = madd(p, m, splat(3.3333331174e-1));
  p = f32x4.mul(f32x4.mul(p, m), z);
  p = madd(e, splat(-2.12194440e-4), p);
  p = madd(z, splat(-0.5), p);
  const y = madd(e, splat(0.693359375), f32x4.add(m, p));
  // Zero, negative, infinite and NaN arguments.
  let out = v128.bitselect(splat(f32.NEGATIVE_INFINITY), y, f32x4.eq(v, splat(0)));
  out = v128.bitselect(splat(NaN), out, f32x4.lt(v, splat(0)));
  const strange = v128.not(f32x4.lt(v, splat(f32.POSITIVE_INFINITY)));
  return v128.bitselect(v, out, strange);
}

// @ts-ignore: decorator
@inline
export function vsigmoid(v: v128): v128 {
  return f32x4.div(splat(1), f32x4.add(splat(1), vexp(f32x4.neg(v))));
}

// @ts-ignore: decorator
@inline
export function vtanh(v: v128): v128 {
  const a = f32x4.abs(v);
  const large = f32x4.sub(splat(1), f32x4.div(splat(2), f32x4.add(vexp(f32x4.add(a, a)), splat(1))));
  const signed = v128.or(large, v128.and(v, i32x4.splat(0x80000000)));
  const z = f32x4.mul(v, v);
  let p = splat(-5.70498872745e-3);
  p = madd(p, z, splat(2.06390887954e-2));
  p = madd(p, z, splat(-5.37397155531e-2));
  p = madd(p, z, splat(1.33314422036e-1));
  p = madd(p, z, splat(-3.33332819422e-1));
  const near = madd(f32x4.mul(p, z), v, v);
  return v128.bitselect(near, signed, f32x4.lt(a, splat(0.625)));
}

/** erf as a ratio of polynomials on [-4, 4], the minimax fit that XLA and Eigen use. */
// @ts-ignore: decorator
@inline
export function verf(v: v128): v128 {
  const x = f32x4.pmin(f32x4.pmax(v, splat(-4)), splat(4));
  const z = f32x4.mul(x, x);
  let p = splat(-2.72614225801306e-10);
  p = madd(p, z, splat(2.77068142495902e-8));
  p = madd(p, z, splat(-2.10102402082508e-6));
  p = madd(p, z, splat(-5.69250639462346e-5));
  p = madd(p, z, splat(-7.34990630326855e-4));
  p = madd(p, z, splat(-2.95459980854025e-3));
  p = madd(p, z, splat(-1.60960333262415e-2));
  let q = splat(-1.45660718464996e-5);
  q = madd(q, z, splat(-2.13374055278905e-4));
  q = madd(q, z, splat(-1.68282697438203e-3));
  q = madd(q, z, splat(-7.37332916720468e-3));
  q = madd(q, z, splat(-1.42647390514189e-2));
  return f32x4.div(f32x4.mul(x, p), q);
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

/** x / 2 (1 + erf(x / sqrt 2)) */
// @ts-ignore: decorator
@inline
export function vgelu(v: v128): v128 {
  return f32x4.mul(f32x4.mul(v, splat(0.5)), f32x4.add(splat(1), verf(f32x4.mul(v, splat(0.70710678118654752)))));
}

/** Its derivative: (1 + erf(x / sqrt 2)) / 2 + x exp(-x^2 / 2) / sqrt(2 pi) */
// @ts-ignore: decorator
@inline
export function vgeluSlope(v: v128): v128 {
  const cdf = f32x4.mul(splat(0.5), f32x4.add(splat(1), verf(f32x4.mul(v, splat(0.70710678118654752)))));
  const pdf = f32x4.mul(vexp(f32x4.mul(f32x4.mul(v, v), splat(-0.5))), splat(0.398942280401432678));
  return madd(v, pdf, cdf);
}
