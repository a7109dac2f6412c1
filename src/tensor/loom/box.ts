/** Copies of boxes: every kernel that only moves 4-byte numbers from one regular arrangement to another. */
import type { TensorInfo } from '@tensorflow/tfjs-core';
import { allocate, i32, kernel, parallel, release } from '../../compute/index.ts';
import { LIGHT } from './bands.ts';
import { share } from './kernels.ts';

export type Wide = 'float32' | 'int32';
export const isWide = (...tensors: TensorInfo[]) =>
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
    const blocks = Math.max(1, Math.min(Math.ceil(8 / planes), Math.floor((down.size * inner.size) / LIGHT)));
    const span = Math.ceil(down.size / blocks / 4) * 4;
    const units = planes * Math.ceil(down.size / span);
    const each = share(units, Math.ceil(LIGHT / (span * inner.size)));
    const sizes = [down.size, inner.size, inner.from, down.to, span, units, each];
    withAxes(outer, description =>
      parallel(kernel('transposePlanes'), Math.ceil(units / each), from, to, description, ...sizes),
    );
    return;
  }
  const rows = total / inner.size;
  const each = share(rows, Math.ceil(LIGHT / inner.size));
  const sizes = [rows, inner.size, each, inner.from, inner.to];
  withAxes(axes.slice(0, -1), description =>
    parallel(kernel('copyBox'), Math.ceil(rows / each), from, to, description, ...sizes),
  );
}

/** Elements from one place of an axis to the next, for every axis. */
export const stridesOf = (shape: readonly number[]): number[] => {
  const strides = new Array<number>(shape.length);
  let step = 1;
  for (let d = shape.length - 1; d >= 0; d--) {
    strides[d] = step;
    step *= shape[d];
  }
  return strides;
};
