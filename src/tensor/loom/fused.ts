/** Kernels of layer normalisation and attention for src/tensor/fused.ts. Names of our own. */
import type { TensorInfo } from '@tensorflow/tfjs-core';
import { allocate, kernel, parallel, release } from '../../compute/index.ts';
import { blockOf, tileRows, withScratch } from './gemm.ts';
import { define, filled, lastOf, share, sizeOf } from './kernels.ts';
import type { LoomBackend } from './loom-backend.ts';
import { reduceMiddle } from './reduce.ts';

const normShare = (rows: number, length: number) => share(rows, Math.ceil(4096 / length));

/** Outputs y and the moments [rows, 2] that the gradient needs. */
define('LoomLayerNorm', ({ x, gain, bias }, { epsilon }, backend) => {
  const length = lastOf(x);
  const rows = sizeOf(x) / length;
  const y = backend.output(x.shape);
  const moments = backend.output([rows, 2]);
  const each = normShare(rows, length);
  parallel(
    kernel('layerNorm'),
    Math.ceil(rows / each),
    backend.address(x),
    backend.address(gain),
    backend.address(bias),
    backend.address(y),
    backend.address(moments),
    rows,
    length,
    each,
    epsilon,
  );
  return [y, moments];
});

/** Gradients to x, gain and bias. */
define('LoomLayerNormGradient', ({ dy, x, gain, moments }, _, backend) => {
  const length = lastOf(x);
  const rows = sizeOf(x) / length;
  const each = normShare(rows, length);
  const bands = Math.ceil(rows / each);
  const dx = backend.output(x.shape);
  const sums = [backend.output(gain.shape), backend.output(gain.shape)];
  const parts = allocate(bands * 2 * length * 4);
  try {
    parallel(
      kernel('layerNormGradient'),
      bands,
      backend.address(dy),
      backend.address(x),
      backend.address(gain),
      backend.address(moments),
      backend.address(dx),
      parts,
      rows,
      length,
      each,
    );
    for (const [i, sum] of sums.entries()) {
      reduceMiddle(0, parts + i * bands * length * 4, backend.address(sum), 1, bands, length);
    }
  } finally {
    release(parts);
  }
  return [dx, ...sums];
});

/** Bytes of a thread's panels for products of these sizes. */
function room(t: number, s: number, width: number): number {
  const up = (x: number, step: number) => Math.ceil(x / step) * step;
  const most = (m: number, n: number, k: number) => (up(m, tileRows()) + up(n, 8)) * blockOf(k);
  return 4 * (128 + Math.max(most(t, s, width), most(t, width, s), most(s, width, t)));
}

const probabilities = (t: number, s: number) => Math.ceil((t * s) / 64) * 256;

/** softmax(Q K^T / sqrt d) V of every head. */
export function attention(
  backend: LoomBackend,
  q: TensorInfo,
  k: TensorInfo,
  v: TensorInfo,
  heads: number,
  mask?: TensorInfo,
): TensorInfo {
  const [batch, t, c] = q.shape;
  const s = k.shape[1];
  const width = c / heads;
  return filled(backend, q.shape, 'float32', out =>
    withScratch(probabilities(t, s) + room(t, s, width), (scratch, stride) =>
      parallel(
        kernel('attention'),
        batch * heads,
        backend.address(q),
        backend.address(k),
        backend.address(v),
        out,
        c,
        t,
        s,
        heads,
        width,
        1 / Math.sqrt(width),
        mask ? backend.address(mask) : 0,
        blockOf(width),
        blockOf(s),
        scratch,
        stride,
      ),
    ),
  );
}

/** Gradients to queries, keys and values. */
export function attentionGradient(
  backend: LoomBackend,
  dy: TensorInfo,
  q: TensorInfo,
  k: TensorInfo,
  v: TensorInfo,
  heads: number,
  mask?: TensorInfo,
): TensorInfo[] {
  const [batch, t, c] = q.shape;
  const s = k.shape[1];
  const width = c / heads;
  const out = [q, k, v].map(x => backend.output(x.shape));
  withScratch(2 * probabilities(t, s) + room(t, s, width), (scratch, stride) =>
    parallel(
      kernel('attentionGradient'),
      batch * heads,
      ...[dy, q, k, v, ...out].map(x => backend.address(x)),
      c,
      t,
      s,
      heads,
      width,
      1 / Math.sqrt(width),
      mask ? backend.address(mask) : 0,
      blockOf(width),
      blockOf(s),
      blockOf(t),
      scratch,
      stride,
    ),
  );
  return out;
}

// tfjs saves a varying number of inputs only when they come as a list.
define('LoomAttention', (inputs, { heads }, backend) => {
  const [q, k, v, mask] = Object.values(inputs);
  return attention(backend, q, k, v, heads, mask);
});

define('LoomAttentionGradient', (inputs, { heads }, backend) => {
  const [dy, q, k, v, mask] = Object.values(inputs);
  return attentionGradient(backend, dy, q, k, v, heads, mask);
});
