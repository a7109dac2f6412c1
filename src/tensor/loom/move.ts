/** Transpose, concat, slice, pad, tile, gather, segment sum, sort: kernels that only move 4-byte numbers. */
import { backend_util, slice_util, type TensorInfo, util } from '@tensorflow/tfjs-core';
import { allocate, f32, i32, kernel, parallel, release } from '../../compute/index.ts';
import { withScratch } from './gemm.ts';
import { alias, define, filled, share, sizeOf } from './kernels.ts';
import type { LoomBackend } from './loom-backend.ts';

const ALONE = 8192;

type Wide = 'float32' | 'int32';
const isWide = (...tensors: TensorInfo[]) =>
  tensors.every(t => t.dtype === tensors[0].dtype && (t.dtype === 'float32' || t.dtype === 'int32'));

/** One axis of a box that is copied: strides in elements on either side. */
interface Axis {
  readonly size: number;
  readonly from: number;
  readonly to: number;
}

/** Leaves out axes of size 1 and merges neighbours that are contiguous on both sides. */
function merged(axes: readonly Axis[]): Axis[] {
  const out: Axis[] = [];
  for (const axis of axes) {
    if (axis.size === 1) continue;
    const last = out.at(-1);
    if (last && last.from === axis.from * axis.size && last.to === axis.to * axis.size) {
      out[out.length - 1] = { size: last.size * axis.size, from: axis.from, to: axis.to };
    } else out.push(axis);
  }
  return out;
}

function withAxes(axes: readonly Axis[], work: (description: number) => void): void {
  const description = allocate((1 + 3 * axes.length) * 4);
  try {
    i32(description, 1 + 3 * axes.length).set([axes.length, ...axes.flatMap(x => [x.size, x.from, x.to])]);
    work(description);
  } finally {
    release(description);
  }
}

/** Copies a box, outermost axis first, between two addresses. A plain transposition of its two last axes goes in tiles. */
export function copyBox(from: number, to: number, box: readonly Axis[]): void {
  if (box.some(x => x.size === 0)) return;
  const axes = merged(box);
  const total = axes.reduce((n, x) => n * x.size, 1);
  const inner = axes.at(-1) ?? { size: 1, from: 1, to: 1 };
  const source = axes.findIndex(x => x.from === 1);
  if (inner.to === 1 && inner.from > 1 && source >= 0 && inner.size >= 4 && axes[source].size >= 4) {
    const down = axes[source];
    const outer = axes.filter(x => x !== down && x !== inner);
    const planes = total / (down.size * inner.size);
    const blocks = Math.max(1, Math.min(Math.ceil(8 / planes), Math.floor((down.size * inner.size) / ALONE)));
    const span = Math.ceil(down.size / blocks / 4) * 4;
    withAxes(outer, description =>
      parallel(
        kernel('transposePlanes'),
        planes * Math.ceil(down.size / span),
        from,
        to,
        description,
        down.size,
        inner.size,
        inner.from,
        down.to,
        span,
      ),
    );
    return;
  }
  const rows = total / inner.size;
  const each = share(rows, Math.ceil(ALONE / inner.size));
  withAxes(axes.slice(0, -1), description =>
    parallel(
      kernel('copyBox'),
      Math.ceil(rows / each),
      from,
      to,
      description,
      rows,
      inner.size,
      each,
      inner.from,
      inner.to,
    ),
  );
}

const stridesOf = (shape: readonly number[]): number[] => {
  const strides = new Array<number>(shape.length);
  let step = 1;
  for (let d = shape.length - 1; d >= 0; d--) {
    strides[d] = step;
    step *= shape[d];
  }
  return strides;
};

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

/** The part of x that begins at `begin`, every `step`-th element. */
function cut(
  backend: LoomBackend,
  x: TensorInfo,
  begin: readonly number[],
  size: readonly number[],
  step: readonly number[],
): TensorInfo {
  const strides = stridesOf(x.shape);
  const to = stridesOf(size);
  const offset = begin.reduce((sum, b, d) => sum + b * strides[d], 0);
  return filled(backend, [...size], x.dtype as Wide, out =>
    copyBox(
      backend.address(x) + offset * 4,
      out,
      size.map((n, d) => ({ size: n, from: strides[d] * step[d], to: to[d] })),
    ),
  );
}

define('Slice', ({ x }, { begin, size }, backend) => {
  if (!isWide(x)) return undefined;
  const [first, extent] = slice_util.parseSliceParams(x as never, begin, size);
  slice_util.assertParamsValid(x as never, first, extent);
  return cut(
    backend,
    x,
    first,
    extent,
    extent.map(() => 1),
  );
});

