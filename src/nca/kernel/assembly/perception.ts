// Perception of one cell and its transpose. Inside the kernels the perception of a cell is ordered [filter][channel], so that whole vectors of
// channels are written; the packed w1 has its columns in the same order.
import { cellBytes, channels, clipPerception, filterScale, height, width } from "./job";

/**
 * Writes identity, sobel_x, sobel_y and laplacian of `count` cells (`places`: y and x, 16 bits each) to `out` [count, 4 channels] and, clipped,
 * to `clipped` (which may be the same).
 */
export function perceive(count: i32, places: usize, state: usize, out: usize, clipped: usize): void {
  const cell = cellBytes(), row = cell * width;
  const lastRow = (height - 1) * row, lastCell = row - cell;
  const scale = f32x4.splat(filterScale);
  for (let to = out, end = out + count * 4 * cell; to < end; to += 3 * cell) {
    const vertical = <i32>load<u16>(places) * row, here = <i32>load<u16>(places, 2) * cell;
    places += 4;
    const left = here == 0 ? lastCell : here - cell;
    const right = here == lastCell ? 0 : here + cell;
    let middle = state + vertical;
    let up = vertical == 0 ? middle + lastRow : middle - row;
    let down = vertical == lastRow ? state : middle + row;
    for (const cellEnd = to + cell; to < cellEnd; to += 16) {
      const a = v128.load(up + left), j = v128.load(down + right);
      const d = v128.load(up + right), h = v128.load(down + left);
      const b = v128.load(up + here), i = v128.load(down + here);
      const e = v128.load(middle + left), g = v128.load(middle + right);
      const f = v128.load(middle + here);
      up += 16;
      middle += 16;
      down += 16;
      // Sums and differences of opposite neighbours; doubling by addition needs no constant.
      const ja = f32x4.sub(j, a), dh = f32x4.sub(d, h);
      const ge = f32x4.sub(g, e), ib = f32x4.sub(i, b);
      const sobelX = f32x4.add(f32x4.add(ja, dh), f32x4.add(ge, ge));
      const sobelY = f32x4.add(f32x4.sub(ja, dh), f32x4.add(ib, ib));
      const corners = f32x4.add(f32x4.add(a, j), f32x4.add(d, h));
      const sides = f32x4.sub(f32x4.add(f32x4.add(b, i), f32x4.add(e, g)), f32x4.mul(f, f32x4.splat(6)));
      const laplacian = f32x4.add(corners, f32x4.add(sides, sides));
      v128.store(to, f);
      v128.store(to + cell, f32x4.mul(sobelX, scale));
      v128.store(to + 2 * cell, f32x4.mul(sobelY, scale));
      v128.store(to + 3 * cell, f32x4.mul(laplacian, scale));
    }
  }
  if (clipped == out) return;
  const limit = f32x4.splat(clipPerception), limitBelow = f32x4.splat(-clipPerception);
  for (let i = 0; i < count * 4 * cell; i += 16) v128.store(clipped + i, clamp(v128.load(out + i), limitBelow, limit));
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
 * The transpose: adds the gradients `from` [count, 4 channels] of the cells' perceptions to the gradients of the nine cells each of them saw, and
 * `own` [count, channels] to the cells themselves. `to` is where row `first` lies; the rows before and after it are there too.
 */
export function scatter(count: i32, places: usize, from: usize, own: usize, to: usize, first: i32): void {
  const cell = cellBytes(), row = cell * width;
  const lastCell = row - cell;
  const scale = f32x4.splat(filterScale);
  for (const end = from + count * 4 * cell; from < end; from += 3 * cell) {
    const here = <i32>load<u16>(places, 2) * cell;
    let middle = to + (<i32>load<u16>(places) - first) * row;
    places += 4;
    const left = here == 0 ? lastCell : here - cell;
    const right = here == lastCell ? 0 : here + cell;
    let up = middle - row, down = middle + row;
    for (const cellEnd = from + cell; from < cellEnd; from += 16) {
      const identity = f32x4.add(v128.load(from), v128.load(own));
      const sobelX = f32x4.mul(v128.load(from + cell), scale);
      const sobelY = f32x4.mul(v128.load(from + 2 * cell), scale);
      const laplacian = f32x4.mul(v128.load(from + 3 * cell), scale);
      const twice = f32x4.add(laplacian, laplacian);
      const twiceX = f32x4.add(sobelX, sobelX), twiceY = f32x4.add(sobelY, sobelY);
      const sum = f32x4.add(sobelX, sobelY), difference = f32x4.sub(sobelX, sobelY);
      increase(up + left, f32x4.sub(laplacian, sum));
      increase(up + here, f32x4.sub(twice, twiceY));
      increase(up + right, f32x4.add(laplacian, difference));
      increase(middle + left, f32x4.sub(twice, twiceX));
      increase(middle + here, f32x4.sub(identity, f32x4.mul(twice, f32x4.splat(6))));
      increase(middle + right, f32x4.add(twice, twiceX));
      increase(down + left, f32x4.sub(laplacian, difference));
      increase(down + here, f32x4.add(twice, twiceY));
      increase(down + right, f32x4.add(laplacian, sum));
      own += 16;
      up += 16;
      middle += 16;
      down += 16;
    }
  }
}
