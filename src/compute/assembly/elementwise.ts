// Unary, binary and ternary functions of floats. The operation is a number; each has a loop of its own after inlining.
// The numbers are those of src/tensor/loom/elementwise.ts.
import { loadPart, madd, splat, storePart, verf, vexp, vgelu, vgeluSlope, vlog, vsigmoid, vsoftplus, vtanh } from "./vector";

// @ts-ignore: decorator
@inline
function one(op: i32, x: v128, p: v128, q: v128): v128 {
  if (op == 0) return vexp(x);
  if (op == 1) return vlog(x);
  if (op == 2) return f32x4.sqrt(x);
  if (op == 3) return f32x4.div(splat(1), f32x4.sqrt(x));
  if (op == 4) return f32x4.mul(x, x);
  if (op == 5) return f32x4.neg(x);
  if (op == 6) return f32x4.abs(x);
  if (op == 7) return f32x4.pmax(x, splat(0));
  if (op == 8) return vsigmoid(x);
  if (op == 9) return vtanh(x);
  if (op == 10) return verf(x);
  // step: 1 above zero, p at and below; NaN stays
  if (op == 11) return v128.bitselect(x, v128.bitselect(splat(1), p, f32x4.gt(x, splat(0))), f32x4.ne(x, x));
  // clip to [p, q]: pmin and pmax keep a NaN
  if (op == 12) return f32x4.pmin(f32x4.pmax(x, p), q);
  if (op == 13) return f32x4.div(splat(1), x);
  if (op == 14) return f32x4.floor(x);
  if (op == 15) return f32x4.ceil(x);
  if (op == 16) return f32x4.nearest(x);
  if (op == 17) return f32x4.pmin(f32x4.pmax(x, splat(0)), splat(6));
  if (op == 18) return v128.bitselect(f32x4.mul(x, p), x, f32x4.lt(x, splat(0)));
  if (op == 19) return v128.bitselect(x, f32x4.sub(vexp(x), splat(1)), f32x4.ge(x, splat(0)));
  if (op == 20) return vsoftplus(x);
  if (op == 21) return v128.bitselect(splat(1), v128.and(f32x4.lt(x, splat(0)), splat(-1)), f32x4.gt(x, splat(0)));
  if (op == 22) return vgelu(x);
  if (op == 23) return f32x4.mul(x, p);
  return f32x4.add(x, p);
}

// @ts-ignore: decorator
@inline
function two(op: i32, x: v128, y: v128): v128 {
  if (op == 0) return f32x4.add(x, y);
  if (op == 1) return f32x4.sub(x, y);
  if (op == 2) return f32x4.mul(x, y);
  if (op == 3) return f32x4.div(x, y);
  if (op == 4) return f32x4.max(x, y);
  if (op == 5) return f32x4.min(x, y);
  if (op == 6) {
    const d = f32x4.sub(x, y);
    return f32x4.mul(d, d);
  }
  // gradients: x is the gradient of the output
  if (op == 7) return f32x4.mul(x, vgeluSlope(y));
  // relu, from its output y
  if (op == 8) return v128.and(x, f32x4.gt(y, splat(0)));
  // tanh and sigmoid, from their output y
  if (op == 9) return f32x4.mul(x, f32x4.sub(splat(1), f32x4.mul(y, y)));
  if (op == 10) return f32x4.mul(x, f32x4.mul(y, f32x4.sub(splat(1), y)));
  // comparisons
  if (op == 16) return f32x4.gt(x, y);
  if (op == 17) return f32x4.ge(x, y);
  if (op == 18) return f32x4.lt(x, y);
  if (op == 19) return f32x4.le(x, y);
  if (op == 20) return f32x4.eq(x, y);
  return f32x4.ne(x, y);
}

// @ts-ignore: decorator
@inline
function unaryLoop(op: i32, x: usize, out: usize, count: i32, p: v128, q: v128): void {
  let i = 0;
  for (; i + 8 <= count; i += 8) {
    const u = one(op, v128.load(x), p, q);
    const v = one(op, v128.load(x, 16), p, q);
    v128.store(out, u);
    v128.store(out, v, 16);
    x += 32;
    out += 32;
  }
  for (; i + 4 <= count; i += 4) {
    v128.store(out, one(op, v128.load(x), p, q));
    x += 16;
    out += 16;
  }
  if (i < count) storePart(out, one(op, loadPart(x, count - i), p, q), count - i);
}