define('SplitV', ({ x }, { numOrSizeSplits, axis }, backend) => {
  if (!isWide(x)) return undefined;
  const d = util.parseAxisParam(axis, x.shape)[0];
  const begin = x.shape.map(() => 0);
  const parts: TensorInfo[] = [];
  for (const length of backend_util.prepareSplitSize(x as never, numOrSizeSplits, d)) {
    const size = [...x.shape];
    size[d] = length;
    parts.push(
      cut(
        backend,
        x,
        begin,
        size,
        size.map(() => 1),
      ),
    );
    begin[d] += length;
  }
  return parts;
});

define('StridedSlice', ({ x }, attributes, backend) => {
  const { begin, end, strides, beginMask, endMask, ellipsisMask, newAxisMask, shrinkAxisMask } = attributes;
  if (!isWide(x)) return undefined;
  const info = slice_util.sliceInfo(
    x.shape,
    begin,
    end,
    strides,
    beginMask,
    endMask,
    ellipsisMask,
    newAxisMask,
    shrinkAxisMask,
  );
  if (info.strides.some(s => s < 0) || info.begin.length !== x.shape.length) return undefined;
  const size = slice_util.computeOutShape(info.begin, info.end, info.strides);
  const part = cut(backend, x, info.begin, size, info.strides);
  return { ...part, shape: info.finalShape };
});

define('Concat', (inputs, { axis }, backend) => {
  const all = inputs as unknown as TensorInfo[];
  if (!isWide(...all)) return undefined;
  const d = util.parseAxisParam(axis, all[0].shape)[0];
  const shapes = all.map(t => t.shape);
  backend_util.assertParamsConsistent(shapes, d);
  const shape = backend_util.computeOutShape(shapes, d);
  const parts = all.filter(t => sizeOf(t) > 0);
  if (parts.length === 1) return alias(backend, parts[0], shape);
  const to = stridesOf(shape);
  return filled(backend, shape, all[0].dtype as Wide, out => {
    let offset = 0;
    for (const part of parts) {
      const from = stridesOf(part.shape);
      copyBox(
        backend.address(part),
        out + offset * to[d] * 4,
        part.shape.map((size, i) => ({ size, from: from[i], to: to[i] })),
      );
      offset += part.shape[d];
    }
  });
});

define('Pack', (inputs, { axis }, backend) => {
  const all = inputs as unknown as TensorInfo[];
  if (!isWide(...all) || sizeOf(all[0]) === 0) return undefined;
  const d = axis < 0 ? axis + all[0].shape.length + 1 : axis;
  const shape = [...all[0].shape.slice(0, d), all.length, ...all[0].shape.slice(d)];
  const outer = util.sizeFromShape(all[0].shape.slice(0, d));
  const inner = sizeOf(all[0]) / outer;
  return filled(backend, shape, all[0].dtype as Wide, out =>
    all.forEach((part, i) => {
      copyBox(backend.address(part), out + i * inner * 4, [
        { size: outer, from: inner, to: inner * all.length },
        { size: inner, from: 1, to: 1 },
      ]);
    }),
  );
});

define('Unpack', ({ value }, { axis }, backend) => {
  if (!isWide(value)) return undefined;
  const d = axis < 0 ? axis + value.shape.length : axis;
  const size = value.shape.map((n, i) => (i === d ? 1 : n));
  return Array.from({ length: value.shape[d] }, (_, i) => {
    const begin = value.shape.map((_, j) => (j === d ? i : 0));
    const part = cut(
      backend,
      value,
      begin,
      size,
      size.map(() => 1),
    );
    return { ...part, shape: size.filter((_, j) => j !== d) };
  });
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

define('PadV2', ({ x }, { paddings, constantValue }, backend) => {
  if (x.dtype !== 'float32') return undefined;
  const pads = paddings as [number, number][];
  const shape = pads.map(([before, after], d) => before + x.shape[d] + after);
  const from = stridesOf(x.shape);
  const to = stridesOf(shape);
  return filled(backend, shape, 'float32', out => {
    f32(out, util.sizeFromShape(shape)).fill(constantValue);
    const offset = pads.reduce((sum, [before], d) => sum + before * to[d], 0);
    copyBox(
      backend.address(x),
      out + offset * 4,
      x.shape.map((size, d) => ({ size, from: from[d], to: to[d] })),
    );
  });
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
    const each = share(rows, Math.ceil(ALONE / info.sliceSize));
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
    const each = rows * width < ALONE ? numSegments : share(numSegments, 1, 8);
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
