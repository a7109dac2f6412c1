// Attention of one head at a time, straight from and to tokens whose heads lie side by side: nothing is transposed.
import { product } from "./gemm";
import { softmaxRow } from "./reduce";
import { loadPart, madd, splat, storePart, sumLanes } from "./vector";

/** probabilities [t, s] = softmax(scale Q K^T), keys whose `mask` byte is 0 left out; a row with no key at all is zero. */
function weigh(
  q: usize, qs: i32, k: usize, ks: i32, p: usize, t: i32, s: i32, width: i32, kc: i32, scale: f32, mask: usize, scratch: usize,
): void {
  product(q, qs, 1, k, 1, ks, p, s, t, s, width, kc, false, scratch);
  let open = s;
  if (mask != 0) {
    open = 0;
    for (let j = 0; j < s; j++) if (load<u8>(mask + <usize>j) != 0) open++;
  }
  for (let i = 0; i < t; i++) {
    const row = p + (<usize>(i * s) << 2);
    if (open == 0) {
      memory.fill(row, 0, <usize>s << 2);
      continue;
    }
    if (open < s) {
      for (let j = 0; j < s; j++) if (load<u8>(mask + <usize>j) == 0) store<f32>(row + (<usize>j << 2), f32.NEGATIVE_INFINITY);
    }
    softmaxRow(row, row, s, scale);
  }
}

/**
 * out = softmax(scale Q K^T) V for (sample, head) = band. `c` floats from one token to the next; a sample of Q and out has t tokens,
 * of K and V s. `scratch` of a thread: t * s floats and `product`'s room.
 */
export function attention(
  band: i32, thread: i32, q: usize, k: usize, v: usize, out: usize, c: i32,
  t: i32, s: i32, heads: i32, width: i32, scale: f32, mask: usize, kc: i32, kcKeys: i32, scratch: usize, stride: i32,
): void {
  const b = band / heads;
  const h = band % heads * width;
  const p = scratch + <usize>thread * <usize>stride;
  const room = p + (<usize>((t * s + 63) / 64 * 64) << 2);
  const mine = <usize>(b * t * c + h) << 2;
  const keys = <usize>(b * s * c + h) << 2;
  weigh(q + mine, c, k + keys, c, p, t, s, width, kc, scale, mask == 0 ? 0 : mask + <usize>(b * s), room);
  product(p, s, 1, v + keys, c, 1, out + mine, c, t, width, s, kcKeys, false, room);
}

/** Gradients to Q, K and V; the probabilities are computed anew. `scratch`: twice t * s floats and room. */
export function attentionGradient(
  band: i32, thread: i32, dy: usize, q: usize, k: usize, v: usize, dq: usize, dk: usize, dv: usize, c: i32,
  t: i32, s: i32, heads: i32, width: i32, scale: f32, mask: usize, kc: i32, kcKeys: i32, kcTokens: i32, scratch: usize, stride: i32,
): void {
  const b = band / heads;
  const h = band % heads * width;
  const size = <usize>((t * s + 63) / 64 * 64) << 2;
  const p = scratch + <usize>thread * <usize>stride;
  const g = p + size;
  const room = g + size;
  const mine = <usize>(b * t * c + h) << 2;
  const keys = <usize>(b * s * c + h) << 2;
  weigh(q + mine, c, k + keys, c, p, t, s, width, kc, scale, mask == 0 ? 0 : mask + <usize>(b * s), room);
  // dV = P^T dO, dP = dO V^T
  product(p, 1, s, dy + mine, c, 1, dv + keys, c, s, width, t, kcTokens, false, room);
  product(dy + mine, c, 1, v + keys, 1, c, g, s, t, s, width, kc, false, room);
  // dS = scale P (dP - sum over keys of P dP)
  const a = splat(scale);
  for (let i = 0; i < t; i++) {
    const pr = p + (<usize>(i * s) << 2);
    const gr = g + (<usize>(i * s) << 2);
    let sum = splat(0);
    for (let j = 0; j < s; j += 4) {
      const o = <usize>j << 2;
      if (j + 4 <= s) sum = madd(v128.load(pr + o), v128.load(gr + o), sum);
      else sum = madd(loadPart(pr + o, s - j), loadPart(gr + o, s - j), sum);
    }
    const m = splat(sumLanes(sum));
    for (let j = 0; j < s; j += 4) {
      const o = <usize>j << 2;
      if (j + 4 <= s) v128.store(gr + o, f32x4.mul(f32x4.mul(v128.load(pr + o), a), f32x4.sub(v128.load(gr + o), m)));
      else {
        const left = s - j;
        storePart(gr + o, f32x4.mul(f32x4.mul(loadPart(pr + o, left), a), f32x4.sub(loadPart(gr + o, left), m)), left);
      }
    }
  }
  // dQ = dS K, dK = dS^T Q
  product(g, s, 1, k + keys, c, 1, dq + mine, c, t, width, s, kcKeys, false, room);
  product(g, 1, s, q + mine, c, 1, dk + keys, c, s, width, t, kcTokens, false, room);
}
