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
