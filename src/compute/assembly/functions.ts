// Functions that training meets less often: sine and cosine, powers, tests and logic on bytes. The numbers are those of
// src/tensor/loom/functions.ts. Polynomials in Cephes' coefficients (S. L. Moshier, public domain).
import { loop } from "./unary";
import { loadPart, madd, splat, storePart, vexpm1, vlog } from "./vector";

/** sin, or cos, of four floats within [-8192, 8192]: reduced by multiples of pi / 4 in three parts. */
// @ts-ignore: decorator
@inline
function vsin(v: v128, cosine: bool): v128 {
  const a = f32x4.abs(v);
  let j = i32x4.trunc_sat_f32x4_u(f32x4.mul(a, splat(1.27323954473516)));
  j = v128.andnot(i32x4.add(j, i32x4.splat(1)), i32x4.splat(1));
  const y = f32x4.convert_i32x4_s(j);
  let x = f32x4.sub(a, f32x4.mul(y, splat(0.78515625)));
  x = f32x4.sub(x, f32x4.mul(y, splat(2.4187564849853515625e-4)));
  x = f32x4.sub(x, f32x4.mul(y, splat(3.77489497744594108e-8)));
  const z = f32x4.mul(x, x);
  let s = madd(splat(-1.9515295891e-4), z, splat(8.3321608736e-3));
  s = madd(s, z, splat(-1.6666654611e-1));
  s = madd(f32x4.mul(s, z), x, x);
  let c = madd(splat(2.443315711809948e-5), z, splat(-1.388731625493765e-3));
  c = madd(c, z, splat(4.166664568298827e-2));
  c = f32x4.add(madd(f32x4.mul(c, z), z, f32x4.mul(z, splat(-0.5))), splat(1));
  const odd = i32x4.ne(v128.and(j, i32x4.splat(2)), i32x4.splat(0));
  const half = i32x4.shl(v128.and(j, i32x4.splat(4)), 29);
  if (cosine) {
    const quarter = i32x4.shl(v128.and(j, i32x4.splat(2)), 30);
    return v128.xor(v128.bitselect(s, c, odd), v128.xor(half, quarter));
  }
  const sign = v128.and(v, i32x4.splat(0x80000000));
  return v128.xor(v128.bitselect(c, s, odd), v128.xor(half, sign));
}

/** Any lane outside the polynomials' range, NaN among them, sends the four to the scalar functions. */
// @ts-ignore: decorator
@inline
function sine(v: v128, cosine: bool): v128 {
  if (v128.all_true<i32>(f32x4.le(f32x4.abs(v), splat(8192)))) return vsin(v, cosine);
  const a = f32x4.extract_lane(v, 0), b = f32x4.extract_lane(v, 1), c = f32x4.extract_lane(v, 2), d = f32x4.extract_lane(v, 3);
  if (cosine) return f32x4(NativeMathf.cos(a), NativeMathf.cos(b), NativeMathf.cos(c), NativeMathf.cos(d));
  return f32x4(NativeMathf.sin(a), NativeMathf.sin(b), NativeMathf.sin(c), NativeMathf.sin(d));
}

/** ln(1 + x): log(u) (x / (u - 1)) with u = 1 + x repairs the rounding of the sum (Kahan). */
// @ts-ignore: decorator
@inline
function vlog1p(x: v128): v128 {
  const u = f32x4.add(x, splat(1));
  const l = f32x4.mul(vlog(u), f32x4.div(x, f32x4.sub(u, splat(1))));
  const plain = v128.or(f32x4.eq(u, splat(1)), f32x4.eq(x, splat(f32.POSITIVE_INFINITY)));
  return v128.bitselect(x, l, plain);
}

class Sin { @inline of(x: v128, p: v128, q: v128): v128 { return sine(x, false); } }
class Cos { @inline of(x: v128, p: v128, q: v128): v128 { return sine(x, true); } }
class Log1p { @inline of(x: v128, p: v128, q: v128): v128 { return vlog1p(x); } }
class Expm1 { @inline of(x: v128, p: v128, q: v128): v128 { return vexpm1(x); } }
class Selu {
  @inline of(x: v128, p: v128, q: v128): v128 {
    const negative = f32x4.mul(vexpm1(x), splat(1.7580993408473768));
    return v128.bitselect(f32x4.mul(x, splat(1.0507009873554805)), negative, f32x4.ge(x, splat(0)));
  }
}

