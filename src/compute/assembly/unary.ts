// Functions of one float. An operation is a class, so that the compiler makes a loop of its own for each (a number that says which would
// be asked for at every step). The numbers are those of src/tensor/loom/elementwise.ts; p and q are an operation's constants.
import { loadPart, splat, storePart, verf, vexp, vexpm1, vgelu, vlog, vsigmoid, vsoftplus, vtanh } from "./vector";

class Exp { @inline of(x: v128, p: v128, q: v128): v128 { return vexp(x); } }
class Log { @inline of(x: v128, p: v128, q: v128): v128 { return vlog(x); } }
class Sqrt { @inline of(x: v128, p: v128, q: v128): v128 { return f32x4.sqrt(x); } }
class Rsqrt { @inline of(x: v128, p: v128, q: v128): v128 { return f32x4.div(splat(1), f32x4.sqrt(x)); } }
class Square { @inline of(x: v128, p: v128, q: v128): v128 { return f32x4.mul(x, x); } }
class Neg { @inline of(x: v128, p: v128, q: v128): v128 { return f32x4.neg(x); } }
class Abs { @inline of(x: v128, p: v128, q: v128): v128 { return f32x4.abs(x); } }
class Relu { @inline of(x: v128, p: v128, q: v128): v128 { return f32x4.pmax(x, splat(0)); } }
class Sigmoid { @inline of(x: v128, p: v128, q: v128): v128 { return vsigmoid(x); } }
class Tanh { @inline of(x: v128, p: v128, q: v128): v128 { return vtanh(x); } }
class Erf { @inline of(x: v128, p: v128, q: v128): v128 { return verf(x); } }
/** 1 above zero, p at and below; NaN stays. */
class Step {
  @inline of(x: v128, p: v128, q: v128): v128 {
    return v128.bitselect(x, v128.bitselect(splat(1), p, f32x4.gt(x, splat(0))), f32x4.ne(x, x));
  }
}
/** To [p, q]; pmin and pmax keep a NaN. */
class Clip { @inline of(x: v128, p: v128, q: v128): v128 { return f32x4.pmin(f32x4.pmax(x, p), q); } }
class Reciprocal { @inline of(x: v128, p: v128, q: v128): v128 { return f32x4.div(splat(1), x); } }
class Floor { @inline of(x: v128, p: v128, q: v128): v128 { return f32x4.floor(x); } }
class Ceil { @inline of(x: v128, p: v128, q: v128): v128 { return f32x4.ceil(x); } }
class Round { @inline of(x: v128, p: v128, q: v128): v128 { return f32x4.nearest(x); } }
class Relu6 { @inline of(x: v128, p: v128, q: v128): v128 { return f32x4.pmin(f32x4.pmax(x, splat(0)), splat(6)); } }
class LeakyRelu { @inline of(x: v128, p: v128, q: v128): v128 { return v128.bitselect(f32x4.mul(x, p), x, f32x4.lt(x, splat(0))); } }
class Elu {
  @inline of(x: v128, p: v128, q: v128): v128 {
    return v128.bitselect(x, vexpm1(x), f32x4.ge(x, splat(0)));
  }
}
class Softplus { @inline of(x: v128, p: v128, q: v128): v128 { return vsoftplus(x); } }
class Sign {
  @inline of(x: v128, p: v128, q: v128): v128 {
    return v128.bitselect(splat(1), v128.and(f32x4.lt(x, splat(0)), splat(-1)), f32x4.gt(x, splat(0)));
  }
}
class Gelu { @inline of(x: v128, p: v128, q: v128): v128 { return vgelu(x); } }
class Scale { @inline of(x: v128, p: v128, q: v128): v128 { return f32x4.mul(x, p); } }
class Shift { @inline of(x: v128, p: v128, q: v128): v128 { return f32x4.add(x, p); } }

/** out = op(x) for `count` elements. */
export function loop<Op>(x: usize, out: usize, count: i32, p: v128, q: v128): void {
  const op = changetype<Op>(0);
  // Two vectors a step, both done before either is stored: they become one of 256 bits where the runtime joins pairs.
  const end = x + (<usize>(count & ~7) << 2);
  while (x < end) {
    const u = op.of(v128.load(x), p, q);
    const v = op.of(v128.load(x, 16), p, q);
    v128.store(out, u);
    v128.store(out, v, 16);
    x += 32;
    out += 32;
  }
  if (count & 4) {
    v128.store(out, op.of(v128.load(x), p, q));
    x += 16;
    out += 16;
  }
  if (count & 3) storePart(out, op.of(loadPart(x, count & 3), p, q), count & 3);
}

/** out = op(x) for elements [band * share, (band + 1) * share). */
export function unary(band: i32, thread: i32, op: i32, x: usize, out: usize, length: i32, share: i32, p: f32, q: f32): void {
  const start = band * share;
  const count = min(share, length - start);
  const from = x + (<usize>start << 2);
  const to = out + (<usize>start << 2);
  const a = splat(p), b = splat(q);
  switch (op) {
    case 0: loop<Exp>(from, to, count, a, b); break;
    case 1: loop<Log>(from, to, count, a, b); break;
    case 2: loop<Sqrt>(from, to, count, a, b); break;
    case 3: loop<Rsqrt>(from, to, count, a, b); break;
    case 4: loop<Square>(from, to, count, a, b); break;
    case 5: loop<Neg>(from, to, count, a, b); break;
    case 6: loop<Abs>(from, to, count, a, b); break;
    case 7: loop<Relu>(from, to, count, a, b); break;
    case 8: loop<Sigmoid>(from, to, count, a, b); break;
    case 9: loop<Tanh>(from, to, count, a, b); break;
    case 10: loop<Erf>(from, to, count, a, b); break;
    case 11: loop<Step>(from, to, count, a, b); break;
    case 12: loop<Clip>(from, to, count, a, b); break;
    case 13: loop<Reciprocal>(from, to, count, a, b); break;
    case 14: loop<Floor>(from, to, count, a, b); break;
    case 15: loop<Ceil>(from, to, count, a, b); break;
    case 16: loop<Round>(from, to, count, a, b); break;
    case 17: loop<Relu6>(from, to, count, a, b); break;
    case 18: loop<LeakyRelu>(from, to, count, a, b); break;
    case 19: loop<Elu>(from, to, count, a, b); break;
    case 20: loop<Softplus>(from, to, count, a, b); break;
    case 21: loop<Sign>(from, to, count, a, b); break;
    case 22: loop<Gelu>(from, to, count, a, b); break;
    case 23: loop<Scale>(from, to, count, a, b); break;
    default: loop<Shift>(from, to, count, a, b);
  }
}
