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
function addRow(p: usize, a: v128, b: v128, c: v128, columns: i32): void {
  store<f64>(p, load<f64>(p) + sum(a));
  if (columns > 1) store<f64>(p, load<f64>(p, 8) + sum(b), 8);
  if (columns > 2) store<f64>(p, load<f64>(p, 16) + sum(c), 16);
}

/** a * b + c: fused in the FMA build, rounded twice in the other. */
// @ts-ignore: decorator
@inline
function fused(a: v128, b: v128, c: v128): v128 {
  if (FMA) return f64x2.relaxed_madd(a, b, c);
  return f64x2.add(f64x2.mul(a, b), c);
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
    for (let j = 0; j < width; j += 3) {
      // Rows beyond the last are the last one again, and not written.
      const b0 = b + <usize>j * bytes + (<usize>k << 3);
      const b1 = j + 1 < width ? b0 + bytes : b0;
      const b2 = j + 2 < width ? b1 + bytes : b0;
      for (let i = band * share; i < end; i += 3) {
        const a0 = a + <usize>i * bytes + (<usize>k << 3);
        const a1 = i + 1 < end ? a0 + bytes : a0;
        const a2 = i + 2 < end ? a1 + bytes : a0;
        let s00 = f64x2.splat(0), s01 = s00, s02 = s00, s10 = s00, s11 = s00, s12 = s00, s20 = s00, s21 = s00, s22 = s00;
        for (let n: usize = 0; n < length; n += 16) {
          const y0 = v128.load(b0 + n), y1 = v128.load(b1 + n), y2 = v128.load(b2 + n);
          let x = v128.load(a0 + n);
          s00 = fused(x, y0, s00); s01 = fused(x, y1, s01); s02 = fused(x, y2, s02);
          x = v128.load(a1 + n);
          s10 = fused(x, y0, s10); s11 = fused(x, y1, s11); s12 = fused(x, y2, s12);
          x = v128.load(a2 + n);
          s20 = fused(x, y0, s20); s21 = fused(x, y1, s21); s22 = fused(x, y2, s22);
        }
        const p = out + <usize>i * line + (<usize>j << 3);
        const columns = width - j;
        addRow(p, s00, s01, s02, columns);
        if (i + 1 < end) addRow(p + line, s10, s11, s12, columns);
        if (i + 2 < end) addRow(p + 2 * line, s20, s21, s22, columns);
      }
    }
  }
}
