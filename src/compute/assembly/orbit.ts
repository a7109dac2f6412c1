// Gram matrices of rectified filter responses of a picture's turned and recoloured copies. A turn moves the taps of the filters; a linear map of colours mixes
// what single channels answer: so no copy is made, and no response is stored longer than a block of pixels.
import { madd, sumLanes } from "./vector";

/**
 * Sums over pixels of relu(r_i) relu(r_j), with r_k = sum over c, p of A[c, p] (plane_p * filter_k,c), for the filters of turn `band` and all colour maps A.
 * Width is a multiple of 8, count of 12, block of the width: so many pixels are worked on at once. Beyond `inside` pixels of a row nothing counts.
 * planes [3, height + reach, stride] wrapped; filters [turns, taps, 3 (c), count]; offsets [taps] in bytes from a pixel to those that the taps read;
 * terms [colours, groups, 3] of (map 3 p + c as i32, factor as f32): what is mixed, three at a time; grams [turns, colours, count, count] float64, above and on the
 * diagonal; scratch [threads, 10, count, block].
 */
export function orbitGram(
  band: i32, thread: i32, planes: usize, filters: usize, offsets: usize, terms: usize, grams: usize, scratch: usize,
  height: i32, width: i32, inside: i32, stride: i32, plane: i32, taps: i32, count: i32, colours: i32, groups: i32, block: i32,
): void {
  const line = <usize>block << 2;
  const bytes = <usize>count * line;
  const maps = scratch + <usize>thread * 10 * bytes;
  const mixed = maps + 9 * bytes;
  const bank = filters + (<usize>(band * taps * 3 * count) << 2);
  const size = <usize>(count * count) << 3;
  let gram = grams + <usize>(band * colours) * size;
  memory.fill(gram, 0, <usize>colours * size);
  const rows = block / width;
  for (let y = 0; y < height; y += rows) {
    const some = min(rows, height - y);
    for (let p = 0; p < 3; p++) {
      const from = planes + (<usize>(p * plane + y * stride) << 2);
      for (let o = 0; o < 3 * count; o += 6)
        respond(from, bank + (<usize>o << 2), offsets, maps + <usize>(p * 3 * count + o) * line, line, some, width, inside, stride, taps, 12 * count);
    }
    const length = <usize>(some * width) << 2;
    gram = grams + <usize>(band * colours) * size;
    let term = terms;
    for (let a = 0; a < colours; a++) {
      for (let g = 0; g < groups; g++) {
        mix(maps, term, mixed, line, count, length, g > 0, g == groups - 1);
        term += 24;
      }
      for (let i = 0; i < count; i += 4)
        for (let j = i - i % 3; j < count; j += 3) tile(mixed, line, i, j, length, gram, count);
      gram += size;
    }
  }
}

/** Six filters on the rows of a block: out [6, line]. */
function respond(from: usize, bank: usize, offsets: usize, out: usize, line: usize, rows: i32, width: i32, inside: i32, stride: i32, taps: i32, next: i32): void {
  for (let y = 0; y < rows; y++) {
    for (let x = 0; x < width; x += 8) {
      const at = from + (<usize>(y * stride + x) << 2);
      let a0 = f32x4.splat(0), a1 = a0, a2 = a0, a3 = a0, a4 = a0, a5 = a0;
      let b0 = a0, b1 = a0, b2 = a0, b3 = a0, b4 = a0, b5 = a0;
      let f = bank;
      for (let tap = 0; tap < taps; tap++) {
        const p = at + load<u32>(offsets + (<usize>tap << 2));
        const u = v128.load(p), v = v128.load(p, 16);
        let w = v128.load32_splat(f);
        a0 = madd(u, w, a0); b0 = madd(v, w, b0);
        w = v128.load32_splat(f, 4);
        a1 = madd(u, w, a1); b1 = madd(v, w, b1);
        w = v128.load32_splat(f, 8);
        a2 = madd(u, w, a2); b2 = madd(v, w, b2);
        w = v128.load32_splat(f, 12);
        a3 = madd(u, w, a3); b3 = madd(v, w, b3);
        w = v128.load32_splat(f, 16);
        a4 = madd(u, w, a4); b4 = madd(v, w, b4);
        w = v128.load32_splat(f, 20);
        a5 = madd(u, w, a5); b5 = madd(v, w, b5);
        f += next;
      }
      if (x + 8 > inside) {
        const lanes = i32x4(0, 1, 2, 3);
        const first = i32x4.lt_s(lanes, i32x4.splat(inside - x));
        const second = i32x4.lt_s(lanes, i32x4.splat(inside - x - 4));
        a0 = v128.and(a0, first); a1 = v128.and(a1, first); a2 = v128.and(a2, first);
        a3 = v128.and(a3, first); a4 = v128.and(a4, first); a5 = v128.and(a5, first);
        b0 = v128.and(b0, second); b1 = v128.and(b1, second); b2 = v128.and(b2, second);
        b3 = v128.and(b3, second); b4 = v128.and(b4, second); b5 = v128.and(b5, second);
      }
      let o = out + (<usize>(y * width + x) << 2);
      v128.store(o, a0); v128.store(o, b0, 16); o += line;
      v128.store(o, a1); v128.store(o, b1, 16); o += line;
      v128.store(o, a2); v128.store(o, b2, 16); o += line;
      v128.store(o, a3); v128.store(o, b3, 16); o += line;
      v128.store(o, a4); v128.store(o, b4, 16); o += line;
      v128.store(o, a5); v128.store(o, b5, 16);
    }
  }
}

