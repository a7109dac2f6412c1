/** Mirror padding, one-hot codes and the gradient of bilinear resizing. */
import { type TensorInfo, util } from '@tensorflow/tfjs-core';
import { allocate, f32, i32, kernel, parallel, release, u8 } from '../../compute/index.ts';
import { copyBox } from './box.ts';
import { allFloat, define, filled, sizeOf } from './kernels.ts';

const stridesOf = (shape: readonly number[]) => [...util.computeStrides([...shape]), 1];

/** The middle is copied, then each axis in turn fills its margins from the rows already there. */
define('MirrorPad', ({ x }, { paddings, mode }, backend) => {
  if (x.dtype !== 'float32' && x.dtype !== 'int32') return undefined;
  if (x.shape.length === 0 || sizeOf(x) === 0) return undefined;
  const margins = paddings as [number, number][];
  const shape = x.shape.map((size, d) => margins[d][0] + size + margins[d][1]);
  const from = stridesOf(x.shape);
  const to = stridesOf(shape);
  const edge = mode === 'reflect' ? 0 : 1;
  return filled(backend, shape, x.dtype, out => {
    // The part of the output that is filled, axis by axis.
    const start = margins.map(([before]) => before);
    const size = [...x.shape];
    const address = (place: readonly number[]) => out + 4 * place.reduce((sum, p, d) => sum + p * to[d], 0);
    copyBox(
      backend.address(x),
      address(start),
      size.map((n, d) => ({ size: n, from: from[d], to: to[d] })),
    );
    margins.forEach(([before, after], axis) => {
      const first = start[axis];
      const last = first + size[axis] - 1;
      const fill = (count: number, source: number, target: number) => {
        if (count === 0) return;
        copyBox(
          address(start.map((p, d) => (d === axis ? source : p))),
          address(start.map((p, d) => (d === axis ? target : p))),
          size.map((n, d) =>
            d === axis ? { size: count, from: -to[d], to: to[d] } : { size: n, from: to[d], to: to[d] },
          ),
        );
      };
      // A run of mirrored places is read backwards: to place p comes 2 * first - p - edge, and likewise behind the last.
      fill(before, 2 * first - edge, 0);
      fill(after, last - 1 + edge, last + 1);
      start[axis] = 0;
      size[axis] = shape[axis];
    });
  });
});

define('OneHot', ({ indices }, { dtype, depth, onValue, offValue }, backend) => {
  if (indices.dtype !== 'int32' || (dtype !== 'float32' && dtype !== 'int32' && dtype !== 'bool'))
    return undefined;
  const count = sizeOf(indices);
  return filled(backend, [...indices.shape, depth], dtype, address => {
    const index = i32(backend.address(indices), count);
    const view = dtype === 'float32' ? f32 : dtype === 'int32' ? i32 : u8;
    const out = view(address, count * depth).fill(offValue);
    for (let i = 0; i < count; i++)
      if (index[i] >= 0 && index[i] < depth) out[i * depth + index[i]] = onValue;
  });
});

/** Pixel centres as the forward pass has them; tfjs-backend-cpu forgets half-pixel centres and mixes up height and width. */
define('ResizeBilinearGrad', (inputs, { alignCorners, halfPixelCenters }, backend) => {
  const { dy, images } = inputs as { dy: TensorInfo; images: TensorInfo };
  if (!allFloat(dy, images)) return undefined;
  const [batch, height, width, channels] = images.shape;
  const [, outHeight, outWidth] = dy.shape;
  const scale = (from: number, to: number) => (alignCorners && to > 1 ? (from - 1) / (to - 1) : from / to);
  const half = halfPixelCenters ? 1 : 0;
  return filled(backend, images.shape, 'float32', dx => {
    if (sizeOf(images) === 0) return;
    const rows = allocate(batch * outHeight * width * channels * 4);
    try {
      const across = scale(width, outWidth);
      const sizes = [width, channels, outWidth];
      parallel(
        kernel('resizeBackAcross'),
        batch * outHeight,
        backend.address(dy),
        rows,
        ...sizes,
        across,
        half,
      );
      const down = scale(height, outHeight);
      parallel(
        kernel('resizeBackDown'),
        batch * height,
        rows,
        dx,
        height,
        width * channels,
        outHeight,
        down,
        half,
      );
    } finally {
      release(rows);
    }
  });
});
