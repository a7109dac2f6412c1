/** Sums over an axis, running sums, and sums by segment, each in one order. */
import type { TensorInfo } from '@tensorflow/tfjs-core';
import { backend_util, util } from '@tensorflow/tfjs-core';
import type { LoomGpuBackend } from './backend.ts';
import { define } from './kernels.ts';
import { flat, perItem, type Shader, sizeOf, words } from './shader.ts';

/** Numbers that one thread adds, where there are many threads' worth. */
const CHUNK = 32;

/** [outer, length, inner] to [outer, parts, inner]. `numbers`: outer, length, inner, parts, chunk. */
const SUM = perItem(
  'sum',
  { outputs: ['y'], inputs: ['x'] },
  `
  let length = numbers[1]; let inner = numbers[2]; let parts = numbers[3];
  let i = item % inner;
  let part = (item / inner) % parts;
  let o = item / (inner * parts);
  let begin = part * numbers[4];
  var sum = 0.0;
  for (var r = begin; r < min(begin + numbers[4], length); r++) { sum += x[(o * length + r) * inner + i]; }
  y[item] = sum;`,
  'numbers[0] * numbers[2] * numbers[3]',
);

/** What `sumMiddle` runs. */
export const SUMS: readonly Shader[] = [SUM];

/** Sums [outer, length, inner] over its middle axis, in steps of some numbers each. */
export function sumMiddle(
  backend: LoomGpuBackend,
  x: TensorInfo,
  outer: number,
  length: number,
  inner: number,
  shape: readonly number[],
): TensorInfo {
  let from = x;
  for (let rest = length; ; ) {
    const parts = Math.max(1, Math.ceil(rest / CHUNK));
    const to = backend.output(parts === 1 ? shape : [outer, parts, inner]);
    backend.compute(SUM, [from], [to], words(outer, rest, inner, parts, CHUNK), flat(outer * parts * inner));
    if (from !== x) backend.drop(from);
    from = to;
    if (parts === 1) return to;
    rest = parts;
  }
}

define('Sum', SUMS, ({ x }, { axis, keepDims }, backend) => {
  if (x.dtype !== 'float32' || sizeOf(x) === 0) return undefined;
  const axes = util.parseAxisParam(axis, x.shape).sort((a, b) => a - b);
  const [first] = axes;
  // Neighbouring axes are one.
  if (axes.length === 0 || axes.some((a, i) => a !== first + i)) return undefined;
  const [shape] = backend_util.computeOutAndReduceShapes(x.shape, axes);
  const kept = keepDims ? backend_util.expandShapeToKeepDim(shape, axes) : shape;
  const product = (sizes: number[]) => sizes.reduce((a, b) => a * b, 1);
  const last = first + axes.length;
  return sumMiddle(
    backend,
    x,
    product(x.shape.slice(0, first)),
    product(x.shape.slice(first, last)),
    product(x.shape.slice(last)),
    kept,
  );
});

/** `numbers`: lines, length, inner, exclusive, reverse. */
const CUMSUM = perItem(
  'running sum',
  { outputs: ['y'], inputs: ['x'] },
  `
  let length = numbers[1]; let inner = numbers[2];
  let start = (item / inner) * length * inner + item % inner;
  var sum = 0.0;
  for (var t = 0u; t < length; t++) {
    let at = start + select(t, length - 1u - t, numbers[4] == 1u) * inner;
    let v = x[at];
    y[at] = select(sum + v, sum, numbers[3] == 1u);
    sum += v;
  }`,
);

define(
  'Cumsum',
  [CUMSUM],
  ({ x }, { axis, exclusive, reverse }, backend) => {
    if (x.dtype !== 'float32') return undefined;
    const [along] = util.parseAxisParam(axis, x.shape);
    const length = x.shape[along];
    const inner = x.shape.slice(along + 1).reduce((a, b) => a * b, 1);
    const y = backend.output(x.shape);
    const lines = length === 0 ? 0 : sizeOf(x) / length;
    backend.compute(
      CUMSUM,
      [x],
      [y],
      words(lines, length, inner, exclusive ? 1 : 0, reverse ? 1 : 0),
      flat(lines),
    );
    return y;
  },
  { needed: true },
);

/** Each sum goes through all ids in order: no two threads add to one number. `numbers`: segments, ids, inner. */
const SEGMENTS = perItem(
  'segment sum',
  { outputs: ['y'], inputs: ['x', 'ids: i32'] },
  `
  let inner = numbers[2];
  let segment = i32(item / inner);
  var sum = 0.0;
  for (var r = 0u; r < numbers[1]; r++) {
    if (ids[r] == segment) { sum += x[r * inner + item % inner]; }
  }
  y[item] = sum;`,
  'numbers[0] * numbers[2]',
);

define('UnsortedSegmentSum', [SEGMENTS], ({ x, segmentIds }, { numSegments }, backend) => {
  if (x.dtype !== 'float32' || segmentIds.shape.length !== 1) return undefined;
  const inner = x.shape.slice(1).reduce((a, b) => a * b, 1);
  const y = backend.output([numSegments, ...x.shape.slice(1)]);
  backend.compute(
    SEGMENTS,
    [x, segmentIds],
    [y],
    words(numSegments, x.shape[0], inner),
    flat(numSegments * inner),
  );
  return y;
});
