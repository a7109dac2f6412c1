// What a block of edges hears: its own product plus a term from each of its two ends, clipped below at zero.
import { loadPart, splat, storePart } from "./vector";

// @ts-ignore: decorator
@inline
function at(p: usize, i: i32, length: i32): v128 {
  return i + 4 <= length ? v128.load(p + (<usize>i << 2)) : loadPart(p + (<usize>i << 2), length - i);
}

// @ts-ignore: decorator
@inline
function put(p: usize, i: i32, length: i32, v: v128): void {
  if (i + 4 <= length) v128.store(p + (<usize>i << 2), v);
  else storePart(p + (<usize>i << 2), v, length - i);
}

/**
 * y[o, i, :] = max(0, y[o, i, :] + outer[o, :] + inner[i, :]) in place, for outer rows [band * share, ...) of one sample. Either term's
 * address may be 0: there is none.
 */
export function edgeFinish(
  band: i32, thread: i32, y: usize, outer: usize, inner: usize, outers: i32, inners: i32, width: i32, share: i32,
): void {
  const end = min(outers, (band + 1) * share);
  const bytes = <usize>width << 2;
  const zero = splat(0);
  for (let o = band * share; o < end; o++) {
    let q = y + <usize>(o * inners) * bytes;
    const a = outer + <usize>o * bytes;
    let b = inner;
    for (let i = 0; i < inners; i++) {
      for (let c = 0; c < width; c += 4) {
        let v = at(q, c, width);
        if (outer != 0) v = f32x4.add(v, at(a, c, width));
        if (inner != 0) v = f32x4.add(v, at(b, c, width));
        put(q, c, width, f32x4.pmax(v, zero));
      }
      q += bytes;
      if (inner != 0) b += bytes;
    }
  }
}

/**
 * g = dy where y is positive, else 0; dOuter[o, :] = sum over i of g, dInner[i, :] = sum over o, unless its address is 0. A band is
 * `span` features (a multiple of 4, the last may be fewer) of one sample.
 */
export function edgeSlope(
  band: i32, thread: i32, dy: usize, y: usize, g: usize, dOuter: usize, dInner: usize, outers: i32, inners: i32, width: i32, spans: i32, span: i32,
): void {
  const sample = band / spans;
  const from = band % spans * span;
  const count = min(span, width - from);
  const bytes = <usize>width << 2;
  const offset = <usize>(sample * outers * inners) * bytes + (<usize>from << 2);
  let p = dy + offset, q = y + offset, r = g + offset;
  let a = dOuter + <usize>(sample * outers) * bytes + (<usize>from << 2);
  const first = dInner + <usize>(sample * inners) * bytes + (<usize>from << 2);
  if (dInner != 0) for (let i = 0; i < inners; i++) memory.fill(first + <usize>i * bytes, 0, <usize>count << 2);
  const zero = splat(0);
  for (let o = 0; o < outers; o++) {
    if (dOuter != 0) memory.fill(a, 0, <usize>count << 2);
    let b = first;
    for (let i = 0; i < inners; i++) {
      for (let c = 0; c < count; c += 4) {
        const v = v128.and(at(p, c, count), f32x4.gt(at(q, c, count), zero));
        put(r, c, count, v);
        if (dOuter != 0) put(a, c, count, f32x4.add(at(a, c, count), v));
        if (dInner != 0) put(b, c, count, f32x4.add(at(b, c, count), v));
      }
      p += bytes;
      q += bytes;
      r += bytes;
      b += bytes;
    }
    a += bytes;
  }
}
