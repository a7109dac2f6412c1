// GELU between two linear layers, for a backward pass that is to follow.
import { at, madd, put, splat, verf, vexp } from "./vector";

/** The standard normal distribution function, (1 + erf(x / sqrt 2)) / 2. */
// @ts-ignore: decorator
@inline
function distribution(x: v128): v128 {
  return madd(splat(0.5), verf(f32x4.mul(x, splat(0.70710678118654752))), splat(0.5));
}

/** The derivative of x P(x), with P the distribution function: P(x) + x exp(-x^2 / 2) / sqrt(2 pi). */
// @ts-ignore: decorator
@inline
function slopeOf(x: v128, p: v128): v128 {
  const density = f32x4.mul(vexp(f32x4.mul(f32x4.mul(x, x), splat(-0.5))), splat(0.39894228040143268));
  return madd(x, density, p);
}

/** out = gelu(x), and in the place of x its derivative there: for elements [band * share, ...). */
export function geluAndSlope(band: i32, thread: i32, x: usize, out: usize, length: i32, share: i32): void {
  const start = <usize>(band * share) << 2;
  const count = min(share, length - band * share);
  const from = x + start;
  const to = out + start;
  let i = 0;
  // Two vectors at a time, for a V8 that joins them into one.
  for (; i + 8 <= count; i += 8) {
    const p = from + (<usize>i << 2);
    const q = to + (<usize>i << 2);
    const x0 = v128.load(p), x1 = v128.load(p, 16);
    const p0 = distribution(x0), p1 = distribution(x1);
    v128.store(q, f32x4.mul(x0, p0));
    v128.store(q, f32x4.mul(x1, p1), 16);
    v128.store(p, slopeOf(x0, p0));
    v128.store(p, slopeOf(x1, p1), 16);
  }
  for (; i < count; i += 4) {
    const v = at(from, i, count);
    const d = distribution(v);
    put(to, i, count, f32x4.mul(v, d));
    put(from, i, count, slopeOf(v, d));
  }
}

/** x *= y for elements [band * share, ...). */
export function multiplyBy(band: i32, thread: i32, x: usize, y: usize, length: i32, share: i32): void {
  const start = <usize>(band * share) << 2;
  const count = min(share, length - band * share);
  const to = x + start;
  const from = y + start;
  let i = 0;
  for (; i + 8 <= count; i += 8) {
    const p = to + (<usize>i << 2);
    const q = from + (<usize>i << 2);
    const a = f32x4.mul(v128.load(p), v128.load(q)), b = f32x4.mul(v128.load(p, 16), v128.load(q, 16));
    v128.store(p, a);
    v128.store(p, b, 16);
  }
  for (; i < count; i += 4) put(to, i, count, f32x4.mul(at(to, i, count), at(from, i, count)));
}
