/** Multi-head attention without its projections, and its gradient; heads lie side by side in the last axis. */
import type { TensorInfo } from '@tensorflow/tfjs-core';
import type { LoomGpuBackend } from './backend.ts';
import { type Matrix, multiply, PRODUCTS } from './gemm.ts';
import { define } from './kernels.ts';
import { SOFTMAXES, softmax, softmaxGradient } from './norm.ts';
import type { Shader } from './shader.ts';

interface Sizes {
  readonly batch: number;
  readonly heads: number;
  readonly t: number;
  readonly s: number;
  readonly d: number;
}
const sizesOf = (q: TensorInfo, k: TensorInfo, heads: number): Sizes => ({
  batch: q.shape[0],
  heads,
  t: q.shape[1],
  s: k.shape[1],
  d: q.shape[2] / heads,
});

/** A head of [B, T, C] as a matrix [T, d]. */
const headOf = (tensor: TensorInfo, d: number): Matrix => {
  const [, rows, width] = tensor.shape;
  return { tensor, row: width, column: 1, batch: rows * width, head: d };
};
/** A head of [B, heads, T, S] as a matrix [T, S]. */
const scoreOf = (tensor: TensorInfo): Matrix => {
  const [, heads, t, s] = tensor.shape;
  return { tensor, row: s, column: 1, batch: heads * t * s, head: t * s };
};
const turned = (m: Matrix): Matrix => ({ ...m, row: m.column, column: m.row });

/** softmax(Q K^T / sqrt d) [B, heads, T, S] */
function seen(
  backend: LoomGpuBackend,
  q: TensorInfo,
  k: TensorInfo,
  mask: TensorInfo | undefined,
  sizes: Sizes,
) {
  const { batch, heads, t, s, d } = sizes;
  const scores = backend.output([batch, heads, t, s]);
  const product = { m: t, n: s, k: d, batches: batch, heads, factor: 1 / Math.sqrt(d) };
  multiply(backend, headOf(q, d), turned(headOf(k, d)), scoreOf(scores), product);
  const p = softmax(backend, scores, mask, heads * t);
  backend.drop(scores);
  return p;
}

/** What attention and its gradient run. */
export const SHADERS: readonly Shader[] = [...PRODUCTS, ...SOFTMAXES];

type Three = readonly [q: TensorInfo, k: TensorInfo, v: TensorInfo];

/** softmax(Q K^T / sqrt d) V of every head. */
export function attention(
  backend: LoomGpuBackend,
  [q, k, v]: Three,
  heads: number,
  mask?: TensorInfo,
): TensorInfo {
  const sizes = sizesOf(q, k, heads);
  const { batch, t, s, d } = sizes;
  const p = seen(backend, q, k, mask, sizes);
  const out = backend.output(q.shape);
  multiply(backend, scoreOf(p), headOf(v, d), headOf(out, d), { m: t, n: d, k: s, batches: batch, heads });
  backend.drop(p);
  return out;
}

/** Gradients to q, k and v. */
export function attentionGradient(
  backend: LoomGpuBackend,
  dy: TensorInfo,
  [q, k, v]: Three,
  heads: number,
  mask?: TensorInfo,
): TensorInfo[] {
  const sizes = sizesOf(q, k, heads);
  const { batch, t, s, d } = sizes;
  const many = { batches: batch, heads };
  const p = seen(backend, q, k, mask, sizes);
  const dp = backend.output(p.shape);
  multiply(backend, headOf(dy, d), turned(headOf(v, d)), scoreOf(dp), { m: t, n: s, k: d, ...many });
  const ds = softmaxGradient(backend, p, dp, 1 / Math.sqrt(d));
  const [dq, dk, dv] = [backend.output(q.shape), backend.output(k.shape), backend.output(v.shape)];
  multiply(backend, scoreOf(ds), headOf(k, d), headOf(dq, d), { m: t, n: d, k: s, ...many });
  multiply(backend, turned(scoreOf(ds)), headOf(q, d), headOf(dk, d), { m: s, n: d, k: t, ...many });
  multiply(backend, turned(scoreOf(p)), headOf(dy, d), headOf(dv, d), { m: s, n: d, k: t, ...many });
  backend.drop(p, dp, ds);
  return [dq, dk, dv];
}

define('LoomAttention', SHADERS, (inputs, { heads }, backend) => {
  const [q, k, v, mask] = Object.values(inputs);
  return attention(backend, [q, k, v], heads, mask);
});

define('LoomAttentionGradient', SHADERS, (inputs, { heads }, backend) => {
  const [dy, q, k, v, mask] = Object.values(inputs);
  return attentionGradient(backend, dy, [q, k, v], heads, mask);
});
