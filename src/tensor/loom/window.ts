/** A window that moves over NHWC pictures, as the kernels of pools and depthwise convolutions take it. */
import type { backend_util } from '@tensorflow/tfjs-core';

export type Window = backend_util.Conv2DInfo;

/** The numbers that follow the addresses; dilations come last, and a pool has none. */
export const geometryOf = (w: Window): number[] => [
  w.inHeight,
  w.inWidth,
  w.inChannels,
  w.outHeight,
  w.outWidth,
  w.filterHeight,
  w.filterWidth,
  w.strideHeight,
  w.strideWidth,
  w.padInfo.top,
  w.padInfo.left,
];

/**
 * Whether an operator is left to tfjs-backend-cpu: the window is larger than the picture without padding, which gives shapes below zero there, or
 * no picture. What tfjs makes of those is its own affair; the kernels would take a length below zero for one without end.
 */
export const isBeyond = (w: Window): boolean =>
  w.outHeight < 1 || w.outWidth < 1 || w.inHeight < 1 || w.inWidth < 1;

/** Whether some window lies in the padding whole: a pool has nothing to pool there. */
export function hasEmptyWindow(w: Window): boolean {
  const axis = (length: number, outputs: number, stride: number, taps: number, before: number) =>
    before >= taps || (outputs - 1) * stride - before >= length;
  return (
    isBeyond(w) ||
    axis(w.inHeight, w.outHeight, w.strideHeight, w.effectiveFilterHeight, w.padInfo.top) ||
    axis(w.inWidth, w.outWidth, w.strideWidth, w.effectiveFilterWidth, w.padInfo.left)
  );
}
