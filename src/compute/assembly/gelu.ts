// GELU between two linear layers, for a backward pass that is to follow.
import { at, put, vgelu, vgeluSlope } from "./vector";

/** out = gelu(x), and in the place of x its derivative there: for elements [band * share, ...). */
export function geluAndSlope(band: i32, thread: i32, x: usize, out: usize, length: i32, share: i32): void {
  const start = <usize>(band * share) << 2;
  const count = min(share, length - band * share);
  const from = x + start;
  const to = out + start;
  let i = 0;
  // Two vectors at a time, for a V8 that joins them into one.
  for (; i + 8 <= count; i += 8) {
    const p = from + (<usize>i << 2);
    const q = to + (<usize>i << 2);
    const x0 = v128.load(p), x1 = v128.load(p, 16);
    const y0 = vgelu(x0), y1 = vgelu(x1);
    v128.store(q, y0);
    v128.store(q, y1, 16);
    const s0 = vgeluSlope(x0), s1 = vgeluSlope(x1);
    v128.store(p, s0);
    v128.store(p, s1, 16);
  }
  for (; i < count; i += 4) {
    const v = at(from, i, count);
    put(to, i, count, vgelu(v));
    put(from, i, count, vgeluSlope(v));
  }
}
