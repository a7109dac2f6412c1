// Gram matrices of rectified filter responses of a picture's turned and recoloured copies. A turn moves the taps of the filters; a linear map of colours mixes
// what single channels answer: so no copy is made, and no response is stored longer than a block of pixels.
import { madd, sumLanes } from "./vector";

/** Pixels worked on at once: the mixed responses of 24 filters to so many stay in the first cache. Rows of so many floats. */
const BLOCK: i32 = 256;
const LINE: usize = 1024;

/**
 * Sums over pixels of relu(r_i) relu(r_j), and of relu(-r_i) relu(-r_j), with r_k = sum over c, p of A[c, p] (plane_p * filter_k,c): for the filters of turn
 * `band` and all colour maps A.
 * Width is a multiple of 8, count of 6. Beyond `inside` pixels of a row nothing counts.
 * planes [3, height + reach, stride] wrapped; filters [turns, taps, 3 (c), count]; offsets [taps] in bytes from a pixel to those that the taps read;
 * terms [maps, groups, 3] of (3 p + c as u32, factor as f32): what is mixed, three at a time; grams [turns, maps, 2, count, count] float64, above and on the
 * diagonal; scratch [threads, 11, count, BLOCK].
 */
export function orbitGram(
  band: i32, thread: i32, planes: usize, filters: usize, offsets: usize, terms: usize, grams: usize, scratch: usize,
  height: i32, width: i32, inside: i32, stride: i32, plane: i32, taps: i32, count: i32, maps: i32, groups: i32,
): void {
  const bytes = <usize>count * LINE;
  const answers = scratch + <usize>thread * 11 * bytes;
  const above = answers + 9 * bytes;
  const below = above + bytes;
  const bank = filters + (<usize>(band * taps * 3 * count) << 2);
  const size = <usize>(count * count) << 3;
  const first = grams + <usize>(band * maps * 2) * size;
  memory.fill(first, 0, <usize>(2 * maps) * size);
  const across = min(width, BLOCK);
  const rows = BLOCK / across;
  for (let y = 0; y < height; y += rows) {
    const some = min(rows, height - y);
    for (let x = 0; x < width; x += BLOCK) {
      const wide = min(across, width - x);
      for (let p = 0; p < 3; p++) {
        const from = planes + (<usize>(p * plane + y * stride + x) << 2);
        for (let o = 0; o < 3 * count; o += 6)
          respond(from, bank + (<usize>o << 2), offsets, answers + <usize>(p * 3 * count + o) * LINE, some, wide, inside - x, stride, taps, 12 * count);
      }
      const length = <usize>(some * wide) << 2;
      let gram = first;
      let term = terms;
      for (let a = 0; a < maps; a++) {
        for (let g = 0; g < groups; g++) {
          mix(answers, term, above, below, count, length, g > 0);
          term += 24;
        }
        addProducts(above, count, length, gram);
        gram += size;
        addProducts(below, count, length, gram);
        gram += size;
      }
    }
  }
}

/** Six filters on the rows of a block: out [6, BLOCK]. */
function respond(from: usize, bank: usize, offsets: usize, out: usize, rows: i32, width: i32, inside: i32, stride: i32, taps: i32, next: i32): void {
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
      const o = out + (<usize>(y * width + x) << 2);
      v128.store(o, a0); v128.store(o, b0, 16);
      v128.store(o, a1, LINE); v128.store(o, b1, LINE + 16);
      v128.store(o, a2, 2 * LINE); v128.store(o, b2, 2 * LINE + 16);
      v128.store(o, a3, 3 * LINE); v128.store(o, b3, 3 * LINE + 16);
      v128.store(o, a4, 4 * LINE); v128.store(o, b4, 4 * LINE + 16);
      v128.store(o, a5, 5 * LINE); v128.store(o, b5, 5 * LINE + 16);
    }
  }
}

/** The sum of three answers, on top of what the last three gave when `more`: above [count, BLOCK] what is positive of it, below what is negative. */
function mix(answers: usize, term: usize, above: usize, below: usize, count: i32, length: usize, more: bool): void {
  const bytes = <usize>count * LINE;
  const p = answers + load<u32>(term) * bytes, q = answers + load<u32>(term, 8) * bytes, r = answers + load<u32>(term, 16) * bytes;
  const a = v128.load32_splat(term, 4), b = v128.load32_splat(term, 12), c = v128.load32_splat(term, 20);
  const zero = f32x4.splat(0);
  for (let k = 0; k < count; k++) {
    const row = <usize>k * LINE;
    for (let n = row; n < row + length; n += 16) {
      let sum = more ? f32x4.sub(v128.load(above + n), v128.load(below + n)) : zero;
      sum = madd(a, v128.load(p + n), sum);
      sum = madd(b, v128.load(q + n), sum);
      sum = madd(c, v128.load(r + n), sum);
      v128.store(above + n, f32x4.pmax(zero, sum));
      v128.store(below + n, f32x4.pmax(zero, f32x4.neg(sum)));
    }
  }
}

function addProducts(mixed: usize, count: i32, length: usize, gram: usize): void {
  for (let i = 0; i < count; i += 3)
    for (let j = i; j < count; j += 3) tile(mixed + <usize>i * LINE, mixed + <usize>j * LINE, length, gram + (<usize>(i * count + j) << 3), count);
}

// @ts-ignore: decorator
@inline
function add(p: usize, v: v128): void {
  store<f64>(p, load<f64>(p) + <f64>sumLanes(v));
}

/** Adds the products of three rows from x with three from y to those at p. */
function tile(x: usize, y: usize, length: usize, p: usize, count: i32): void {
  let s00 = f32x4.splat(0), s01 = s00, s02 = s00, s10 = s00, s11 = s00, s12 = s00, s20 = s00, s21 = s00, s22 = s00;
  const end = x + length;
  while (x < end) {
    const a = v128.load(y), b = v128.load(y, LINE), c = v128.load(y, 2 * LINE);
    let v = v128.load(x);
    s00 = madd(v, a, s00); s01 = madd(v, b, s01); s02 = madd(v, c, s02);
    v = v128.load(x, LINE);
    s10 = madd(v, a, s10); s11 = madd(v, b, s11); s12 = madd(v, c, s12);
    v = v128.load(x, 2 * LINE);
    s20 = madd(v, a, s20); s21 = madd(v, b, s21); s22 = madd(v, c, s22);
    x += 16; y += 16;
  }
  const down = <usize>count << 3;
  add(p, s00); add(p + 8, s01); add(p + 16, s02); p += down;
  add(p, s10); add(p + 8, s11); add(p + 16, s12); p += down;
  add(p, s20); add(p + 8, s21); add(p + 16, s22);
}
