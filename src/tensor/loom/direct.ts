/** Convolutions as matrix products whose left side is gathered while it is packed: see assembly/conv.ts. */
import { allocate, f32, kernel, parallel, release } from '../../compute/index.ts';
import { blockOf, type Matrix, roundUp, rowMajor, tileRows, withScratch } from './gemm.ts';
import type { Window } from './window.ts';

type Pair = readonly [y: number, x: number];

/**
 * A convolution on addresses: pictures x [images, height, width, channels] with filters [taps, channels, outChannels] to
 * out [images, outHeight, outWidth, outChannels]. Output pixel p under tap t sees source pixel (p * stride + t * step + offset) / divide along
 * either axis; where that is not whole or lies outside it sees zeros.
 */
export interface Convolution {
  readonly x: number;
  readonly filter: number;
  readonly out: number;
  readonly images: number;
  readonly from: readonly [height: number, width: number, channels: number];
  readonly to: readonly [height: number, width: number, channels: number];
  readonly taps: Pair;
  readonly stride: Pair;
  readonly step: Pair;
  readonly offset: Pair;
  readonly divide: Pair;
  /** Address of outChannels floats, or 0. */
  readonly bias?: number;
  readonly relu?: boolean;
}

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

export function gatheredProduct(c: Convolution): void {
  const [height, width, channels] = c.from;
  const [outHeight, outWidth, n] = c.to;
  const pixels = c.images * outHeight * outWidth;
  const k = c.taps[0] * c.taps[1] * channels;
  const kc = blockOf(k);
  const rows = Math.min(96 - (96 % tileRows()), roundUp(Math.ceil(pixels / 8), tileRows()));
  const zeros = allocate(channels * 4);
  try {
    f32(zeros, channels).fill(0);
    withPacked(rowMajor(c.filter, n), k, n, kc, packed =>
      withScratch((roundUp(rows, tileRows()) * kc + 128) * 4, (scratch, stride) =>
        parallel(
          kernel('convBlock'),
          Math.ceil(pixels / rows),
          c.x,
          height,
          width,
          channels,
          packed,
          c.out,
          outHeight,
          outWidth,
          pixels,
          n,
          ...c.taps,
          ...c.stride,
          ...c.step,
          ...c.offset,
          ...c.divide,
          kc,
          rows,
          c.bias ?? 0,
          c.relu ? 1 : 0,
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

/** Gradient to the filter dw, from the pictures x and the gradient of the output dy, all addresses. There must be an output. */
export function filterGradient(x: number, dy: number, dw: number, w: Window): void {
  const n = w.outChannels;
  const pixels = w.batchSize * w.outHeight * w.outWidth;
  const taps = w.filterHeight * w.filterWidth;
  const kc = blockOf(pixels);
  const rows = Math.min(96 - (96 % tileRows()), roundUp(w.inChannels, tileRows()));
  const bands = taps * Math.ceil(w.inChannels / rows);
  const slice = roundUp(Math.ceil(pixels / Math.ceil(8 / bands)), kc);
  const slices = Math.ceil(pixels / slice);
  const size = taps * w.inChannels * n;
  const parts = slices > 1 ? allocate(slices * size * 4) : dw;
  try {
    withPacked(rowMajor(dy, n), pixels, n, kc, packed =>
      withScratch((rows * kc + 128) * 4, (scratch, stride) =>
        parallel(
          kernel('convFilter'),
          bands * slices,
          x,
          w.inHeight,
          w.inWidth,
          w.inChannels,
          packed,
          parts,
          w.outHeight,
          w.outWidth,
          pixels,
          n,
          w.filterHeight,
          w.filterWidth,
          w.strideHeight,
          w.strideWidth,
          w.dilationHeight,
          w.dilationWidth,
          -w.padInfo.top,
          -w.padInfo.left,
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
}
