/** Transpose, reverse, tile, gather, segment sum, sort. */
import { backend_util, util } from '@tensorflow/tfjs-core';
import { i32, kernel, parallel } from '../../compute/index.ts';
import { LIGHT } from './bands.ts';
import { copyBox, isWide, stridesOf, type Wide } from './box.ts';
import { withScratch } from './gemm.ts';
import { define, filled, share, sizeOf } from './kernels.ts';
import './slice.ts';

define('Transpose', ({ x }, { perm }, backend) => {
  if (!isWide(x)) return undefined;
  const strides = stridesOf(x.shape);
  const shape = (perm as number[]).map(d => x.shape[d]);
  const to = stridesOf(shape);
  return filled(backend, shape, x.dtype as Wide, out =>
    copyBox(
      backend.address(x),
      out,
      shape.map((size, i) => ({ size, from: strides[perm[i]], to: to[i] })),
    ),
  );
});

define('Reverse', ({ x }, { dims }, backend) => {
  if (!isWide(x) || x.shape.length === 0) return undefined;
  const turned = util.parseAxisParam(dims, x.shape);
  const strides = stridesOf(x.shape);
  const end = turned.reduce((sum, d) => sum + (x.shape[d] - 1) * strides[d], 0);
  return filled(backend, x.shape, x.dtype as Wide, out =>
    copyBox(
      backend.address(x) + end * 4,
      out,
      x.shape.map((size, d) => ({
        size,
        from: turned.includes(d) ? -strides[d] : strides[d],
        to: strides[d],
      })),
    ),
  );
});

define('Tile', ({ x }, { reps }, backend) => {
  if (!isWide(x)) return undefined;
  const times = reps as number[];
  const shape = x.shape.map((n, d) => n * times[d]);
  const from = stridesOf(x.shape);
  const to = stridesOf(shape);
  return filled(backend, shape, x.dtype as Wide, out =>
    copyBox(
      backend.address(x),
      out,
      x.shape.flatMap((size, d) => [
        { size: times[d], from: 0, to: size * to[d] },
        { size, from: from[d], to: to[d] },
      ]),
    ),
  );
});

define('GatherV2', ({ x, indices }, { axis, batchDims }, backend) => {
  if (!isWide(x) || indices.dtype !== 'int32') return undefined;
  const d = util.parseAxisParam(axis, x.shape)[0];
  const batch = batchDims ?? 0;
  const info = backend_util.segment_util.collectGatherOpShapeInfo(x as never, indices as never, d, batch);
  const size = x.shape[d];
  const index = i32(backend.address(indices), sizeOf(indices));
  for (const i of index) {
    util.assert(i >= 0 && i < size, () => `GatherV2: the index value ${i} is not in [0, ${size - 1}]`);
  }
  const count = sizeOf(indices) / info.batchSize;
  const rows = info.batchSize * info.outerSize * count;
  return filled(backend, info.outputShape, x.dtype as Wide, out => {
    if (rows === 0 || info.sliceSize === 0) return;
    const each = share(rows, Math.ceil(LIGHT / info.sliceSize));
    parallel(
      kernel('gatherRows'),
      Math.ceil(rows / each),
      backend.address(x),
      backend.address(indices),
      out,
      rows,
      count,
      size,
      info.sliceSize,
      batch > 0 ? info.outerSize : rows,
      each,
    );
  });
});

define('UnsortedSegmentSum', ({ x, segmentIds }, { numSegments }, backend) => {
  if (x.dtype !== 'float32' || segmentIds.dtype !== 'int32' || segmentIds.shape.length !== 1)
    return undefined;
  if (segmentIds.shape[0] !== x.shape[0]) return undefined;
  const rows = x.shape[0];
  const width = util.sizeFromShape(x.shape.slice(1));
  return filled(backend, [numSegments, ...x.shape.slice(1)], 'float32', out => {
    if (numSegments * width === 0) return;
    const each = rows * width < LIGHT ? numSegments : share(numSegments, 1, 8);
    const bands = Math.ceil(numSegments / each);
    const ids = backend.address(segmentIds);
    parallel(kernel('segmentSum'), bands, backend.address(x), ids, out, rows, width, numSegments, each);
  });
});

define('TopK', ({ x }, { k }, backend) => {
  const length = x.shape.at(-1) ?? 0;
  if (x.dtype !== 'float32' || k === 0 || length === 0) return undefined;
  util.assert(k <= length, () => `TopK: k is ${k}, more than the last axis of ${length}`);
  const rows = sizeOf(x) / length;
  const shape = [...x.shape.slice(0, -1), k];
  const values = backend.output(shape, 'float32');
  const indices = backend.output(shape, 'int32');
  const each = share(rows, Math.ceil(1024 / length));
  withScratch(1024 + 16 * length, (scratch, stride) =>
    parallel(
      kernel('sortRows'),
      Math.ceil(rows / each),
      backend.address(x),
      backend.address(values),
      backend.address(indices),
      rows,
      length,
      k,
      each,
      scratch,
      stride,
    ),
  );
  return [values, indices];
});
