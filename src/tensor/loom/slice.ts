/** Cutting tensors apart and putting them together: slices, splits, concatenation, stacking, padding. */
import { backend_util, slice_util, type TensorInfo, util } from '@tensorflow/tfjs-core';
import { f32 } from '../../compute/index.ts';
import { copyBox, isWide, stridesOf, type Wide } from './box.ts';
import { alias, define, filled, sizeOf } from './kernels.ts';
import type { LoomBackend } from './loom-backend.ts';

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
