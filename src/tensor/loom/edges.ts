/** Kernels of `edgeMessage` in src/tensor/edge-message.ts. */
import type { TensorInfo } from '@tensorflow/tfjs-core';
import { allocate, kernel, parallel, release } from '../../compute/index.ts';
import { gemm } from './gemm.ts';
import { define, filled, share } from './kernels.ts';
import { reduceMiddle } from './reduce.ts';

/** Sample by sample, so that a sample's products are still in the cache when the ends are added. */
define('LoomEdgeMessage', ({ edges, weight, outer, inner }, _, backend) => {
  const [batch, outers, inners, k] = edges.shape;
  const n = weight.shape[1];
  const rows = outers * inners;
  const place = (term: TensorInfo | undefined, sample: number) =>
    term ? backend.address(term) + (term.shape[0] === 1 ? 0 : 4 * sample * term.shape[1] * n) : 0;
  return filled(backend, [batch, outers, inners, n], 'float32', y => {
    const each = share(outers, Math.ceil(8192 / (inners * n)));
    for (let sample = 0; sample < batch; sample++) {
      const c = y + 4 * sample * rows * n;
      gemm({
        m: rows,
        n,
        k,
        a: { address: backend.address(edges) + 4 * sample * rows * k, rowStride: k, columnStride: 1 },
        b: { address: backend.address(weight), rowStride: n, columnStride: 1 },
        c,
      });
      const ends = [place(outer, sample), place(inner, sample)];
      parallel(kernel('edgeFinish'), Math.ceil(outers / each), c, ...ends, outers, inners, n, each);
    }
  });
});

/**
 * The gradient to the sum inside the relu, and its sums over the axis of either end (of one number where there is no such end); summed
 * over the batch where an end is the same for all of it.
 */
define('LoomEdgeMessageGradient', ({ dy, y }, { outerBatch, innerBatch }, backend) => {
  const [batch, outers, inners, width] = y.shape;
  const g = backend.output(y.shape);
  const ends = [
    { samples: outerBatch, count: outers },
    { samples: innerBatch, count: inners },
  ].map(({ samples, count }) => ({
    out: backend.output(samples === 0 ? [1] : [samples, count, width]),
    size: count * width,
    absent: samples === 0,
    apart: samples > 0 && samples < batch,
  }));
  const held: number[] = [];
  try {
    const sums = ends.map(({ out, size, absent, apart }) => {
      if (absent) return 0;
      if (apart) held.push(allocate(batch * size * 4));
      return apart ? held[held.length - 1] : backend.address(out);
    });
    // The sums over the inner axis's nodes stay in the first-level cache.
    const most = Math.max(16, Math.floor(4096 / inners / 16) * 16);
    const bands = Math.max(Math.min(Math.ceil(8 / batch), Math.ceil(width / 16)), Math.ceil(width / most));
    const span = Math.ceil(width / bands / 4) * 4;
    const spans = Math.ceil(width / span);
    const addresses = [dy, y, g].map(t => backend.address(t));
    parallel(kernel('edgeSlope'), batch * spans, ...addresses, ...sums, outers, inners, width, spans, span);
    ends.forEach(({ out, size, apart }, i) => {
      if (apart) reduceMiddle(0, sums[i], backend.address(out), 1, batch, size);
    });
  } finally {
    held.forEach(release);
  }
  return [g, ...ends.map(({ out }) => out)];
});
