/** Max and average pooling with gradients, and bilinear resizing, of NHWC pictures. */
import { backend_util, type TensorInfo } from '@tensorflow/tfjs-core';
import { kernel, parallel } from '../../compute/index.ts';
import { alias, allFloat, define, filled } from './kernels.ts';
import { geometryOf, hasEmptyWindow, type Window } from './window.ts';

// biome-ignore lint/suspicious/noExplicitAny: attributes of tfjs kernels have no type
const infoOf = (shape: number[], a: any): Window =>
  backend_util.computePool2DInfo(
    shape as [number, number, number, number],
    a.filterSize,
    a.strides,
    1,
    a.pad,
    a.dimRoundingMode,
  );

for (const [name, average] of [
  ['MaxPool', 0],
  ['AvgPool', 1],
] as const) {
  define(name, ({ x }, attributes, backend) => {
    if (!allFloat(x)) return undefined;
    const i = infoOf(x.shape, attributes);
    if (hasEmptyWindow(i)) return undefined;
    if (i.filterHeight === 1 && i.filterWidth === 1 && i.inShape.join() === i.outShape.join()) {
      return alias(backend, x, x.shape);
    }
    return filled(backend, i.outShape, 'float32', out =>
      parallel(kernel('pool'), i.batchSize * i.outHeight, backend.address(x), out, ...geometryOf(i), average),
    );
  });

  // tfjs-backend-cpu divides the gradient of an average at the border by the whole window; forward divides by what is inside.
  define(`${name}Grad`, (inputs, attributes, backend) => {
    const { dy, input } = inputs as { dy: TensorInfo; input: TensorInfo };
    if (!allFloat(dy, input)) return undefined;
    const i = infoOf(input.shape, attributes);
    if (hasEmptyWindow(i)) return undefined;
    return filled(backend, input.shape, 'float32', dx => {
      const span = Math.max(4, Math.ceil(i.inChannels / Math.max(1, Math.ceil(8 / i.batchSize)) / 4) * 4);
      const bands = i.batchSize * Math.ceil(i.inChannels / span);
      const addresses = [backend.address(dy), backend.address(input), dx];
      parallel(kernel('poolGradient'), bands, ...addresses, ...geometryOf(i), average, span);
    });
  });
}

define('ResizeBilinear', ({ images }, { alignCorners, halfPixelCenters, size }, backend) => {
  if (!allFloat(images)) return undefined;
  const [batch, height, width, channels] = images.shape;
  const [outHeight, outWidth] = size as [number, number];
  const scale = (from: number, to: number) => (alignCorners && to > 1 ? (from - 1) / (to - 1) : from / to);
  return filled(backend, [batch, outHeight, outWidth, channels], 'float32', out =>
    parallel(
      kernel('resizeBilinear'),
      batch * outHeight,
      backend.address(images),
      out,
      height,
      width,
      channels,
      outHeight,
      outWidth,
      scale(height, outHeight),
      scale(width, outWidth),
      halfPixelCenters ? 1 : 0,
    ),
  );
});