/** out = function(x) for elements [band * share, ...). */
export function rareUnary(band: i32, thread: i32, op: i32, x: usize, out: usize, length: i32, share: i32): void {
  const start = <usize>(band * share) << 2;
  const count = min(share, length - band * share);
  const from = x + start;
  const to = out + start;
  const none = splat(0);
  switch (op) {
    case 0: loop<Sin>(from, to, count, none, none); break;
    case 1: loop<Cos>(from, to, count, none, none); break;
    case 2: loop<Log1p>(from, to, count, none, none); break;
    case 3: loop<Expm1>(from, to, count, none, none); break;
    default: loop<Selu>(from, to, count, none, none);
  }
}

/** out = function(a, b); as and bs are 1 for an operand that moves along and 0 for a single number. */
export function rareBinary(
  band: i32, thread: i32, op: i32, a: usize, b: usize, out: usize, length: i32, share: i32, as: i32, bs: i32,
): void {
  const end = min(length, (band + 1) * share);
  if (op == 0) {
    for (let i = band * share; i < end; i++) {
      store<f32>(out + (<usize>i << 2), power(load<f32>(a + (<usize>(i * as) << 2)), load<f32>(b + (<usize>(i * bs) << 2))));
    }
    return;
  }
  const a0 = splat(load<f32>(a)), b0 = splat(load<f32>(b));
  for (let i = band * share; i < end; i += 4) {
    const o = <usize>i << 2;
    const left = end - i;
    const x = as == 0 ? a0 : left >= 4 ? v128.load(a + o) : loadPart(a + o, left);
    const y = bs == 0 ? b0 : left >= 4 ? v128.load(b + o) : loadPart(b + o, left);
    // 1: leaky relu of slope b; 2: the gradient a of elu at its output b.
    const v = op == 1
      ? v128.bitselect(f32x4.mul(x, y), x, f32x4.lt(x, splat(0)))
      : v128.bitselect(x, f32x4.mul(x, f32x4.add(y, splat(1))), f32x4.ge(y, splat(0)));
    if (left >= 4) v128.store(out + o, v);
    else storePart(out + o, v, left);
  }
}

/** x^y as JavaScript has it: 1^infinity is NaN. */
// @ts-ignore: decorator
@inline
function power(x: f32, y: f32): f32 {
  if (y == 2) return x * x;
  if (abs(x) == 1 && !(abs(y) < f32.POSITIVE_INFINITY)) return NaN;
  if (x == 1) return 1;
  return NativeMathf.pow(x, y);
}

/** Bytes: 0 is NaN, 1 is infinite, 2 is finite, for floats [band * share, ...). */
export function testFloats(band: i32, thread: i32, op: i32, x: usize, out: usize, length: i32, share: i32): void {
  const end = min(length, (band + 1) * share);
  for (let i = band * share; i < end; i++) {
    const bits = load<u32>(x + (<usize>i << 2)) & 0x7fffffff;
    store<u8>(out + <usize>i, <u8>(op == 0 ? bits > 0x7f800000 : op == 1 ? bits == 0x7f800000 : bits < 0x7f800000));
  }
}

/** Bytes 0 or 1: 0 is and, 1 is or, 2 is not a, for elements [band * share, ...), share a multiple of 16. */
export function logic(band: i32, thread: i32, op: i32, a: usize, b: usize, out: usize, length: i32, share: i32): void {
  const end = min(length, (band + 1) * share);
  let i = band * share;
  const zero = i8x16.splat(0), one = i8x16.splat(1);
  for (; i + 16 <= end; i += 16) {
    const x = i8x16.ne(v128.load(a + <usize>i), zero);
    const y = i8x16.ne(v128.load(b + <usize>i), zero);
    const v = op == 0 ? v128.and(x, y) : op == 1 ? v128.or(x, y) : v128.not(x);
    v128.store(out + <usize>i, v128.and(v, one));
  }
  for (; i < end; i++) {
    const x = load<u8>(a + <usize>i) != 0, y = load<u8>(b + <usize>i) != 0;
    store<u8>(out + <usize>i, <u8>(op == 0 ? x && y : op == 1 ? x || y : !x));
  }
}
