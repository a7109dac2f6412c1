// Reductions and softmax.
import { at, loadPart, madd, put, splat, storePart, sumLanes, vexp } from "./vector";

// A reduction is a class, so that the compiler makes loops of its own for each: where it starts, and how it joins two.
class Sum {
  @inline get start(): v128 { return splat(0); }
  @inline join(x: v128, y: v128): v128 { return f32x4.add(x, y); }
}
class Max {
  @inline get start(): v128 { return splat(f32.NEGATIVE_INFINITY); }
  @inline join(x: v128, y: v128): v128 { return f32x4.max(x, y); }
}
class Min {
  @inline get start(): v128 { return splat(f32.POSITIVE_INFINITY); }
  @inline join(x: v128, y: v128): v128 { return f32x4.min(x, y); }
}
class Product {
  @inline get start(): v128 { return splat(1); }
  @inline join(x: v128, y: v128): v128 { return f32x4.mul(x, y); }
}

/** All of a row, in eight chains of four lanes: as many as hide the delay of a sum. */
function row<Op>(x: usize, length: i32): f32 {
  const op = changetype<Op>(0);
  let a = op.start, b = a, c = a, d = a, e = a, f = a, g = a, h = a;
  let i = 0;
  for (; i + 32 <= length; i += 32) {
    a = op.join(a, v128.load(x));
    b = op.join(b, v128.load(x, 16));
    c = op.join(c, v128.load(x, 32));
    d = op.join(d, v128.load(x, 48));
    e = op.join(e, v128.load(x, 64));
    f = op.join(f, v128.load(x, 80));
    g = op.join(g, v128.load(x, 96));
    h = op.join(h, v128.load(x, 112));
    x += 128;
  }
  for (; i + 8 <= length; i += 8) {
    a = op.join(a, v128.load(x));
    b = op.join(b, v128.load(x, 16));
    x += 32;
  }
  if (length & 4) {
    c = op.join(c, v128.load(x));
    x += 16;
  }
  for (i = length & 3; i > 0; i--) {
    d = op.join(d, f32x4.replace_lane(op.start, 0, load<f32>(x)));
    x += 4;
  }
  const v = op.join(op.join(op.join(a, b), op.join(c, d)), op.join(op.join(e, f), op.join(g, h)));
  const w = op.join(v, v128.shuffle<f32>(v, v, 2, 3, 0, 1));
  return f32x4.extract_lane(op.join(w, v128.shuffle<f32>(w, w, 1, 0, 3, 2)), 0);
}

function rows<Op>(x: usize, out: usize, from: i32, to: i32, length: i32, total: i32, scale: f32): void {
  for (let r = from; r < to; r++) {
    const count = min(length, total - r * length);
    store<f32>(out + (<usize>r << 2), row<Op>(x + (<usize>r * <usize>length << 2), count) * scale);
  }
}

/** out[r] = scale * reduction of row r of `length` (the last may be shorter: `total` in all): sum 0, max 1, min 2, product 3. Rows [band * share, ...). */
export function reduceRows(
  band: i32, thread: i32, op: i32, x: usize, out: usize, count: i32, length: i32, total: i32, share: i32, scale: f32,
): void {
  const from = band * share;
  const to = min(count, from + share);
  if (op == 0) rows<Sum>(x, out, from, to, length, total, scale);
  else if (op == 1) rows<Max>(x, out, from, to, length, total, scale);
  else if (op == 2) rows<Min>(x, out, from, to, length, total, scale);
  else rows<Product>(x, out, from, to, length, total, scale);
}

/**
 * Columns [from, to) over `rows` rows, four rows at a time, so that memory is read in long runs; the results so far wait in `out`, which
 * stays in the nearest cache.
 */
