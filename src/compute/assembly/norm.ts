// Layer normalisation over rows, forward and backward.
import { loadPart, madd, splat, storePart, sumLanes } from "./vector";

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

/** 1 in the lanes below length - i. */
// @ts-ignore: decorator
@inline
function inside(i: i32, length: i32): v128 {
  return i32x4.lt_s(i32x4.add(i32x4.splat(i), i32x4(0, 1, 2, 3)), i32x4.splat(length));
}

/** out = (x - mean) / sqrt(variance + epsilon) * gain + bias; stores mean and 1 / sqrt(...) of each row in `moments` [rows, 2]. */
export function layerNorm(
  band: i32, thread: i32, x: usize, gain: usize, bias: usize, out: usize, moments: usize, rows: i32, length: i32, share: i32, epsilon: f32,
): void {
  const end = min(rows, (band + 1) * share);
  const bytes = <usize>length << 2;
  for (let r = band * share; r < end; r++) {
    const p = x + <usize>r * bytes;
    const q = out + <usize>r * bytes;
    let sum = splat(0);
    for (let i = 0; i < length; i += 4) sum = f32x4.add(sum, at(p, i, length));
    const mean = sumLanes(sum) / <f32>length;
    const m = splat(mean);
    let squares = splat(0);
    for (let i = 0; i < length; i += 4) {
      let d = f32x4.sub(at(p, i, length), m);
      if (i + 4 > length) d = v128.and(d, inside(i, length));
      squares = madd(d, d, squares);
    }
    const inverse: f32 = 1 / sqrt<f32>(sumLanes(squares) / <f32>length + epsilon);
    const s = splat(inverse);
    for (let i = 0; i < length; i += 4) {
      const n = f32x4.mul(f32x4.sub(at(p, i, length), m), s);
      put(q, i, length, madd(n, at(gain, i, length), at(bias, i, length)));
    }
    store<f32>(moments + (<usize>r << 3), mean);
    store<f32>(moments + (<usize>r << 3), inverse, 4);
  }
}

/** Gradients from that of the output for rows [band * share, ...): dx, and the band's own sums towards gain and bias, parts [2, bands, length]. */
export function layerNormGradient(
  band: i32, thread: i32, dy: usize, x: usize, gain: usize, moments: usize, dx: usize, parts: usize, rows: i32, length: i32, share: i32,
): void {
  const end = min(rows, (band + 1) * share);
  const bytes = <usize>length << 2;
  const dGain = parts + <usize>band * bytes;
  const dBias = dGain + <usize>((rows + share - 1) / share) * bytes;
  memory.fill(dGain, 0, bytes);
  memory.fill(dBias, 0, bytes);
  for (let r = band * share; r < end; r++) {
    const g = dy + <usize>r * bytes;
    const p = x + <usize>r * bytes;
    const m = splat(load<f32>(moments + (<usize>r << 3)));
    const s = splat(load<f32>(moments + (<usize>r << 3), 4));
    const q = dx + <usize>r * bytes;
    let a = splat(0), b = splat(0);
    for (let i = 0; i < length; i += 4) {
      const n = f32x4.mul(f32x4.sub(at(p, i, length), m), s);
      const d = at(g, i, length);
      const w = f32x4.mul(d, at(gain, i, length));
      put(dGain, i, length, madd(d, n, at(dGain, i, length)));
      put(dBias, i, length, f32x4.add(d, at(dBias, i, length)));
      a = f32x4.add(a, w);
      b = madd(w, n, b);
    }
    const meanA = splat(sumLanes(a) / <f32>length);
    const meanB = splat(sumLanes(b) / <f32>length);
    for (let i = 0; i < length; i += 4) {
      const n = f32x4.mul(f32x4.sub(at(p, i, length), m), s);
      const w = f32x4.mul(at(g, i, length), at(gain, i, length));
      put(q, i, length, f32x4.mul(s, f32x4.sub(f32x4.sub(w, meanA), f32x4.mul(n, meanB))));
    }
  }
}
