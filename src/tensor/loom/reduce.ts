/** Sum, Mean, Max, Min, Prod over any axes, and Softmax. */
import { backend_util, type TensorInfo, util } from '@tensorflow/tfjs-core';
import { allocate, kernel, parallel, release } from '../../compute/index.ts';
import { HEAVY, LIGHT } from './bands.ts';
import { allFloat, define, filled, share, sizeOf } from './kernels.ts';
import type { LoomBackend } from './loom-backend.ts';

const codes = { Sum: 0, Max: 1, Min: 2, Prod: 3, Mean: 0 } as const;

/** Reduces the middle axis of x [outer, length, width] into out [outer, width], on addresses. */
export function reduceMiddle(
  code: number,
  x: number,
  out: number,
  outer: number,
  length: number,
  width: number,
  scale = 1,
): void {
  // A long axis and few results: slices of the axis are reduced apart, then together.
  const slices =
    outer * width <= 4096 && length * outer * width > 2 * LIGHT ? Math.min(16, Math.ceil(length / 64)) : 1;
  if (slices > 1) {
    const slice = Math.ceil(length / slices);
    const count = Math.ceil(length / slice);
    const parts = allocate(outer * count * width * 4);
    try {
      columns(code, x, parts, outer, length, width, slice, 1);
      columns(code, parts, out, outer, count, width, count, scale);
    } finally {
      release(parts);
    }
  } else if (width === 1) {
    const each = share(outer, Math.ceil(LIGHT / Math.max(length, 1)));
    parallel(
      kernel('reduceRows'),
      Math.ceil(outer / each),
      code,
      x,
      out,
      outer,
      length,
      outer * length,
      each,
      scale,
    );
  } else {
    columns(code, x, out, outer, length, width, Math.max(length, 1), scale);
  }
}

function columns(
  code: number,
  x: number,
  out: number,
  outer: number,
  length: number,
  width: number,
  slice: number,
  scale: number,
): void {
  if (width === 1 && (outer === 1 || length % slice === 0)) {
    const rows = outer * Math.ceil(length / slice);
    const each = share(rows, Math.ceil(LIGHT / slice));
    parallel(
      kernel('reduceRows'),
      Math.ceil(rows / each),
      code,
      x,
      out,
      rows,
      slice,
      outer * length,
      each,
      scale,
    );
    return;
  }
  const slices = Math.ceil(length / slice) || 1;
  const entries = outer * slices;
  const across =
    entries >= 8 || slice * width <= LIGHT ? 1 : Math.min(Math.ceil(width / 64), Math.ceil(8 / entries));
  const span = Math.ceil(width / across / 16) * 16;
  const units = entries * Math.ceil(width / span);
  const each = share(units, Math.ceil(LIGHT / (slice * span)));
  parallel(
    kernel('reduceColumns'),
    Math.ceil(units / each),
    code,
    x,
    out,
    length,
    width,
    slice,
    span,
    units,
    each,
    scale,
  );
}

/** Reduces `axes` of x one group of neighbours at a time, the last first. */
function reduce(
  backend: LoomBackend,
  code: number,
  x: TensorInfo,
  axes: number[],
  scale: number,
  out: number,
): void {
  const groups: { outer: number; length: number; width: number }[] = [];
  let shape = x.shape.map((size, d) => ({ size, reduced: axes.includes(d) }));
  const sizes = (part: typeof shape) => part.reduce((product, { size }) => product * size, 1);
  for (
    let last = shape.findLastIndex(s => s.reduced);
    last >= 0;
    last = shape.findLastIndex(s => s.reduced)
  ) {
    let first = last;
    while (first > 0 && shape[first - 1].reduced) first--;
    groups.push({
      outer: sizes(shape.slice(0, first)),
      length: sizes(shape.slice(first, last + 1)),
      width: sizes(shape.slice(last + 1)),
    });
    shape = [...shape.slice(0, first), ...shape.slice(last + 1)];
  }
  let from = backend.address(x);
  const held: number[] = [];
  try {
    groups.forEach(({ outer, length, width }, i) => {
      const final = i === groups.length - 1;
      const to = final ? out : allocate(outer * width * 4);
      if (!final) held.push(to);
      reduceMiddle(code, from, to, outer, length, width, final ? scale : 1);
      from = to;
    });
  } finally {
    held.forEach(release);
  }
}

for (const name of Object.keys(codes) as (keyof typeof codes)[]) {
  define(name, ({ x }, { axis, reductionIndices, keepDims }, backend) => {
    if (!allFloat(x) || sizeOf(x) === 0) return undefined;
    const axes = util.parseAxisParam(axis ?? reductionIndices, x.shape);
    const [kept, reducedShape] = backend_util.computeOutAndReduceShapes(x.shape, axes);
    const count = util.sizeFromShape(reducedShape);
    const shape = keepDims ? backend_util.expandShapeToKeepDim(kept, axes) : kept;
    return filled(backend, shape, 'float32', out => {
      if (axes.length === 0) {
        parallel(kernel('reduceRows'), 1, 0, backend.address(x), out, sizeOf(x), 1, sizeOf(x), sizeOf(x), 1);
      } else {
        reduce(backend, codes[name], x, axes, name === 'Mean' ? 1 / count : 1, out);
      }
    });
  });
}

define('Softmax', ({ logits }, { dim }, backend) => {
  const rank = logits.shape.length;
  if (!allFloat(logits) || (dim !== -1 && dim !== rank - 1)) return undefined;
  const length = logits.shape[rank - 1];
  const rows = sizeOf(logits) / length;
  return filled(backend, logits.shape, 'float32', out => {
    const each = share(rows, Math.ceil(HEAVY / length));
    parallel(kernel('softmax'), Math.ceil(rows / each), backend.address(logits), out, rows, length, each);
  });
});
