// Dot products of rows in float64, for statistics that float32 is too coarse for.

/** Numbers of a row that are worked on at once: the band's rows stay in the first cache. */
const DEPTH: i32 = 256;

// @ts-ignore: decorator
@inline
function sum(v: v128): f64 {
  return f64x2.extract_lane(v, 0) + f64x2.extract_lane(v, 1);
}

// @ts-ignore: decorator
@inline
function add(p: usize, v: v128): void {
  store<f64>(p, load<f64>(p) + sum(v));
}

/**
 * out [rows, width] = a b', of a [rows, depth] and b [width, depth]: rows [band * share, ...) of it. Depth is even.
 */
export function rowDots(
  band: i32, thread: i32, a: usize, b: usize, out: usize, rows: i32, width: i32, depth: i32, share: i32,
): void {
  const end = min(rows, (band + 1) * share);
  const bytes = <usize>depth << 3;
  const line = <usize>width << 3;
  memory.fill(out + <usize>(band * share) * line, 0, <usize>(end - band * share) * line);
  for (let k = 0; k < depth; k += DEPTH) {
    const length = <usize>min(DEPTH, depth - k) << 3;
    for (let j = 0; j < width; j += 2) {
      const b0 = b + <usize>j * bytes + (<usize>k << 3);
      const b1 = j + 1 < width ? b0 + bytes : b0;
      for (let i = band * share; i < end; i += 4) {
        const a0 = a + <usize>i * bytes + (<usize>k << 3);
        const a1 = i + 1 < end ? a0 + bytes : a0;
        const a2 = i + 2 < end ? a1 + bytes : a0;
        const a3 = i + 3 < end ? a2 + bytes : a0;
        let s00 = f64x2.splat(0), s01 = f64x2.splat(0), s10 = f64x2.splat(0), s11 = f64x2.splat(0);
        let s20 = f64x2.splat(0), s21 = f64x2.splat(0), s30 = f64x2.splat(0), s31 = f64x2.splat(0);
        for (let n: usize = 0; n < length; n += 16) {
          const y0 = v128.load(b0 + n), y1 = v128.load(b1 + n);
          const x0 = v128.load(a0 + n), x1 = v128.load(a1 + n);
          s00 = f64x2.add(s00, f64x2.mul(x0, y0));
          s01 = f64x2.add(s01, f64x2.mul(x0, y1));
          s10 = f64x2.add(s10, f64x2.mul(x1, y0));
          s11 = f64x2.add(s11, f64x2.mul(x1, y1));
          const x2 = v128.load(a2 + n), x3 = v128.load(a3 + n);
          s20 = f64x2.add(s20, f64x2.mul(x2, y0));
          s21 = f64x2.add(s21, f64x2.mul(x2, y1));
          s30 = f64x2.add(s30, f64x2.mul(x3, y0));
          s31 = f64x2.add(s31, f64x2.mul(x3, y1));
        }
        const more = j + 1 < width;
        let p = out + <usize>i * line + (<usize>j << 3);
        add(p, s00);
        if (more) add(p + 8, s01);
        if (i + 1 < end) { p += line; add(p, s10); if (more) add(p + 8, s11); }
        if (i + 2 < end) { p += line; add(p, s20); if (more) add(p + 8, s21); }
        if (i + 3 < end) { p += line; add(p, s30); if (more) add(p + 8, s31); }
      }
    }
  }
}
