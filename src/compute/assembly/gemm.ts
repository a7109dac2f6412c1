// Matrix products C = A B by packed panels: A in panels of MR rows, B in panels of 8 columns, both laid out [k][row or column],
// multiplied by the register tiles of tile.ts. Any strides of A and B are taken care of in packing.
import { MR, multiplyPanels, NR, TILE } from "./tile";
import { splat } from "./vector";

/** Interleaves `count` floats of MR rows (their addresses) into a panel [k][MR]. */
// @ts-ignore: decorator
@inline
export function packRows(p0: usize, p1: usize, p2: usize, p3: usize, p4: usize, p5: usize, count: i32, to: usize): void {
  let k = 0;
  for (; k + 4 <= count; k += 4) {
    const r0 = v128.load(p0), r1 = v128.load(p1), r2 = v128.load(p2), r3 = v128.load(p3), r4 = v128.load(p4);
    const s0 = v128.shuffle<f32>(r0, r1, 0, 4, 1, 5), s1 = v128.shuffle<f32>(r2, r3, 0, 4, 1, 5);
    const s2 = v128.shuffle<f32>(r0, r1, 2, 6, 3, 7), s3 = v128.shuffle<f32>(r2, r3, 2, 6, 3, 7);
    v128.store(to, v128.shuffle<f32>(s0, s1, 0, 1, 4, 5));
    v128.store(to + <usize>(MR * 4), v128.shuffle<f32>(s0, s1, 2, 3, 6, 7));
    v128.store(to + <usize>(MR * 8), v128.shuffle<f32>(s2, s3, 0, 1, 4, 5));
    v128.store(to + <usize>(MR * 12), v128.shuffle<f32>(s2, s3, 2, 3, 6, 7));
    if (FMA) {
      const r5 = v128.load(p5);
      const low = v128.shuffle<f32>(r4, r5, 0, 4, 1, 5), high = v128.shuffle<f32>(r4, r5, 2, 6, 3, 7);
      v128.store64_lane(to, low, 0, 16);
      v128.store64_lane(to + <usize>(MR * 4), low, 1, 16);
      v128.store64_lane(to + <usize>(MR * 8), high, 0, 16);
      v128.store64_lane(to + <usize>(MR * 12), high, 1, 16);
      p5 += 16;
    } else {
      v128.store32_lane(to, r4, 0, 16);
      v128.store32_lane(to + <usize>(MR * 4), r4, 1, 16);
      v128.store32_lane(to + <usize>(MR * 8), r4, 2, 16);
      v128.store32_lane(to + <usize>(MR * 12), r4, 3, 16);
    }
    p0 += 16;
    p1 += 16;
    p2 += 16;
    p3 += 16;
    p4 += 16;
    to += <usize>(MR * 16);
  }
  for (; k < count; k++) {
    store<f32>(to, load<f32>(p0));
    store<f32>(to, load<f32>(p1), 4);
    store<f32>(to, load<f32>(p2), 8);
    store<f32>(to, load<f32>(p3), 12);
    store<f32>(to, load<f32>(p4), 16);
    if (FMA) store<f32>(to, load<f32>(p5), 20);
    p0 += 4;
    p1 += 4;
    p2 += 4;
    p3 += 4;
    p4 += 4;
    if (FMA) p5 += 4;
    to += <usize>(MR * 4);
  }
}

/** A [m, k] with row and column strides (floats) to panels. Rows beyond m repeat the last: their products are never read. */
export function packA(a: usize, rs: i32, cs: i32, m: i32, k: i32, to: usize): void {
  for (let i = 0; i < m; i += MR) {
    const last = m - 1 - i;
    const p = a + (<usize>(i * rs) << 2);
    const step = <usize>rs << 2;
    if (cs == 1) {
      packRows(
        p, p + <usize>min(1, last) * step, p + <usize>min(2, last) * step, p + <usize>min(3, last) * step,
        p + <usize>min(4, last) * step, p + <usize>min(5, last) * step, k, to,
      );
    } else if (rs == 1 && last >= 7) {
      // Contiguous along the rows, and eight floats can be read without running over.
      let from = p;
      let out = to;
      const next = <usize>cs << 2;
      for (let q = 0; q < k; q++) {
        v128.store(out, v128.load(from));
        if (FMA) v128.store64_lane(out, v128.load(from, 16), 0, 16);
        else v128.store32_lane(out, v128.load(from, 16), 0, 16);
        from += next;
        out += <usize>(MR * 4);
      }
    } else {
      let out = to;
      for (let q = 0; q < k; q++) {
        const from = p + (<usize>(q * cs) << 2);
        for (let r = 0; r < MR; r++) store<f32>(out + (<usize>r << 2), load<f32>(from + <usize>min(r, last) * step));
        out += <usize>(MR * 4);
      }
    }
    to += <usize>(MR * k) << 2;
  }
}

