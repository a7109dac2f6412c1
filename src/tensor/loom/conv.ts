/** 2-D convolutions of NHWC pictures with both gradients, plain and fused. Other layouts go to tfjs-backend-cpu. */
import { backend_util, type TensorInfo, util } from '@tensorflow/tfjs-core';
import { allocate, release } from '../../compute/index.ts';
import { activate } from './activate.ts';
import { copyBox } from './box.ts';
import { type Convolution, convolve } from './convolution.ts';
import { filterGradient } from './direct.ts';
import { gemm, rowMajor } from './gemm.ts';
import { allFloat, define, filled } from './kernels.ts';
import type { LoomBackend } from './loom-backend.ts';
import { isBeyond, type Window } from './window.ts';

/** A 1 x 1 convolution that moves by one pixel is a matrix product. */
const isProduct = (w: Window) =>
  w.filterHeight === 1 &&
  w.filterWidth === 1 &&
  w.strideHeight === 1 &&
  w.strideWidth === 1 &&
  w.inHeight === w.outHeight &&
  w.inWidth === w.outWidth;

const pixelsOf = (w: Window) => w.batchSize * w.outHeight * w.outWidth;

function forward(
  backend: LoomBackend,
  x: TensorInfo,
  filter: TensorInfo,
  w: Window,
  bias = 0,
  relu = false,
): TensorInfo {
  return filled(backend, w.outShape, 'float32', out => {
    if (util.sizeFromShape(w.outShape) === 0) return;
    const [n, k] = [w.outChannels, w.inChannels];
    if (isProduct(w)) {
      const a = rowMajor(backend.address(x), k);
      const b = rowMajor(backend.address(filter), n);
      gemm({ m: pixelsOf(w), n, k, a, b, c: out, bias, relu });
      return;
    }
    convolve({
      x: backend.address(x),
      filter: backend.address(filter),
      out,
      images: w.batchSize,
      from: [w.inHeight, w.inWidth, k],
      to: [w.outHeight, w.outWidth, n],
      taps: [w.filterHeight, w.filterWidth],
      stride: [w.strideHeight, w.strideWidth],
      step: [w.dilationHeight, w.dilationWidth],
      offset: [-w.padInfo.top, -w.padInfo.left],
      divide: [1, 1],
      bias,
      relu,
    });
  });
}

/** Gradient to the input: a convolution of dy by the filter with its input and output channels exchanged, tap by tap, and steps turned. */
function inputGradient(dy: number, filter: number, dx: number, w: Window): void {
  const [n, k] = [w.outChannels, w.inChannels];
  if (isProduct(w)) {
    gemm({ m: pixelsOf(w), n: k, k: n, a: rowMajor(dy, n), b: rowMajor(filter, n, true), c: dx });
    return;
  }
  const taps = w.filterHeight * w.filterWidth;
  const turned = allocate(taps * k * n * 4);
  try {
    copyBox(filter, turned, [
      { size: taps, from: k * n, to: k * n },
      { size: n, from: 1, to: k },
      { size: k, from: n, to: 1 },
    ]);
    const convolution: Convolution = {
      x: dy,
      filter: turned,
      out: dx,
      images: w.batchSize,
      from: [w.outHeight, w.outWidth, n],
      to: [w.inHeight, w.inWidth, k],
      taps: [w.filterHeight, w.filterWidth],
      stride: [1, 1],
      step: [-w.dilationHeight, -w.dilationWidth],
      offset: [w.padInfo.top, w.padInfo.left],
      divide: [w.strideHeight, w.strideWidth],
    };
    convolve(convolution);
  } finally {
    release(turned);
  }
}

/** The window of a convolution with these attributes of tfjs. */
export const infoOf = (
  inShape: number[],
  filterShape: number[],
  // biome-ignore lint/suspicious/noExplicitAny: attributes of tfjs kernels have no type
  { strides, pad, dilations, dimRoundingMode, dataFormat }: any,
  depthwise = false,
): Window =>
  backend_util.computeConv2DInfo(
    inShape as [number, number, number, number],
    filterShape as [number, number, number, number],
    strides,
    dilations ?? 1,
    pad,
    dimRoundingMode,
    depthwise,
    backend_util.convertConv2DDataFormat(dataFormat ?? 'NHWC'),
  );

const isNhwc = (dataFormat: string | undefined) => dataFormat === undefined || dataFormat === 'NHWC';

define('Conv2D', ({ x, filter }, attributes, backend) => {
  if (!allFloat(x, filter) || !isNhwc(attributes.dataFormat)) return undefined;
  const w = infoOf(x.shape, filter.shape, attributes);
  return isBeyond(w) ? undefined : forward(backend, x, filter, w);
});

define('FusedConv2D', ({ x, filter, bias, preluActivationWeights }, attributes, backend) => {
  const { activation, leakyreluAlpha, dataFormat } = attributes;
  if (!allFloat(x, filter) || !isNhwc(dataFormat) || activation === 'prelu' || preluActivationWeights)
    return undefined;
  const w = infoOf(x.shape, filter.shape, attributes);
  if (isBeyond(w)) return undefined;
  if (bias && (!allFloat(bias) || util.sizeFromShape(bias.shape) !== w.outChannels)) return undefined;
  const y = forward(backend, x, filter, w, bias ? backend.address(bias) : 0, activation === 'relu');
  return activate(backend, y, activation, leakyreluAlpha);
});

define('Conv2DBackpropInput', ({ dy, filter }, attributes, backend) => {
  if (!allFloat(dy, filter) || !isNhwc(attributes.dataFormat)) return undefined;
  const w = infoOf(attributes.inputShape, filter.shape, attributes);
  if (isBeyond(w)) return undefined;
  return filled(backend, w.inShape, 'float32', dx => {
    if (util.sizeFromShape(w.inShape) > 0) inputGradient(backend.address(dy), backend.address(filter), dx, w);
  });
});

define('Conv2DBackpropFilter', ({ x, dy }, attributes, backend) => {
  if (!allFloat(x, dy) || !isNhwc(attributes.dataFormat)) return undefined;
  const w = infoOf(x.shape, attributes.filterShape, attributes);
  if (isBeyond(w)) return undefined;
  const n = w.outChannels;
  const pixels = pixelsOf(w);
  return filled(backend, w.filterShape, 'float32', dw => {
    if (isProduct(w) || pixels === 0) {
      const a = rowMajor(backend.address(x), w.inChannels, true);
      const b = rowMajor(backend.address(dy), n);
      gemm({ m: util.sizeFromShape(w.filterShape) / n, n, k: pixels, a, b, c: dw });
    } else filterGradient(backend.address(x), backend.address(dy), dw, w);
  });
});
