/** Enlarging pictures with pixel centres at half integers: sharp's own way moves them by half a pixel, and a mirrored picture is no mirrored result. */

/** Keys' cubic convolution with a = -1/2 (Catmull-Rom): interpolates, reproduces quadratics. */
function keys(x: number): number {
  const t = Math.abs(x);
  if (t < 1) return 1.5 * t ** 3 - 2.5 * t ** 2 + 1;
  return t < 2 ? -0.5 * t ** 3 + 2.5 * t ** 2 - 4 * t + 2 : 0;
}

/** For each of `to` places the four source pixels (border pixels repeated) and their weights. */
function tapsOf(from: number, to: number): { pixel: number; weight: number }[][] {
  return Array.from({ length: to }, (_, i) => {
    const place = ((i + 0.5) * from) / to - 0.5;
    const first = Math.floor(place) - 1;
    return [0, 1, 2, 3].map(k => ({
      pixel: Math.min(from - 1, Math.max(0, first + k)),
      weight: keys(first + k - place),
    }));
  });
}

/** One axis of [outer, from, inner] to [outer, to, inner]. */
function alongAxis(
  data: ArrayLike<number>,
  outer: number,
  from: number,
  to: number,
  inner: number,
): Float64Array {
  const out = new Float64Array(outer * to * inner);
  const taps = tapsOf(from, to);
  for (let o = 0; o < outer; o++)
    for (let i = 0; i < to; i++)
      for (const { pixel, weight } of taps[i])
        for (let c = 0; c < inner; c++)
          out[(o * to + i) * inner + c] += weight * data[(o * from + pixel) * inner + c];
  return out;
}

/** A square picture [side, side, 3] of bytes as a larger one [size, size, 3], in bytes too (clipped, not rounded). */
export function enlarged(bytes: Uint8Array, side: number, size: number): Float64Array {
  const wide = alongAxis(bytes, side, side, size, 3);
  return alongAxis(wide, 1, side, size, size * 3).map(x => Math.min(255, Math.max(0, x)));
}
