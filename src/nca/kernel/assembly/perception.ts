// Perception of one cell and its transpose. Inside the kernels the perception of a cell is ordered [filter][channel], so that whole vectors of
// channels are written; the packed w1 has its columns in the same order.
import { fma } from "./gemm";
import { cellBytes, channels, clipPerception, filterScale, height, width } from "./job";

/**
 * Writes identity, sobel_x, sobel_y and laplacian of cell (y, x) to `out` [4 channels] and, clipped, to `clipped` (which may be the same).
 */
export function perceive(state: usize, y: i32, x: i32, out: usize, clipped: usize): void {
  const cell = cellBytes();
  const row = cell * width;
  const middle = state + y * row;
  const up = y == 0 ? state + (height - 1) * row : middle - row;
  const down = y == height - 1 ? state : middle + row;
  const here = x * cell;
  const left = x == 0 ? row - cell : here - cell;
  const right = x == width - 1 ? 0 : here + cell;
  const scale = f32x4.splat(filterScale), two = f32x4.splat(2), twelve = f32x4.splat(-12);
  const limit = f32x4.splat(clipPerception), limitBelow = f32x4.splat(-clipPerception);
  for (let c = 0; c < cell; c += 16) {
    const a = v128.load(up + left + c), b = v128.load(up + here + c), d = v128.load(up + right + c);
    const e = v128.load(middle + left + c), f = v128.load(middle + here + c), g = v128.load(middle + right + c);
    const h = v128.load(down + left + c), i = v128.load(down + here + c), j = v128.load(down + right + c);
    const ja = f32x4.sub(j, a), dh = f32x4.sub(d, h);
    const sobelX = fma(f32x4.sub(g, e), two, f32x4.add(ja, dh));
    const sobelY = fma(f32x4.sub(i, b), two, f32x4.sub(ja, dh));
    const corners = f32x4.add(f32x4.add(a, d), f32x4.add(h, j));
    const sides = f32x4.add(f32x4.add(b, e), f32x4.add(g, i));
    const laplacian = fma(f, twelve, fma(sides, two, corners));
    let to = out + c;
    v128.store(to, f);
    v128.store(to + cell, f32x4.mul(sobelX, scale));
    v128.store(to + cell * 2, f32x4.mul(sobelY, scale));
    v128.store(to + cell * 3, f32x4.mul(laplacian, scale));
    if (clipped != out) {
      to = clipped + c;
      v128.store(to, clamp(f, limitBelow, limit));
      v128.store(to + cell, clamp(f32x4.mul(sobelX, scale), limitBelow, limit));
      v128.store(to + cell * 2, clamp(f32x4.mul(sobelY, scale), limitBelow, limit));
      v128.store(to + cell * 3, clamp(f32x4.mul(laplacian, scale), limitBelow, limit));
    }
  }
}

/** x clipped to [low, high]; NaN stays NaN. */
// @ts-ignore: decorator
@inline
export function clamp(x: v128, low: v128, high: v128): v128 {
  return f32x4.pmin(f32x4.pmax(x, low), high);
}

/** x where |value| <= limit, else 0. */
// @ts-ignore: decorator
@inline
export function inside(x: v128, value: v128, limit: v128): v128 {
  return v128.and(x, f32x4.le(f32x4.abs(value), limit));
}

// @ts-ignore: decorator
@inline
function increase(address: usize, by: v128): void {
  v128.store(address, f32x4.add(v128.load(address), by));
}

/**
 * The transpose: adds the gradient `from` [4 channels] of the perception of a cell to the gradients of the nine cells it saw, and `own` [channels]
 * to the cell itself. `middle` is the cell's row; the rows before and after it in memory are its neighbours'.
 */
export function scatter(from: usize, own: usize, middle: usize, x: i32): void {
  const cell = cellBytes();
  const row = cell * width;
  const here = x * cell;
  const left = x == 0 ? row - cell : here - cell;
  const right = x == width - 1 ? 0 : here + cell;
  const up = middle - row, down = middle + row;
  const scale = f32x4.splat(filterScale), two = f32x4.splat(2), twelve = f32x4.splat(-12);
  for (let c = 0; c < cell; c += 16) {
    const identity = v128.load(from + c);
    const sobelX = f32x4.mul(v128.load(from + cell + c), scale);
    const sobelY = f32x4.mul(v128.load(from + cell * 2 + c), scale);
    const laplacian = f32x4.mul(v128.load(from + cell * 3 + c), scale);
    const sum = f32x4.add(sobelX, sobelY), difference = f32x4.sub(sobelX, sobelY);
    increase(up + left + c, f32x4.sub(laplacian, sum));
    increase(up + here + c, f32x4.mul(two, f32x4.sub(laplacian, sobelY)));
    increase(up + right + c, f32x4.add(laplacian, difference));
    increase(middle + left + c, f32x4.mul(two, f32x4.sub(laplacian, sobelX)));
    increase(middle + here + c, fma(laplacian, twelve, f32x4.add(identity, v128.load(own + c))));
    increase(middle + right + c, f32x4.mul(two, f32x4.add(laplacian, sobelX)));
    increase(down + left + c, f32x4.sub(laplacian, difference));
    increase(down + here + c, f32x4.mul(two, f32x4.add(laplacian, sobelY)));
    increase(down + right + c, f32x4.add(laplacian, sum));
  }
}
