// Functions of two floats, with broadcasting. An operation is a class, so that the compiler makes loops of its own for each. The numbers
// are those of src/tensor/loom/elementwise.ts.
import { at, loadPart, splat, storePart, vgeluSlope } from "./vector";
import { first, firstStep, locate, rowsLeft, second, secondStep } from "./move";

class Add { @inline of(x: v128, y: v128): v128 { return f32x4.add(x, y); } }
class Sub { @inline of(x: v128, y: v128): v128 { return f32x4.sub(x, y); } }
class Multiply { @inline of(x: v128, y: v128): v128 { return f32x4.mul(x, y); } }
class RealDiv { @inline of(x: v128, y: v128): v128 { return f32x4.div(x, y); } }
class Maximum { @inline of(x: v128, y: v128): v128 { return f32x4.max(x, y); } }
class Minimum { @inline of(x: v128, y: v128): v128 { return f32x4.min(x, y); } }
class SquaredDifference {
  @inline of(x: v128, y: v128): v128 {
    const d = f32x4.sub(x, y);
    return f32x4.mul(d, d);
  }
}
// Gradients: x is the gradient of the output; y is gelu's input, and the output of the others.
class GeluSlope { @inline of(x: v128, y: v128): v128 { return f32x4.mul(x, vgeluSlope(y)); } }
class ReluSlope { @inline of(x: v128, y: v128): v128 { return v128.and(x, f32x4.gt(y, splat(0))); } }
class TanhSlope { @inline of(x: v128, y: v128): v128 { return f32x4.mul(x, f32x4.sub(splat(1), f32x4.mul(y, y))); } }
class SigmoidSlope { @inline of(x: v128, y: v128): v128 { return f32x4.mul(x, f32x4.mul(y, f32x4.sub(splat(1), y))); } }
// Comparisons
class Greater { @inline of(x: v128, y: v128): v128 { return f32x4.gt(x, y); } }
class GreaterEqual { @inline of(x: v128, y: v128): v128 { return f32x4.ge(x, y); } }
class Less { @inline of(x: v128, y: v128): v128 { return f32x4.lt(x, y); } }
class LessEqual { @inline of(x: v128, y: v128): v128 { return f32x4.le(x, y); } }
class Equal { @inline of(x: v128, y: v128): v128 { return f32x4.eq(x, y); } }
class NotEqual { @inline of(x: v128, y: v128): v128 { return f32x4.ne(x, y); } }

/** One run: as and bs are 1 for an operand that moves along and 0 for one that stays. */
function run<Op>(x: usize, y: usize, out: usize, count: i32, as: i32, bs: i32): void {
  const op = changetype<Op>(0);
  const end = out + (<usize>(count & ~15) << 2);
  const stay = splat(load<f32>(as == 0 ? x : y));
  // Four vectors a step, all done before any is stored: they become two of 256 bits where the runtime joins pairs.
  if (as != 0 && bs != 0) {
    while (out < end) {
      const t = op.of(v128.load(x), v128.load(y));
      const u = op.of(v128.load(x, 16), v128.load(y, 16));
      const v = op.of(v128.load(x, 32), v128.load(y, 32));
      const w = op.of(v128.load(x, 48), v128.load(y, 48));
      storeFour(out, t, u, v, w);
      x += 64;
      y += 64;
      out += 64;
    }
  } else if (as != 0) {
    while (out < end) {
      const t = op.of(v128.load(x), stay);
      const u = op.of(v128.load(x, 16), stay);
      const v = op.of(v128.load(x, 32), stay);
      const w = op.of(v128.load(x, 48), stay);
      storeFour(out, t, u, v, w);
      x += 64;
      out += 64;
    }
  } else {
    while (out < end) {
      const t = op.of(stay, v128.load(y));
      const u = op.of(stay, v128.load(y, 16));
      const v = op.of(stay, v128.load(y, 32));
      const w = op.of(stay, v128.load(y, 48));
      storeFour(out, t, u, v, w);
      y += 64;
      out += 64;
    }
  }
  let left = count & 15;
  for (; left >= 4; left -= 4) {
    v128.store(out, op.of(as != 0 ? v128.load(x) : stay, bs != 0 ? v128.load(y) : stay));
    x += <usize>as << 4;
    y += <usize>bs << 4;
    out += 16;
  }
  if (left) storePart(out, op.of(as != 0 ? loadPart(x, left) : stay, bs != 0 ? loadPart(y, left) : stay), left);
}

// @ts-ignore: decorator
@inline
function storeFour(out: usize, t: v128, u: v128, v: v128, w: v128): void {
  v128.store(out, t);
  v128.store(out, u, 16);
  v128.store(out, v, 32);
  v128.store(out, w, 48);
}

