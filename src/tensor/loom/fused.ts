/** Kernels of the fused operators in src/tensor/fused.ts: linear layer, layer normalisation, attention. Names of our own. */
import type { TensorInfo } from '@tensorflow/tfjs-core';
import { allocate, kernel, parallel, release } from '../../compute/index.ts';
import { blockOf, gemm, tileRows, withScratch } from './gemm.ts';
import { define, filled, share, sizeOf } from './kernels.ts';
import { reduceMiddle } from './reduce.ts';

const lastOf = (t: TensorInfo) => t.shape[t.shape.length - 1];

/** y = x W + b on the last axis. */
define('LoomLinear', ({ x, weight, bias }, _, backend) => {
  const [k, n] = weight.shape;
  const m = sizeOf(x) / k;
  return filled(backend, [...x.shape.slice(0, -1), n], 'float32', c =>
    gemm({
      m,
      n,
      k,
      a: { address: backend.address(x), rowStride: k, columnStride: 1 },
      b: { address: backend.address(weight), rowStride: n, columnStride: 1 },
      c,
      bias: bias ? backend.address(bias) : 0,
    }),
  );
});

/** dx = dy W^T */
define('LoomLinearInput', ({ dy, weight }, _, backend) => {
  const [k, n] = weight.shape;
  return filled(backend, [...dy.shape.slice(0, -1), k], 'float32', c =>
    gemm({
      m: sizeOf(dy) / n,
      n: k,
      k: n,
      a: { address: backend.address(dy), rowStride: n, columnStride: 1 },
      b: { address: backend.address(weight), rowStride: 1, columnStride: n },
      c,
    }),
  );
});

/** dW = x^T dy over all rows */
define('LoomLinearWeight', ({ x, dy }, _, backend) => {
  const k = lastOf(x);
  const n = lastOf(dy);
  return filled(backend, [k, n], 'float32', c =>
    gemm({
      m: k,
      n,
      k: sizeOf(x) / k,
      a: { address: backend.address(x), rowStride: 1, columnStride: k },
      b: { address: backend.address(dy), rowStride: n, columnStride: 1 },
      c,
    }),
  );
});

/** db = sum of dy over all rows */
define('LoomLinearBias', ({ dy }, _, backend) => {
  const n = lastOf(dy);
  return filled(backend, [n], 'float32', out =>
    reduceMiddle(0, backend.address(dy), out, 1, sizeOf(dy) / n, n),
  );
});

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

/** Gradients to x and to the gain. */
define('LoomLayerNormGradient', ({ dy, x, gain, moments }, _, backend) => {
  const length = lastOf(x);
  const rows = sizeOf(x) / length;
  const each = normShare(rows, length);
  const bands = Math.ceil(rows / each);
  const dx = backend.output(x.shape);
  const dGain = backend.output(gain.shape);
  const parts = allocate(bands * length * 4);
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
    reduceMiddle(0, parts, backend.address(dGain), 1, bands, length);
  } finally {
    release(parts);
  }
  return [dx, dGain];
});

/** Bytes of a thread's panels for products of these sizes. */
function room(t: number, s: number, width: number): number {
  const up = (x: number, step: number) => Math.ceil(x / step) * step;
  const most = (m: number, n: number, k: number) => (up(m, tileRows()) + up(n, 8)) * blockOf(k);
  return 4 * (128 + Math.max(most(t, s, width), most(t, width, s), most(s, width, t)));
}

const probabilities = (t: number, s: number) => Math.ceil((t * s) / 64) * 256;

define('LoomAttention', (inputs, { heads }, backend) => {
  // tfjs saves a varying number of inputs only when they come as a list.
  const [q, k, v, mask] = Object.values(inputs);
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
});

/** Gradients to queries, keys and values. */
define('LoomAttentionGradient', (inputs, { heads }, backend) => {
  const [dy, q, k, v, mask] = Object.values(inputs);
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
});