/** B [k, n] with row and column strides (floats) to panels [k][8], missing columns zero. */
export function packB(b: usize, rs: i32, cs: i32, k: i32, n: i32, to: usize): void {
  for (let j = 0; j < n; j += NR) {
    const columns = min(NR, n - j);
    const p = b + (<usize>(j * cs) << 2);
    const step = <usize>rs << 2;
    if (columns == NR && cs == 1) {
      let from = p;
      let out = to;
      for (let q = 0; q < k; q++) {
        v128.store(out, v128.load(from));
        v128.store(out, v128.load(from, 16), 16);
        from += step;
        out += 32;
      }
    } else if (columns == NR && rs == 1) {
      const next = <usize>cs << 2;
      packEight(p, next, k, to);
      packEight(p + 4 * next, next, k, to + 16);
    } else {
      let out = to;
      for (let q = 0; q < k; q++) {
        const from = p + <usize>q * step;
        for (let s = 0; s < NR; s++) {
          store<f32>(out + (<usize>s << 2), s < columns ? load<f32>(from + (<usize>(s * cs) << 2)) : 0);
        }
        out += 32;
      }
    }
    to += <usize>(NR * k) << 2;
  }
}

/** Four rows of k floats, `next` bytes apart, to four columns of a panel of eight. */
function packEight(p: usize, next: usize, k: i32, to: usize): void {
  let q = 0;
  for (; q + 4 <= k; q += 4) {
    const r0 = v128.load(p), r1 = v128.load(p + next), r2 = v128.load(p + 2 * next), r3 = v128.load(p + 3 * next);
    const s0 = v128.shuffle<f32>(r0, r1, 0, 4, 1, 5), s1 = v128.shuffle<f32>(r2, r3, 0, 4, 1, 5);
    const s2 = v128.shuffle<f32>(r0, r1, 2, 6, 3, 7), s3 = v128.shuffle<f32>(r2, r3, 2, 6, 3, 7);
    v128.store(to, v128.shuffle<f32>(s0, s1, 0, 1, 4, 5));
    v128.store(to, v128.shuffle<f32>(s0, s1, 2, 3, 6, 7), 32);
    v128.store(to, v128.shuffle<f32>(s2, s3, 0, 1, 4, 5), 64);
    v128.store(to, v128.shuffle<f32>(s2, s3, 2, 3, 6, 7), 96);
    p += 16;
    to += 128;
  }
  for (; q < k; q++) {
    store<f32>(to, load<f32>(p));
    store<f32>(to, load<f32>(p + next), 4);
    store<f32>(to, load<f32>(p + 2 * next), 8);
    store<f32>(to, load<f32>(p + 3 * next), 12);
    p += 4;
    to += 32;
  }
}

/** Adds a bias to every row of C and clips below at zero if asked. `bias` may be 0 for none. */
export function finish(c: usize, ldc: i32, m: i32, n: i32, bias: usize, relu: bool): void {
  if (bias == 0 && !relu) return;
  for (let i = 0; i < m; i++) {
    const row = c + (<usize>(i * ldc) << 2);
    let j = 0;
    for (; j + 4 <= n; j += 4) {
      const p = row + (<usize>j << 2);
      let v = v128.load(p);
      if (bias) v = f32x4.add(v, v128.load(bias + (<usize>j << 2)));
      if (relu) v = f32x4.pmax(v, splat(0));
      v128.store(p, v);
    }
    for (; j < n; j++) {
      const p = row + (<usize>j << 2);
      let x = load<f32>(p);
      if (bias) x += load<f32>(bias + (<usize>j << 2));
      if (relu) x = x < 0 ? 0 : x;
      store<f32>(p, x);
    }
  }
}

/**
 * C [m, n] (+)= A B by one thread alone, packing for itself.
 * @param kc length of a block of k  @param scratch TILE bytes, then room for kc * (m + n, each rounded up to panels) floats
 */
export function product(
  a: usize, ars: i32, acs: i32, b: usize, brs: i32, bcs: i32, c: usize, ldc: i32,
  m: i32, n: i32, k: i32, kc: i32, accumulate: bool, scratch: usize,
): void {
  const pa = scratch + TILE;
  const pb = pa + (<usize>((m + MR - 1) / MR * MR * kc) << 2);
  if (k == 0 && !accumulate) {
    for (let i = 0; i < m; i++) memory.fill(c + (<usize>(i * ldc) << 2), 0, <usize>n << 2);
  }
  for (let k0 = 0; k0 < k; k0 += kc) {
    const depth = min(kc, k - k0);
    packA(a + (<usize>(k0 * acs) << 2), ars, acs, m, depth, pa);
    packB(b + (<usize>(k0 * brs) << 2), brs, bcs, depth, n, pb);
    multiplyPanels(pa, pb, c, ldc, m, n, depth, accumulate || k0 > 0, scratch);
  }
}

