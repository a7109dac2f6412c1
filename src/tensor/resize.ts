/**
 * Resizing as PyTorch does it: bilinear (triangle) or bicubic filters, pixel centres at half integers, with or without antialiasing
 * (the filter widened by the shrink factor). Both axes are linear maps, so a resize is two matrix products and differentiable.
 */
import * as tf from '@tensorflow/tfjs-core';

/** How pixels are weighed: the filter (triangle or cubic), and whether it widens when the picture shrinks. */
export interface ResizeOptions {
  /** Triangle, or cubic by Keys: a = -0.5 under antialiasing, -0.75 without. */
  readonly filter: 'bilinear' | 'bicubic';
  /** Widens the filter by the factor a picture shrinks by, so that fine detail does not alias. */
  readonly antialias: boolean;
}

/** Keys' cubic kernel with the free parameter a: -0.5 under antialiasing, as Pillow has it; -0.75 without. */
function cubic(x: number, a: number): number {
  const t = Math.abs(x);
  if (t < 1) return (a + 2) * t ** 3 - (a + 3) * t ** 2 + 1;
  if (t < 2) return a * (t ** 3 - 5 * t ** 2 + 8 * t - 4);
  return 0;
}

/** One output pixel as weights of input pixels from `start`. */
export interface ResizeRow {
  readonly start: number;
  readonly weights: readonly number[];
}

/** The linear map from `size` pixels to `target` pixels along one axis, in float64. */
export function resizeRows(size: number, target: number, { filter, antialias }: ResizeOptions): ResizeRow[] {
  const scale = size / target;
  const stretch = antialias ? Math.max(scale, 1) : 1;
  const support = (filter === 'bilinear' ? 1 : 2) * stretch;
  const kernel = (x: number) =>
    filter === 'bilinear' ? Math.max(0, 1 - Math.abs(x)) : cubic(x, antialias ? -0.5 : -0.75);
  return Array.from({ length: target }, (_, i) => {
    if (antialias) {
      // Taps outside the picture are left out and the others scaled to sum 1.
      const centre = (i + 0.5) * scale;
      const start = Math.max(0, Math.floor(centre - support + 0.5));
      const end = Math.min(size, Math.floor(centre + support + 0.5));
      const raw = Array.from({ length: end - start }, (_, j) => kernel((start + j - centre + 0.5) / stretch));
      const sum = raw.reduce((a, b) => a + b, 0);
      return { start, weights: raw.map(w => w / sum) };
    }
    // Taps outside the picture fall on its border pixel.
    const position = (i + 0.5) * scale - 0.5;
    const source = filter === 'bilinear' ? Math.max(0, position) : position;
    const first = Math.floor(source) - (support - 1);
    const weights = new Map<number, number>();
    for (let j = 0; j < 2 * support; j++) {
      const pixel = Math.min(size - 1, Math.max(0, first + j));
      weights.set(pixel, (weights.get(pixel) ?? 0) + kernel(first + j - source));
    }
    const start = Math.min(...weights.keys());
    const length = Math.max(...weights.keys()) - start + 1;
    return { start, weights: Array.from({ length }, (_, j) => weights.get(start + j) ?? 0) };
  });
}

/** [size, target] */
function resizeMatrix(size: number, target: number, options: ResizeOptions): tf.Tensor2D {
  const data = new Float32Array(size * target);
  resizeRows(size, target, options).forEach(({ start, weights }, i) => {
    weights.forEach((w, j) => {
      data[(start + j) * target + i] = w;
    });
  });
  return tf.tensor2d(data, [size, target]);
}

/** @param images [B, H, W, C]  @param rows [H, height]  @param columns [W, width]  @returns [B, height, width, C] */
function along(images: tf.Tensor4D, rows: tf.Tensor2D, columns: tf.Tensor2D): tf.Tensor4D {
  const [batch, fromHeight, fromWidth, channels] = images.shape;
  const [height, width] = [rows.shape[1], columns.shape[1]];
  // [B, C, H, W] -> columns shrink, then [B, C, w, H] -> rows shrink.
  const planes = tf.reshape(tf.transpose(images, [0, 3, 1, 2]), [batch * channels * fromHeight, fromWidth]);
  const narrow = tf.matMul(planes as tf.Tensor2D, columns);
  const turned = tf.transpose(tf.reshape(narrow, [batch, channels, fromHeight, width]), [0, 1, 3, 2]);
  const low = tf.matMul(tf.reshape(turned, [batch * channels * width, fromHeight]) as tf.Tensor2D, rows);
  return tf.transpose(tf.reshape(low, [batch, channels, width, height]), [0, 3, 2, 1]) as tf.Tensor4D;
}

/** Resizes pictures; differentiable in them. @param images [B, H, W, C]  @returns [B, height, width, C] */
export const resize = (
  images: tf.Tensor4D,
  [height, width]: readonly [number, number],
  options: ResizeOptions,
): tf.Tensor4D =>
  tf.tidy(() => {
    const [, fromHeight, fromWidth] = images.shape;
    return along(images, resizeMatrix(fromHeight, height, options), resizeMatrix(fromWidth, width, options));
  });

/** The gradient of a resize to its images. @param dy [B, height, width, C]  @param shape of the images  @returns [B, H, W, C] */
export const resizeGradient = (
  dy: tf.Tensor4D,
  [, height, width]: readonly number[],
  options: ResizeOptions,
): tf.Tensor4D =>
  tf.tidy(() => {
    const [, toHeight, toWidth] = dy.shape;
    return along(
      dy,
      tf.transpose(resizeMatrix(height, toHeight, options)),
      tf.transpose(resizeMatrix(width, toWidth, options)),
    );
  });
