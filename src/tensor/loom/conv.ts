/** 2-D convolutions of NHWC pictures with both gradients, plain, fused and depthwise. Other layouts go to tfjs-backend-cpu. */
import { backend_util, type TensorInfo, util } from '@tensorflow/tfjs-core';
import { allocate, f32, kernel, parallel, release } from '../../compute/index.ts';
import { blockOf, gemm, type Matrix, tileRows, withScratch } from './gemm.ts';
import { allFloat, define, filled, run } from './kernels.ts';
import type { LoomBackend } from './loom-backend.ts';
import { copyBox } from './move.ts';

type Info = backend_util.Conv2DInfo;

const matrix = (address: number, columns: number, transposed = false): Matrix =>
  transposed
    ? { address, rowStride: 1, columnStride: columns }
    : { address, rowStride: columns, columnStride: 1 };

const roundUp = (x: number, step: number) => Math.ceil(x / step) * step;

/** A 1 x 1 convolution that moves by one pixel is a matrix product. */
const isProduct = (i: Info) =>
  i.filterHeight === 1 &&
  i.filterWidth === 1 &&
  i.strideHeight === 1 &&
  i.strideWidth === 1 &&
  i.inHeight === i.outHeight &&
  i.inWidth === i.outWidth;

/** Packs B [k, n] for all bands, gives its address to `work` and releases it. */
function withPacked(b: Matrix, k: number, n: number, kc: number, work: (packed: number) => void): void {
  const packed = allocate(roundUp(n, 8) * k * 4);
  try {
    const share = Math.max(8, roundUp(Math.ceil(n / 8), 8), roundUp(Math.ceil(8192 / k), 8));
    const bands = Math.ceil(n / share);
    parallel(kernel('gemmPackB'), bands, b.address, b.rowStride, b.columnStride, k, n, kc, share, packed);
    work(packed);
  } finally {
    release(packed);
  }
}

/** What `convBlock` gathers: source = (out * stride + tap * step + offset) / divide. */
interface Gather {
  readonly from: readonly [height: number, width: number, channels: number];
  readonly to: readonly [height: number, width: number, channels: number];
  readonly stride: readonly [number, number];
  readonly step: readonly [number, number];
  readonly offset: readonly [number, number];
  readonly divide: readonly [number, number];
}

function gatheredProduct(
  x: number,
  filter: number,
  out: number,
  images: number,
  taps: readonly [number, number],
  gather: Gather,
  bias: number,
  relu: boolean,
): void {
  const [height, width, channels] = gather.from;
  const [outHeight, outWidth, n] = gather.to;
  const pixels = images * outHeight * outWidth;
  const k = taps[0] * taps[1] * channels;
  const kc = blockOf(k);
  const rows = Math.min(96 - (96 % tileRows()), roundUp(Math.ceil(pixels / 8), tileRows()));
  const zeros = allocate(channels * 4);
  try {
    f32(zeros, channels).fill(0);
    withPacked(matrix(filter, n), k, n, kc, packed =>
      withScratch((roundUp(rows, tileRows()) * kc + 128) * 4, (scratch, stride) =>
        parallel(
          kernel('convBlock'),
          Math.ceil(pixels / rows),
          x,
          height,
          width,
          channels,
          packed,
          out,
          outHeight,
          outWidth,
          pixels,
          n,
          ...taps,
          ...gather.stride,
          ...gather.step,
          ...gather.offset,
          ...gather.divide,
          kc,
          rows,
          bias,
          relu ? 1 : 0,
          zeros,
          scratch,
          stride,
        ),
      ),
    );
  } finally {
    release(zeros);
  }
}