/** out = op(x) for elements [band * share, (band + 1) * share); p and q are the operation's constants. */
export function unary(band: i32, thread: i32, op: i32, x: usize, out: usize, length: i32, share: i32, p: f32, q: f32): void {
  const start = band * share;
  const count = min(share, length - start);
  const from = x + (<usize>start << 2);
  const to = out + (<usize>start << 2);
  const a = splat(p), b = splat(q);
  switch (op) {
    case 0: unaryLoop(0, from, to, count, a, b); break;
    case 1: unaryLoop(1, from, to, count, a, b); break;
    case 2: unaryLoop(2, from, to, count, a, b); break;
    case 3: unaryLoop(3, from, to, count, a, b); break;
    case 4: unaryLoop(4, from, to, count, a, b); break;
    case 5: unaryLoop(5, from, to, count, a, b); break;
    case 6: unaryLoop(6, from, to, count, a, b); break;
    case 7: unaryLoop(7, from, to, count, a, b); break;
    case 8: unaryLoop(8, from, to, count, a, b); break;
    case 9: unaryLoop(9, from, to, count, a, b); break;
    case 10: unaryLoop(10, from, to, count, a, b); break;
    case 11: unaryLoop(11, from, to, count, a, b); break;
    case 12: unaryLoop(12, from, to, count, a, b); break;
    case 13: unaryLoop(13, from, to, count, a, b); break;
    case 14: unaryLoop(14, from, to, count, a, b); break;
    case 15: unaryLoop(15, from, to, count, a, b); break;
    case 16: unaryLoop(16, from, to, count, a, b); break;
    case 17: unaryLoop(17, from, to, count, a, b); break;
    case 18: unaryLoop(18, from, to, count, a, b); break;
    case 19: unaryLoop(19, from, to, count, a, b); break;
    case 20: unaryLoop(20, from, to, count, a, b); break;
    case 21: unaryLoop(21, from, to, count, a, b); break;
    case 22: unaryLoop(22, from, to, count, a, b); break;
    case 23: unaryLoop(23, from, to, count, a, b); break;
    default: unaryLoop(24, from, to, count, a, b);
  }
}

/** Stores a comparison's lanes as bytes 0 or 1. */
// @ts-ignore: decorator
@inline
function storeMask(out: usize, mask: v128, count: i32): void {
  const bits = i32x4.bitmask(mask);
  if (count >= 4) {
    store<u32>(out, (bits & 1) | ((bits & 2) << 7) | ((bits & 4) << 14) | ((bits & 8) << 21));
    return;
  }
  for (let i = 0; i < count; i++) store<u8>(out + <usize>i, (bits >> i) & 1);
}

/** One run: as and bs are 1 for an operand that moves along and 0 for one that stays. */
// @ts-ignore: decorator
@inline
function binaryLoop(op: i32, x: usize, y: usize, out: usize, count: i32, as: i32, bs: i32): void {
  const compare = op >= 16;
  const stay = splat(load<f32>(as == 0 ? x : y));
  let i = 0;
  if (as != 0 && bs != 0) {
    for (; i + 4 <= count; i += 4) {
      const v = two(op, v128.load(x), v128.load(y));
      if (compare) storeMask(out, v, 4);
      else v128.store(out, v);
      x += 16;
      y += 16;
      out += compare ? 4 : 16;
    }
  } else if (as != 0) {
    for (; i + 4 <= count; i += 4) {
      const v = two(op, v128.load(x), stay);
      if (compare) storeMask(out, v, 4);
      else v128.store(out, v);
      x += 16;
      out += compare ? 4 : 16;
    }
  } else {
    for (; i + 4 <= count; i += 4) {
      const v = two(op, stay, v128.load(y));
      if (compare) storeMask(out, v, 4);
      else v128.store(out, v);
      y += 16;
      out += compare ? 4 : 16;
    }
  }
  if (i < count) {
    const left = count - i;
    const v = two(op, as != 0 ? loadPart(x, left) : stay, bs != 0 ? loadPart(y, left) : stay);
    if (compare) storeMask(out, v, left);
    else storePart(out, v, left);
  }
}