/** mixed [count, line] = the sum of three maps, on top of what is there when `more`, rectified when `last`. */
function mix(maps: usize, term: usize, mixed: usize, line: usize, count: i32, length: usize, more: bool, last: bool): void {
  const bytes = <usize>count * line;
  let p = maps + load<u32>(term) * bytes, q = maps + load<u32>(term, 8) * bytes, r = maps + load<u32>(term, 16) * bytes;
  const a = v128.load32_splat(term, 4), b = v128.load32_splat(term, 12), c = v128.load32_splat(term, 20);
  const least = last ? f32x4.splat(0) : f32x4.splat(-f32.MAX_VALUE);
  for (let k = 0; k < count; k++) {
    for (let n: usize = 0; n < length; n += 16) {
      let sum = more ? v128.load(mixed + n) : f32x4.splat(0);
      sum = madd(a, v128.load(p + n), sum);
      sum = madd(b, v128.load(q + n), sum);
      sum = madd(c, v128.load(r + n), sum);
      v128.store(mixed + n, f32x4.pmax(least, sum));
    }
    p += line; q += line; r += line; mixed += line;
  }
}

// @ts-ignore: decorator
@inline
function add(p: usize, v: v128): void {
  store<f64>(p, load<f64>(p) + <f64>sumLanes(v));
}

/** Adds the products of rows i to i + 3 with rows j to j + 2 to the Gram matrix. */
function tile(mixed: usize, line: usize, i: i32, j: i32, length: usize, gram: usize, count: i32): void {
  const x0 = mixed + <usize>i * line, x1 = x0 + line, x2 = x1 + line, x3 = x2 + line;
  const y0 = mixed + <usize>j * line, y1 = y0 + line, y2 = y1 + line;
  let s00 = f32x4.splat(0), s01 = s00, s02 = s00, s10 = s00, s11 = s00, s12 = s00;
  let s20 = s00, s21 = s00, s22 = s00, s30 = s00, s31 = s00, s32 = s00;
  for (let n: usize = 0; n < length; n += 16) {
    const a = v128.load(y0 + n), b = v128.load(y1 + n), c = v128.load(y2 + n);
    let x = v128.load(x0 + n);
    s00 = madd(x, a, s00); s01 = madd(x, b, s01); s02 = madd(x, c, s02);
    x = v128.load(x1 + n);
    s10 = madd(x, a, s10); s11 = madd(x, b, s11); s12 = madd(x, c, s12);
    x = v128.load(x2 + n);
    s20 = madd(x, a, s20); s21 = madd(x, b, s21); s22 = madd(x, c, s22);
    x = v128.load(x3 + n);
    s30 = madd(x, a, s30); s31 = madd(x, b, s31); s32 = madd(x, c, s32);
  }
  let p = gram + (<usize>(i * count + j) << 3);
  const down = <usize>count << 3;
  add(p, s00); add(p + 8, s01); add(p + 16, s02); p += down;
  add(p, s10); add(p + 8, s11); add(p + 16, s12); p += down;
  add(p, s20); add(p + 8, s21); add(p + 16, s22); p += down;
  add(p, s30); add(p + 8, s31); add(p + 16, s32);
}