function forward(
  backend: LoomBackend,
  x: TensorInfo,
  filter: TensorInfo,
  i: Info,
  bias = 0,
  relu = false,
): TensorInfo {
  return filled(backend, i.outShape, 'float32', out => {
    if (util.sizeFromShape(i.outShape) === 0) return;
    if (isProduct(i)) {
      gemm({
        m: i.batchSize * i.outHeight * i.outWidth,
        n: i.outChannels,
        k: i.inChannels,
        a: matrix(backend.address(x), i.inChannels),
        b: matrix(backend.address(filter), i.outChannels),
        c: out,
        bias,
        relu,
      });
      return;
    }
    const gather: Gather = {
      from: [i.inHeight, i.inWidth, i.inChannels],
      to: [i.outHeight, i.outWidth, i.outChannels],
      stride: [i.strideHeight, i.strideWidth],
      step: [i.dilationHeight, i.dilationWidth],
      offset: [-i.padInfo.top, -i.padInfo.left],
      divide: [1, 1],
    };
    const taps = [i.filterHeight, i.filterWidth] as const;
    gatheredProduct(backend.address(x), backend.address(filter), out, i.batchSize, taps, gather, bias, relu);
  });
}

const infoOf = (
  inShape: number[],
  filterShape: number[],
  { strides, pad, dilations, dimRoundingMode, dataFormat }: never & Record<string, never>,
  depthwise = false,
): Info =>
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
  return forward(backend, x, filter, infoOf(x.shape, filter.shape, attributes as never));
});

define('FusedConv2D', ({ x, filter, bias, preluActivationWeights }, attributes, backend) => {
  const { activation, leakyreluAlpha, dataFormat } = attributes;
  if (!allFloat(x, filter) || !isNhwc(dataFormat) || activation === 'prelu' || preluActivationWeights)
    return undefined;
  const info = infoOf(x.shape, filter.shape, attributes as never);
  if (bias && (!allFloat(bias) || util.sizeFromShape(bias.shape) !== info.outChannels)) return undefined;
  const y = forward(backend, x, filter, info, bias ? backend.address(bias) : 0, activation === 'relu');
  if (!activation || activation === 'linear' || activation === 'relu') return y;
  const names: Record<string, string> = {
    relu6: 'Relu6',
    elu: 'Elu',
    sigmoid: 'Sigmoid',
    leakyrelu: 'LeakyRelu',
  };
  const activated = run(names[activation], { x: y }, { alpha: leakyreluAlpha }, backend);
  backend.disposeIntermediateTensorInfo(y);
  return activated;
});

define('Conv2DBackpropInput', ({ dy, filter }, attributes, backend) => {
  if (!allFloat(dy, filter) || !isNhwc(attributes.dataFormat)) return undefined;
  const i = infoOf(attributes.inputShape, filter.shape, attributes as never);
  return filled(backend, i.inShape, 'float32', dx => {
    const [g, w] = [backend.address(dy), backend.address(filter)];
    if (util.sizeFromShape(i.inShape) === 0) return;
    if (isProduct(i)) {
      const b = matrix(w, i.outChannels, true);
      const m = i.batchSize * i.outHeight * i.outWidth;
      gemm({ m, n: i.inChannels, k: i.outChannels, a: matrix(g, i.outChannels), b, c: dx });
      return;
    }
    // The filter with input and output channels exchanged, tap by tap.
    const taps = i.filterHeight * i.filterWidth;
    const turned = allocate(taps * i.inChannels * i.outChannels * 4);
    try {
      const size = i.inChannels * i.outChannels;
      copyBox(w, turned, [
        { size: taps, from: size, to: size },
        { size: i.outChannels, from: 1, to: i.inChannels },
        { size: i.inChannels, from: i.outChannels, to: 1 },
      ]);
      const gather: Gather = {
        from: [i.outHeight, i.outWidth, i.outChannels],
        to: [i.inHeight, i.inWidth, i.inChannels],
        stride: [1, 1],
        step: [-i.dilationHeight, -i.dilationWidth],
        offset: [i.padInfo.top, i.padInfo.left],
        divide: [i.strideHeight, i.strideWidth],
      };
      gatheredProduct(g, turned, dx, i.batchSize, [i.filterHeight, i.filterWidth], gather, 0, false);
    } finally {
      release(turned);
    }
  });
});