// @ts-ignore: decorator
@inline
function binaryRows(op: i32, a: usize, b: usize, out: usize, axes: usize, row: i32, end: i32, inner: i32, total: i32, as: i32, bs: i32): void {
  const rank = load<i32>(axes);
  for (; row < end; row++) {
    let rest = row;
    let ao = 0, bo = 0;
    for (let d = rank; d > 0; d--) {
      const at = axes + <usize>(d * 12 - 8);
      const size = load<i32>(at);
      const next = rest / size;
      const index = rest - next * size;
      ao += index * load<i32>(at, 4);
      bo += index * load<i32>(at, 8);
      rest = next;
    }
    const start = row * inner;
    binaryLoop(
      op, a + (<usize>ao << 2), b + (<usize>bo << 2), out + (op >= 16 ? <usize>start : <usize>start << 2),
      min(inner, total - start), as, bs,
    );
  }
}

/**
 * out = op(a, b) with broadcasting, for rows [band * share, ...) of `inner` elements (the last row may be shorter: `total` in all).
 * `axes`: how many outer axes, then of each its size and the strides of a and b in floats, outermost first.
 */
export function binary(
  band: i32, thread: i32, op: i32, a: usize, b: usize, out: usize, axes: usize,
  rows: i32, inner: i32, total: i32, share: i32, as: i32, bs: i32,
): void {
  const row = band * share;
  const end = min(rows, row + share);
  switch (op) {
    case 0: binaryRows(0, a, b, out, axes, row, end, inner, total, as, bs); break;
    case 1: binaryRows(1, a, b, out, axes, row, end, inner, total, as, bs); break;
    case 2: binaryRows(2, a, b, out, axes, row, end, inner, total, as, bs); break;
    case 3: binaryRows(3, a, b, out, axes, row, end, inner, total, as, bs); break;
    case 4: binaryRows(4, a, b, out, axes, row, end, inner, total, as, bs); break;
    case 5: binaryRows(5, a, b, out, axes, row, end, inner, total, as, bs); break;
    case 6: binaryRows(6, a, b, out, axes, row, end, inner, total, as, bs); break;
    case 7: binaryRows(7, a, b, out, axes, row, end, inner, total, as, bs); break;
    case 8: binaryRows(8, a, b, out, axes, row, end, inner, total, as, bs); break;
    case 9: binaryRows(9, a, b, out, axes, row, end, inner, total, as, bs); break;
    case 10: binaryRows(10, a, b, out, axes, row, end, inner, total, as, bs); break;
    case 16: binaryRows(16, a, b, out, axes, row, end, inner, total, as, bs); break;
    case 17: binaryRows(17, a, b, out, axes, row, end, inner, total, as, bs); break;
    case 18: binaryRows(18, a, b, out, axes, row, end, inner, total, as, bs); break;
    case 19: binaryRows(19, a, b, out, axes, row, end, inner, total, as, bs); break;
    case 20: binaryRows(20, a, b, out, axes, row, end, inner, total, as, bs); break;
    default: binaryRows(21, a, b, out, axes, row, end, inner, total, as, bs);
  }
}

/** out = condition ? a : b, elements [band * share, ...); `each` consecutive elements share a condition byte. */
export function select(
  band: i32, thread: i32, condition: usize, a: usize, b: usize, out: usize, length: i32, share: i32, each: i32,
): void {
  const end = min(length, (band + 1) * share);
  let i = band * share;
  if (each == 1) {
    for (; i + 4 <= end; i += 4) {
      const bytes = v128.load32_zero(condition + <usize>i);
      const mask = i32x4.ne(i32x4.extend_low_i16x8_u(i16x8.extend_low_i8x16_u(bytes)), i32x4.splat(0));
      const p = <usize>i << 2;
      v128.store(out + p, v128.bitselect(v128.load(a + p), v128.load(b + p), mask));
    }
  }
  for (; i < end; i++) {
    const p = <usize>i << 2;
    store<u32>(out + p, load<u8>(condition + <usize>(i / each)) != 0 ? load<u32>(a + p) : load<u32>(b + p));
  }
}

