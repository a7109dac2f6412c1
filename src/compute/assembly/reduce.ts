// Reductions and softmax.
import { loadPart, madd, splat, storePart, sumLanes, vexp } from "./vector";

// @ts-ignore: decorator
@inline
function start(op: i32): v128 {
  if (op == 0) return splat(0);
  if (op == 1) return splat(f32.NEGATIVE_INFINITY);
  if (op == 2) return splat(f32.POSITIVE_INFINITY);
  return splat(1);
}

// @ts-ignore: decorator
@inline
function join(op: i32, x: v128, y: v128): v128 {
  if (op == 0) return f32x4.add(x, y);
  if (op == 1) return f32x4.max(x, y);
  if (op == 2) return f32x4.min(x, y);
  return f32x4.mul(x, y);
}

// @ts-ignore: decorator
@inline
function joinLanes(op: i32, v: v128): f32 {
  const w = join(op, v, v128.shuffle<f32>(v, v, 2, 3, 0, 1));
  return f32x4.extract_lane(join(op, w, v128.shuffle<f32>(w, w, 1, 0, 3, 2)), 0);
}

// @ts-ignore: decorator
@inline
function row(op: i32, x: usize, length: i32): f32 {
  let a = start(op), b = a, c = a, d = a;
  let i = 0;
  for (; i + 16 <= length; i += 16) {
    a = join(op, a, v128.load(x));
    b = join(op, b, v128.load(x, 16));
    c = join(op, c, v128.load(x, 32));
    d = join(op, d, v128.load(x, 48));
    x += 64;
  }
  for (; i + 4 <= length; i += 4) {
    a = join(op, a, v128.load(x));
    x += 16;
  }
  for (; i < length; i++) {
    b = join(op, b, f32x4.replace_lane(start(op), 0, load<f32>(x)));
    x += 4;
  }
  return joinLanes(op, join(op, join(op, a, b), join(op, c, d)));
}

// @ts-ignore: decorator
@inline
function rowsOf(op: i32, x: usize, out: usize, from: i32, to: i32, length: i32, total: i32, scale: f32): void {
  for (let r = from; r < to; r++) {
    const count = min(length, total - r * length);
    store<f32>(out + (<usize>r << 2), row(op, x + (<usize>r * <usize>length << 2), count) * scale);
  }
}

/** out[r] = scale * reduction of row r of `length` (the last may be shorter: `total` in all): sum 0, max 1, min 2, product 3. Rows [band * share, ...). */
export function reduceRows(
  band: i32, thread: i32, op: i32, x: usize, out: usize, rows: i32, length: i32, total: i32, share: i32, scale: f32,
): void {
  const from = band * share;
  const to = min(rows, from + share);
  if (op == 0) rowsOf(0, x, out, from, to, length, total, scale);
  else if (op == 1) rowsOf(1, x, out, from, to, length, total, scale);
  else if (op == 2) rowsOf(2, x, out, from, to, length, total, scale);
  else rowsOf(3, x, out, from, to, length, total, scale);
}

// Rows come in groups of a few, so that memory is read nearly in order, and the sums so far wait in `out`.
const GROUP: i32 = 8;

// @ts-ignore: decorator
@inline
function columns(op: i32, x: usize, out: usize, rows: i32, width: i32, from: i32, to: i32, scale: f32): void {
  const step = <usize>width << 2;
  const s = splat(scale);
  for (let first = 0; first == 0 || first < rows; first += GROUP) {
    const last = min(rows, first + GROUP);
    const base = x + <usize>first * step;
    const begun = first > 0;
    const ended = last == rows && scale != 1;
    let j = from;
    for (; j + 16 <= to; j += 16) {
      const o = out + (<usize>j << 2);
      let a = start(op), b = a, c = a, d = a;
      if (begun) {
        a = v128.load(o);
        b = v128.load(o, 16);
        c = v128.load(o, 32);
        d = v128.load(o, 48);
      }
      let p = base + (<usize>j << 2);
      for (let r = first; r < last; r++) {
        a = join(op, a, v128.load(p));
        b = join(op, b, v128.load(p, 16));
        c = join(op, c, v128.load(p, 32));
        d = join(op, d, v128.load(p, 48));
        p += step;
      }
      v128.store(o, ended ? f32x4.mul(a, s) : a);
      v128.store(o, ended ? f32x4.mul(b, s) : b, 16);
      v128.store(o, ended ? f32x4.mul(c, s) : c, 32);
      v128.store(o, ended ? f32x4.mul(d, s) : d, 48);
    }
    for (; j < to; j += 4) {
      const left = min(4, to - j);
      const o = out + (<usize>j << 2);
      let a = begun ? (left == 4 ? v128.load(o) : loadPart(o, left)) : start(op);
      let p = base + (<usize>j << 2);
      for (let r = first; r < last; r++) {
        a = join(op, a, left == 4 ? v128.load(p) : loadPart(p, left));
        p += step;
      }
      if (ended) a = f32x4.mul(a, s);
      if (left == 4) v128.store(o, a);
      else storePart(o, a, left);
    }
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
    if (op == 0) columns(0, p, q, rows, width, from, to, scale);
    else if (op == 1) columns(1, p, q, rows, width, from, to, scale);
    else if (op == 2) columns(2, p, q, rows, width, from, to, scale);
    else columns(3, p, q, rows, width, from, to, scale);
  }
}

/** exp(scale * (x - max x)) of a row, in place or not, normalised to sum 1. */
export function softmaxRow(x: usize, out: usize, length: i32, scale: f32): void {
  const top = row(1, x, length) * scale;
  const t = splat(-top), s = splat(scale);
  let a = splat(0);
  let i = 0;
  for (; i + 4 <= length; i += 4) {
    const e = vexp(madd(v128.load(x + (<usize>i << 2)), s, t));
    v128.store(out + (<usize>i << 2), e);
    a = f32x4.add(a, e);
  }
  let sum = sumLanes(a);
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
  for (; i + 4 <= length; i += 4) {
    const p = out + (<usize>i << 2);
    v128.store(p, f32x4.mul(v128.load(p), k));
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