define('Conv2DBackpropFilter', ({ x, dy }, attributes, backend) => {
  if (!allFloat(x, dy) || !isNhwc(attributes.dataFormat)) return undefined;
  const i = infoOf(x.shape, attributes.filterShape, attributes as never);
  const n = i.outChannels;
  const pixels = i.batchSize * i.outHeight * i.outWidth;
  return filled(backend, i.filterShape, 'float32', dw => {
    const right = matrix(backend.address(dy), n);
    if (isProduct(i) || pixels === 0) {
      const a = matrix(backend.address(x), i.inChannels, true);
      gemm({ m: util.sizeFromShape(i.filterShape) / n, n, k: pixels, a, b: right, c: dw });
      return;
    }
    const taps = i.filterHeight * i.filterWidth;
    const kc = blockOf(pixels);
    const rows = Math.min(96 - (96 % tileRows()), roundUp(i.inChannels, tileRows()));
    const bands = taps * Math.ceil(i.inChannels / rows);
    const slice = roundUp(Math.ceil(pixels / Math.ceil(8 / bands)), kc);
    const slices = Math.ceil(pixels / slice);
    const size = taps * i.inChannels * n;
    const parts = slices > 1 ? allocate(slices * size * 4) : dw;
    try {
      withPacked(right, pixels, n, kc, packed =>
        withScratch((rows * kc + 128) * 4, (scratch, stride) =>
          parallel(
            kernel('convFilter'),
            bands * slices,
            backend.address(x),
            i.inHeight,
            i.inWidth,
            i.inChannels,
            packed,
            parts,
            i.outHeight,
            i.outWidth,
            pixels,
            n,
            i.filterHeight,
            i.filterWidth,
            i.strideHeight,
            i.strideWidth,
            i.dilationHeight,
            i.dilationWidth,
            -i.padInfo.top,
            -i.padInfo.left,
            kc,
            rows,
            slice,
            scratch,
            stride,
          ),
        ),
      );
      if (slices > 1) parallel(kernel('sumSlices'), 1, parts, dw, slices, size, size);
    } finally {
      if (slices > 1) release(parts);
    }
  });
});

/** Numbers that the depthwise kernels share, after their addresses. */
const geometry = (i: Info): number[] => [
  i.inHeight,
  i.inWidth,
  i.inChannels,
  i.outHeight,
  i.outWidth,
  i.filterHeight,
  i.filterWidth,
  i.strideHeight,
  i.strideWidth,
  i.dilationHeight,
  i.dilationWidth,
  i.padInfo.top,
  i.padInfo.left,
];

/** One output channel to an input channel is what there is a kernel for. */
const isPlainDepthwise = (i: Info) => i.outChannels === i.inChannels && i.dataFormat === 'channelsLast';

define('DepthwiseConv2dNative', ({ x, filter }, attributes, backend) => {
  if (!allFloat(x, filter)) return undefined;
  const i = infoOf(x.shape, filter.shape, attributes as never, true);
  if (!isPlainDepthwise(i)) return undefined;
  return filled(backend, i.outShape, 'float32', out => {
    const addresses = [backend.address(x), backend.address(filter), out];
    parallel(kernel('depthwise'), i.batchSize * i.outHeight, ...addresses, ...geometry(i));
  });
});

define('DepthwiseConv2dNativeBackpropInput', ({ dy, filter }, attributes, backend) => {
  if (!allFloat(dy, filter)) return undefined;
  const i = infoOf(attributes.inputShape, filter.shape, attributes as never, true);
  if (!isPlainDepthwise(i)) return undefined;
  return filled(backend, i.inShape, 'float32', dx => {
    const addresses = [backend.address(dy), backend.address(filter), dx];
    parallel(kernel('depthwiseInput'), i.batchSize * i.inHeight, ...addresses, ...geometry(i));
  });
});

define('DepthwiseConv2dNativeBackpropFilter', ({ x, dy }, attributes, backend) => {
  if (!allFloat(x, dy)) return undefined;
  const i = infoOf(x.shape, attributes.filterShape, attributes as never, true);
  if (!isPlainDepthwise(i)) return undefined;
  return filled(backend, attributes.filterShape, 'float32', dw => {
    const [h, w, c, oh, ow, kh, kw, ...rest] = geometry(i);
    const addresses = [backend.address(x), backend.address(dy), dw];
    parallel(kernel('depthwiseFilter'), kh * kw, ...addresses, i.batchSize, h, w, c, oh, ow, kw, ...rest);
  });
});