/**
 * Many small products, `each` to a band: entry e has A at (e / inner) * aOuter + (e % inner) * aInner, and so on (floats).
 * With `total` > 0 the entries are slices of one long k instead: entry e takes k of [e k, min((e + 1) k, total)).
 */
export function gemmBatch(
  band: i32, thread: i32, a: usize, ars: i32, acs: i32, b: usize, brs: i32, bcs: i32, c: usize, ldc: i32,
  m: i32, n: i32, k: i32, kc: i32, count: i32, each: i32, inner: i32,
  aOuter: i32, aInner: i32, bOuter: i32, bInner: i32, cOuter: i32, cInner: i32, total: i32, accumulate: i32,
  bias: usize, relu: i32, scratch: usize, stride: i32,
): void {
  const mine = scratch + <usize>thread * <usize>stride;
  const end = min(count, (band + 1) * each);
  for (let e = band * each; e < end; e++) {
    const o = e / inner;
    const i = e % inner;
    const to = c + (<usize>(o * cOuter + i * cInner) << 2);
    product(
      a + (<usize>(o * aOuter + i * aInner) << 2), ars, acs, b + (<usize>(o * bOuter + i * bInner) << 2), brs, bcs,
      to, ldc, m, n, total > 0 ? min(k, total - e * k) : k, kc, accumulate != 0, mine,
    );
    finish(to, ldc, m, n, bias, relu != 0);
  }
}

/** Packs columns [band * columns, ...) of B for all blocks of k: block k0 begins at float k0 * (n rounded up to 8). */
export function gemmPackB(
  band: i32, thread: i32, b: usize, brs: i32, bcs: i32, k: i32, n: i32, kc: i32, columns: i32, to: usize,
): void {
  const j = band * columns;
  const width = min(columns, n - j);
  const n8 = (n + NR - 1) / NR * NR;
  for (let k0 = 0; k0 < k; k0 += kc) {
    const depth = min(kc, k - k0);
    packB(b + (<usize>(k0 * brs + j * bcs) << 2), brs, bcs, depth, width, to + (<usize>(k0 * n8 + j * depth) << 2));
  }
}

/** One large product with B packed by gemmPackB: band = block of `rows` rows x block of `columns` columns of C. */
export function gemmBlock(
  band: i32, thread: i32, a: usize, ars: i32, acs: i32, pb: usize, c: usize, ldc: i32,
  m: i32, n: i32, k: i32, kc: i32, rows: i32, columns: i32, accumulate: i32, bias: usize, relu: i32, scratch: usize, stride: i32,
): void {
  const mine = scratch + <usize>thread * <usize>stride;
  // Bands that follow one another share their columns: that part of B stays in the second-level cache.
  const down = (m + rows - 1) / rows;
  const i = band % down * rows;
  const j = band / down * columns;
  const height = min(rows, m - i);
  const width = min(columns, n - j);
  const n8 = (n + NR - 1) / NR * NR;
  const to = c + (<usize>(i * ldc + j) << 2);
  for (let k0 = 0; k0 < k; k0 += kc) {
    const depth = min(kc, k - k0);
    packA(a + (<usize>(i * ars + k0 * acs) << 2), ars, acs, height, depth, mine + TILE);
    multiplyPanels(
      mine + TILE, pb + (<usize>(k0 * n8 + j * depth) << 2), to, ldc, height, width, depth, accumulate != 0 || k0 > 0, mine,
    );
  }
  finish(to, ldc, height, width, bias == 0 ? 0 : bias + (<usize>j << 2), relu != 0);
}

/** out[i] = sum over slices of parts[slice, i], in order, for i in the band's share. */
export function sumSlices(band: i32, thread: i32, parts: usize, out: usize, slices: i32, length: i32, share: i32): void {
  const end = min(length, (band + 1) * share);
  const step = <usize>length << 2;
  let i = band * share;
  for (; i + 4 <= end; i += 4) {
    let p = parts + (<usize>i << 2);
    let sum = v128.load(p);
    for (let s = 1; s < slices; s++) {
      p += step;
      sum = f32x4.add(sum, v128.load(p));
    }
    v128.store(out + (<usize>i << 2), sum);
  }
  for (; i < end; i++) {
    let p = parts + (<usize>i << 2);
    let sum = load<f32>(p);
    for (let s = 1; s < slices; s++) {
      p += step;
      sum += load<f32>(p);
    }
    store<f32>(out + (<usize>i << 2), sum);
  }
}

/** Bias and clipping by themselves. */
export function finishRows(band: i32, thread: i32, c: usize, ldc: i32, m: i32, n: i32, bias: usize, relu: i32): void {
  finish(c, ldc, m, n, bias, relu != 0);
}
