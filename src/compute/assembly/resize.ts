// The gradient of bilinear resizing: its two axes one after the other, each the transpose of a map with two weights to a pixel.
import { loadPart, madd, splat, storePart } from "./vector";

/** Source position along one axis: the pixel below, the one above and the fraction between. As in the forward kernel. */
let low: i32 = 0;
let high: i32 = 0;
let part: f32 = 0;
function locate(i: i32, size: i32, scale: f32, halfPixel: i32): void {
  const s: f32 = halfPixel != 0 ? scale * (<f32>i + 0.5) - 0.5 : scale * <f32>i;
  const f = floor<f32>(s);
  low = max(0, <i32>f);
  high = min(size - 1, <i32>ceil<f32>(s));
  part = s - f;
}

/** to += weight * from, `count` floats. */
// @ts-ignore: decorator
@inline
function addRun(to: usize, from: usize, weight: v128, count: i32): void {
  let i = 0;
  for (; i + 4 <= count; i += 4) {
    v128.store(to, madd(v128.load(from), weight, v128.load(to)));
    from += 16;
    to += 16;
  }
  if (i < count) storePart(to, madd(loadPart(from, count - i), weight, loadPart(to, count - i)), count - i);
}

/** Along a row: out [width, channels] from dy [outWidth, channels]. A band is one row of dy. */
export function resizeBackAcross(
  band: i32, thread: i32, dy: usize, out: usize, width: i32, channels: i32, outWidth: i32, scale: f32, halfPixel: i32,
): void {
  const pixel = <usize>channels << 2;
  const from = dy + <usize>(band * outWidth) * pixel;
  const to = out + <usize>(band * width) * pixel;
  memory.fill(to, 0, <usize>width * pixel);
  for (let j = 0; j < outWidth; j++) {
    locate(j, width, scale, halfPixel);
    const g = from + <usize>j * pixel;
    addRun(to + <usize>low * pixel, g, splat(1 - part), channels);
    if (part != 0) addRun(to + <usize>high * pixel, g, splat(part), channels);
  }
}

/** Across rows: out [height, length] from rows [outHeight, length] of each picture. A band is one row of out. */
export function resizeBackDown(
  band: i32, thread: i32, rows: usize, out: usize, height: i32, length: i32, outHeight: i32, scale: f32, halfPixel: i32,
): void {
  const image = band / height;
  const y = band % height;
  const bytes = <usize>length << 2;
  const to = out + <usize>band * bytes;
  memory.fill(to, 0, bytes);
  for (let i = 0; i < outHeight; i++) {
    locate(i, height, scale, halfPixel);
    const from = rows + <usize>(image * outHeight + i) * bytes;
    if (low == y) addRun(to, from, splat(1 - part), length);
    if (high == y && part != 0) addRun(to, from, splat(part), length);
  }
}