function columns<Op>(x: usize, out: usize, rows: i32, width: i32, from: i32, to: i32, scale: f32): void {
  const op = changetype<Op>(0);
  const step = <usize>width << 2;
  const first = out + (<usize>from << 2);
  const wide = first + (<usize>((to - from) & ~7) << 2);
  const end = out + (<usize>to << 2);
  for (let o = first; o < end; o += 16) put(o, 0, <i32>((end - o) >> 2), op.start);
  let r = 0;
  for (; r + 4 <= rows; r += 4) {
    let o = first;
    let p = x + <usize>r * step + (<usize>from << 2);
    let q = p + 2 * step;
    while (o < wide) {
      const a = op.join(op.join(v128.load(p), v128.load(p + step)), op.join(v128.load(q), v128.load(q + step)));
      const b = op.join(op.join(v128.load(p, 16), v128.load(p + step, 16)), op.join(v128.load(q, 16), v128.load(q + step, 16)));
      const c = op.join(v128.load(o), a);
      const d = op.join(v128.load(o, 16), b);
      v128.store(o, c);
      v128.store(o, d, 16);
      o += 32;
      p += 32;
      q += 32;
    }
    for (; o < end; o += 16) {
      const left = <i32>((end - o) >> 2);
      const a = op.join(op.join(at(p, 0, left), at(p + step, 0, left)), op.join(at(q, 0, left), at(q + step, 0, left)));
      put(o, 0, left, op.join(at(o, 0, left), a));
      p += 16;
      q += 16;
    }
  }
  for (; r < rows; r++) {
    let p = x + <usize>r * step + (<usize>from << 2);
    for (let o = first; o < end; o += 16) {
      const left = <i32>((end - o) >> 2);
      put(o, 0, left, op.join(at(o, 0, left), at(p, 0, left)));
      p += 16;
    }
  }
  if (scale == 1) return;
  for (let o = first; o < end; o += 16) {
    const left = <i32>((end - o) >> 2);
    put(o, 0, left, f32x4.mul(at(o, 0, left), splat(scale)));
  }
}

/**
 * Reduces the middle axis of x [outer, length, width], in slices of `slice` rows: out[outer, slices, width]. A unit of work is `span` of the
 * columns of one slice of one outer entry; column blocks are the fastest, then slices. A band takes `each` of the `units`.
 */
export function reduceColumns(
  band: i32, thread: i32, op: i32, x: usize, out: usize, length: i32, width: i32, slice: i32, span: i32,
  units: i32, each: i32, scale: f32,
): void {
  const across = (width + span - 1) / span;
  const slices = (length + slice - 1) / slice;
  const end = min(units, (band + 1) * each);
  for (let unit = band * each; unit < end; unit++) {
    const from = unit % across * span;
    const entry = unit / across;
    const s = entry % slices;
    const o = entry / slices;
    const rows = min(slice, length - s * slice);
    const p = x + (<usize>(o * length + s * slice) * <usize>width << 2);
    const q = out + (<usize>entry * <usize>width << 2);
    const to = min(width, from + span);
    if (op == 0) columns<Sum>(p, q, rows, width, from, to, scale);
    else if (op == 1) columns<Max>(p, q, rows, width, from, to, scale);
    else if (op == 2) columns<Min>(p, q, rows, width, from, to, scale);
    else columns<Product>(p, q, rows, width, from, to, scale);
  }
}

/** exp(scale * (x - max x)) of a row, in place or not, normalised to sum 1. */
export function softmaxRow(x: usize, out: usize, length: i32, scale: f32): void {
  const top = row<Max>(x, length) * scale;
  const t = splat(-top), s = splat(scale);
  let a = splat(0), b = a;
  let i = 0;
  for (; i + 8 <= length; i += 8) {
    const p = x + (<usize>i << 2);
    const q = out + (<usize>i << 2);
    const u = vexp(madd(v128.load(p), s, t));
    const v = vexp(madd(v128.load(p, 16), s, t));
    v128.store(q, u);
    v128.store(q, v, 16);
    a = f32x4.add(a, u);
    b = f32x4.add(b, v);
  }
  if (i + 4 <= length) {
    const e = vexp(madd(v128.load(x + (<usize>i << 2)), s, t));
    v128.store(out + (<usize>i << 2), e);
    a = f32x4.add(a, e);
    i += 4;
  }
  let sum = sumLanes(f32x4.add(a, b));
  const left = length - i;
  if (left > 0) {
    const e = vexp(madd(loadPart(x + (<usize>i << 2), left), s, t));
    storePart(out + (<usize>i << 2), e, left);
    sum += f32x4.extract_lane(e, 0);
    if (left > 1) sum += f32x4.extract_lane(e, 1);
    if (left > 2) sum += f32x4.extract_lane(e, 2);
  }
  const inverse: f32 = 1 / sum;
  const k = splat(inverse);
  i = 0;
  for (; i + 8 <= length; i += 8) {
    const p = out + (<usize>i << 2);
    const u = f32x4.mul(v128.load(p), k);
    const v = f32x4.mul(v128.load(p, 16), k);
    v128.store(p, u);
    v128.store(p, v, 16);
  }
  for (; i < length; i++) {
    const p = out + (<usize>i << 2);
    store<f32>(p, load<f32>(p) * inverse);
  }
}

/** Softmax of rows [band * share, ...). */
export function softmax(band: i32, thread: i32, x: usize, out: usize, rows: i32, length: i32, share: i32): void {
  const end = min(rows, (band + 1) * share);
  for (let r = band * share; r < end; r++) {
    const o = <usize>r * <usize>length << 2;
    softmaxRow(x + o, out + o, length, 1);
  }
}
