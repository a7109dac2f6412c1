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
 * out = softmax(scale Q K^T) V for (sample, head) = band. Strides are floats from one token to the next; a sample of Q and out has
 * t tokens, of K and V s. `scratch` of a thread: t * s floats and `product`'s room.
 */
export function attention(
  band: i32, thread: i32, q: usize, qs: i32, k: usize, ks: i32, v: usize, vs: i32, out: usize, os: i32,
  t: i32, s: i32, heads: i32, width: i32, scale: f32, mask: usize, kc: i32, kcKeys: i32, scratch: usize, stride: i32,
): void {
  const b = band / heads;
  const h = band % heads * width;
  const p = scratch + <usize>thread * <usize>stride;
  const room = p + (<usize>(t * s + 63) / 64 * 64 << 2);
  weigh(
    q + (<usize>(b * t * qs + h) << 2), qs, k + (<usize>(b * s * ks + h) << 2), ks, p, t, s, width, kc, scale,
    mask == 0 ? 0 : mask + <usize>(b * s), room,
  );
  product(
    p, s, 1, v + (<usize>(b * s * vs + h) << 2), vs, 1, out + (<usize>(b * t * os + h) << 2), os, t, width, s, kcKeys, false, room,
  );
}

/** Gradients to Q, K and V (laid out like them); the probabilities are computed anew. `scratch`: twice t * s floats and room. */
export function attentionGradient(
  band: i32, thread: i32, dy: usize, ds: i32, q: usize, qs: i32, k: usize, ks: i32, v: usize, vs: i32,
  dq: usize, dqs: i32, dk: usize, dks: i32, dv: usize, dvs: i32,
  t: i32, s: i32, heads: i32, width: i32, scale: f32, mask: usize, kc: i32, kcKeys: i32, kcTokens: i32, scratch: usize, stride: i32,
): void {
  const b = band / heads;
  const h = band % heads * width;
  const p = scratch + <usize>thread * <usize>stride;
  const g = p + (<usize>(t * s + 63) / 64 * 64 << 2);
  const room = g + (<usize>(t * s + 63) / 64 * 64 << 2);
  const Q = q + (<usize>(b * t * qs + h) << 2);
  const K = k + (<usize>(b * s * ks + h) << 2);
  const V = v + (<usize>(b * s * vs + h) << 2);
  const D = dy + (<usize>(b * t * ds + h) << 2);
  weigh(Q, qs, K, ks, p, t, s, width, kc, scale, mask == 0 ? 0 : mask + <usize>(b * s), room);
  // dV = P^T dO, dP = dO V^T
  product(p, 1, s, D, ds, 1, dv + (<usize>(b * s * dvs + h) << 2), dvs, s, width, t, kcTokens, false, room);
  product(D, ds, 1, V, 1, vs, g, s, t, s, width, kc, false, room);
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
  product(g, s, 1, K, ks, 1, dq + (<usize>(b * t * dqs + h) << 2), dqs, t, width, s, kcKeys, false, room);
  product(g, 1, s, Q, qs, 1, dk + (<usize>(b * s * dks + h) << 2), dks, s, width, t, kcTokens, false, room);
}