/** Bytes 0 and 1 to floats. */
export function boolToFloat(band: i32, thread: i32, x: usize, out: usize, length: i32, share: i32): void {
  const end = min(length, (band + 1) * share);
  let i = band * share;
  for (; i + 4 <= end; i += 4) {
    const bytes = v128.load32_zero(x + <usize>i);
    v128.store(out + (<usize>i << 2), f32x4.convert_i32x4_s(i32x4.extend_low_i16x8_u(i16x8.extend_low_i8x16_u(bytes))));
  }
  for (; i < end; i++) store<f32>(out + (<usize>i << 2), <f32>load<u8>(x + <usize>i));
}

/** Whole numbers to floats, and (toInt) floats to whole numbers towards zero. */
export function castNumber(band: i32, thread: i32, x: usize, out: usize, length: i32, share: i32, toInt: i32): void {
  const end = min(length, (band + 1) * share);
  for (let i = band * share; i < end; i += 4) {
    const left = end - i;
    const p = <usize>i << 2;
    const v = left >= 4 ? v128.load(x + p) : loadPart(x + p, left);
    const w = toInt ? i32x4.trunc_sat_f32x4_s(v) : f32x4.convert_i32x4_s(v);
    if (left >= 4) v128.store(out + p, w);
    else storePart(out + p, w, left);
  }
}

/** out[i] = sum over `count` addends (their addresses at `list`) of element i. */
export function addMany(band: i32, thread: i32, list: usize, count: i32, out: usize, length: i32, share: i32): void {
  const end = min(length, (band + 1) * share);
  for (let i = band * share; i < end; i += 4) {
    const left = end - i;
    const p = <usize>i << 2;
    let sum = splat(0);
    for (let t = 0; t < count; t++) {
      const from = <usize>load<u32>(list + (<usize>t << 2)) + p;
      sum = f32x4.add(sum, left >= 4 ? v128.load(from) : loadPart(from, left));
    }
    if (left >= 4) v128.store(out + p, sum);
    else storePart(out + p, sum, left);
  }
}

/** One Adam step (Kingma and Ba 2015), in place, with decoupled weight decay (Loshchilov and Hutter 2019). */
export function adam(
  band: i32, thread: i32, value: usize, gradient: usize, m: usize, v: usize, length: i32, share: i32,
  beta1: f32, beta2: f32, rate: f32, correction2: f32, epsilon: f32, decay: f32, scale: f32,
): void {
  const end = min(length, (band + 1) * share);
  const b1 = splat(beta1), c1 = splat(1 - beta1), b2 = splat(beta2), c2 = splat(1 - beta2);
  const r = splat(-rate), k2 = splat(correction2), e = splat(epsilon), keep = splat(decay), g0 = splat(scale);
  for (let i = band * share; i < end; i += 4) {
    const left = end - i;
    const o = <usize>i << 2;
    const full = left >= 4;
    const g = f32x4.mul(full ? v128.load(gradient + o) : loadPart(gradient + o, left), g0);
    const m1 = madd(b1, full ? v128.load(m + o) : loadPart(m + o, left), f32x4.mul(c1, g));
    const v1 = madd(b2, full ? v128.load(v + o) : loadPart(v + o, left), f32x4.mul(c2, f32x4.mul(g, g)));
    const x = full ? v128.load(value + o) : loadPart(value + o, left);
    const step = f32x4.div(m1, f32x4.add(f32x4.mul(f32x4.sqrt(v1), k2), e));
    const y = madd(r, step, f32x4.mul(x, keep));
    if (full) {
      v128.store(m + o, m1);
      v128.store(v + o, v1);
      v128.store(value + o, y);
    } else {
      storePart(m + o, m1, left);
      storePart(v + o, v1, left);
      storePart(value + o, y, left);
    }
  }
}
