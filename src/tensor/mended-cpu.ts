/**
 * Two kernels of tfjs-backend-cpu 4.22 that are wrong, in their place: the gradient of an average pool, which divides by the whole window where the
 * average divided by what of it lay inside the picture, and the gradient of bilinear resizing, which exchanges height and width and forgets
 * halfPixelCenters. On `cpu`, and on `loom` where it leaves a case to `cpu`.
 */
import '@tensorflow/tfjs-backend-cpu';
import type { MathBackendCPU } from '@tensorflow/tfjs-backend-cpu';
import { backend_util, registerKernel, type TensorInfo, unregisterKernel } from '@tensorflow/tfjs-core';

type Shape4 = [number, number, number, number];
/** A cpu kernel: numbers of two pictures in, numbers of one out. */
type Gradient = (
  dy: Float32Array,
  dyShape: Shape4,
  shape: Shape4,
  // biome-ignore lint/suspicious/noExplicitAny: attributes of tfjs kernels have no type
  attributes: any,
) => Float32Array;

function replace(kernelName: string, picture: 'input' | 'images', gradient: Gradient): void {
  unregisterKernel(kernelName, 'cpu');
  registerKernel({
    kernelName,
    backendName: 'cpu',
    kernelFunc: ({ inputs, attrs, backend }) => {
      const cpu = backend as MathBackendCPU;
      const { dy, [picture]: x } = inputs as Record<string, TensorInfo>;
      const values = cpu.data.get(dy.dataId).values as Float32Array;
      const dx = gradient(values, dy.shape as Shape4, x.shape as Shape4, attrs);
      return cpu.makeTensorInfo(x.shape, 'float32', dx);
    },
  });
}

replace('AvgPoolGrad', 'input', (dy, _, shape, { filterSize, strides, pad, dimRoundingMode }) => {
  const w = backend_util.computePool2DInfo(shape, filterSize, strides, 1, pad, dimRoundingMode);
  const [, height, width, channels] = shape;
  const dx = new Float32Array(shape.reduce((a, b) => a * b, 1));
  /** What of the window of output i lies inside. */
  const inside = (i: number, stride: number, before: number, taps: number, length: number) => {
    const start = i * stride - before;
    return [Math.max(0, start), Math.min(length, start + taps)];
  };
  let at = 0;
  for (let image = 0; image < w.batchSize; image++) {
    for (let i = 0; i < w.outHeight; i++) {
      const [top, bottom] = inside(i, w.strideHeight, w.padInfo.top, w.filterHeight, height);
      for (let j = 0; j < w.outWidth; j++, at += channels) {
        const [left, right] = inside(j, w.strideWidth, w.padInfo.left, w.filterWidth, width);
        const share = 1 / ((bottom - top) * (right - left));
        for (let y = top; y < bottom; y++)
          for (let x = left; x < right; x++)
            for (let c = 0; c < channels; c++)
              dx[((image * height + y) * width + x) * channels + c] += dy[at + c] * share;
      }
    }
  }
  return dx;
});

replace('ResizeBilinearGrad', 'images', (dy, [, outHeight, outWidth], shape, attributes) => {
  const { alignCorners, halfPixelCenters } = attributes;
  const [batch, height, width, channels] = shape;
  const dx = new Float32Array(shape.reduce((a, b) => a * b, 1));
  /** The two source pixels of output i along an axis, and the weight of the second. */
  const source = (i: number, from: number, to: number): [number, number, number] => {
    const scale = alignCorners && to > 1 ? (from - 1) / (to - 1) : from / to;
    const place = halfPixelCenters ? scale * (i + 0.5) - 0.5 : scale * i;
    const first = Math.max(0, Math.floor(place));
    return [first, Math.min(from - 1, Math.ceil(place)), place - first];
  };
  let at = 0;
  for (let image = 0; image < batch; image++) {
    for (let i = 0; i < outHeight; i++) {
      const [top, bottom, v] = source(i, height, outHeight);
      for (let j = 0; j < outWidth; j++, at += channels) {
        const [left, right, u] = source(j, width, outWidth);
        for (const [y, x, weight] of [
          [top, left, (1 - v) * (1 - u)],
          [top, right, (1 - v) * u],
          [bottom, left, v * (1 - u)],
          [bottom, right, v * u],
        ])
          for (let c = 0; c < channels; c++)
            dx[((image * height + y) * width + x) * channels + c] += dy[at + c] * weight;
      }
    }
  }
  return dx;
});