/** The same for a comparison, which writes bytes 0 and 1. */
function compare<Op>(x: usize, y: usize, out: usize, count: i32, as: i32, bs: i32): void {
  const op = changetype<Op>(0);
  const stay = splat(load<f32>(as == 0 ? x : y));
  const xs = <usize>as << 4;
  const ys = <usize>bs << 4;
  for (; count >= 16; count -= 16) {
    const a = op.of(as ? v128.load(x) : stay, bs ? v128.load(y) : stay);
    const b = op.of(as ? v128.load(x, 16) : stay, bs ? v128.load(y, 16) : stay);
    const c = op.of(as ? v128.load(x, 32) : stay, bs ? v128.load(y, 32) : stay);
    const d = op.of(as ? v128.load(x, 48) : stay, bs ? v128.load(y, 48) : stay);
    const bytes = i8x16.narrow_i16x8_s(i16x8.narrow_i32x4_s(a, b), i16x8.narrow_i32x4_s(c, d));
    v128.store(out, v128.and(bytes, i8x16.splat(1)));
    x += 4 * xs;
    y += 4 * ys;
    out += 16;
  }
  for (; count > 0; count -= 4) {
    const left = min(count, 4);
    const bits = i32x4.bitmask(op.of(as ? at(x, 0, left) : stay, bs ? at(y, 0, left) : stay));
    for (let i = 0; i < left; i++) store<u8>(out + <usize>i, (bits >> i) & 1);
    x += xs;
    y += ys;
    out += 4;
  }
}

/** Rows [row, end) of `inner` elements. */
function rows<Op>(a: usize, b: usize, out: usize, axes: usize, row: i32, end: i32, inner: i32, total: i32, as: i32, bs: i32): void {
  while (row < end) {
    locate(axes, row);
    let x = a + (<usize>first << 2);
    let y = b + (<usize>second << 2);
    const xs = <usize>firstStep << 2;
    const ys = <usize>secondStep << 2;
    for (const last = min(end, row + rowsLeft); row < last; row++) {
      const start = row * inner;
      run<Op>(x, y, out + (<usize>start << 2), min(inner, total - start), as, bs);
      x += xs;
      y += ys;
    }
  }
}

/** The same for a comparison. */
function compareRows<Op>(a: usize, b: usize, out: usize, axes: usize, row: i32, end: i32, inner: i32, total: i32, as: i32, bs: i32): void {
  for (; row < end; row++) {
    locate(axes, row);
    const start = row * inner;
    compare<Op>(a + (<usize>first << 2), b + (<usize>second << 2), out + <usize>start, min(inner, total - start), as, bs);
  }
}

/**
 * out = op(a, b) with broadcasting, for rows [band * share, ...) of `inner` elements (the last row may be shorter: `total` in all).
 * `axes`: how many outer axes, then of each its size and the strides of a and b in floats, outermost first.
 */
export function binary(
  band: i32, thread: i32, op: i32, a: usize, b: usize, out: usize, axes: usize,
  count: i32, inner: i32, total: i32, share: i32, as: i32, bs: i32,
): void {
  const row = band * share;
  const end = min(count, row + share);
  switch (op) {
    case 0: rows<Add>(a, b, out, axes, row, end, inner, total, as, bs); break;
    case 1: rows<Sub>(a, b, out, axes, row, end, inner, total, as, bs); break;
    case 2: rows<Multiply>(a, b, out, axes, row, end, inner, total, as, bs); break;
    case 3: rows<RealDiv>(a, b, out, axes, row, end, inner, total, as, bs); break;
    case 4: rows<Maximum>(a, b, out, axes, row, end, inner, total, as, bs); break;
    case 5: rows<Minimum>(a, b, out, axes, row, end, inner, total, as, bs); break;
    case 6: rows<SquaredDifference>(a, b, out, axes, row, end, inner, total, as, bs); break;
    case 7: rows<GeluSlope>(a, b, out, axes, row, end, inner, total, as, bs); break;
    case 8: rows<ReluSlope>(a, b, out, axes, row, end, inner, total, as, bs); break;
    case 9: rows<TanhSlope>(a, b, out, axes, row, end, inner, total, as, bs); break;
    case 10: rows<SigmoidSlope>(a, b, out, axes, row, end, inner, total, as, bs); break;
    case 16: compareRows<Greater>(a, b, out, axes, row, end, inner, total, as, bs); break;
    case 17: compareRows<GreaterEqual>(a, b, out, axes, row, end, inner, total, as, bs); break;
    case 18: compareRows<Less>(a, b, out, axes, row, end, inner, total, as, bs); break;
    case 19: compareRows<LessEqual>(a, b, out, axes, row, end, inner, total, as, bs); break;
    case 20: compareRows<Equal>(a, b, out, axes, row, end, inner, total, as, bs); break;
    default: compareRows<NotEqual>(a, b, out, axes, row, end, inner, total, as, bs);
  }
}
