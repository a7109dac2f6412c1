// Pooling and bilinear resizing of NHWC pictures, and depthwise convolution: the channels of a pixel side by side.
import { at, madd, put, splat } from "./vector";

/** A band is a row of output pixels of one picture. Windows are cut at the border; an average is over what is left. */
export function pool(
  band: i32, thread: i32, x: usize, out: usize, height: i32, width: i32, channels: i32, outHeight: i32, outWidth: i32,
  windowY: i32, windowX: i32, strideY: i32, strideX: i32, padY: i32, padX: i32, average: i32,
): void {
  const image = band / outHeight;
  const top = (band % outHeight) * strideY - padY;
  const y0 = max(0, top), y1 = min(height, top + windowY);
  for (let j = 0; j < outWidth; j++) {
    const left = j * strideX - padX;
    const x0 = max(0, left), x1 = min(width, left + windowX);
    const to = out + (<usize>(band * outWidth + j) * <usize>channels << 2);
    const weight = splat(<f32>1 / <f32>((y1 - y0) * (x1 - x0)));
    for (let c = 0; c < channels; c += 4) {
      let v = average ? splat(0) : splat(f32.NEGATIVE_INFINITY);
      for (let y = y0; y < y1; y++) {
        let p = x + (<usize>((image * height + y) * width + x0) * <usize>channels << 2);
        for (let z = x0; z < x1; z++) {
          const w = at(p, c, channels);
          v = average ? f32x4.add(v, w) : f32x4.pmax(v, w);
          p += <usize>channels << 2;
        }
      }
      put(to, c, channels, average ? f32x4.mul(v, weight) : v);
    }
  }
}

/**
 * Gradient of `pool`. A band is a block of `span` channels (a multiple of 4) of one picture, as windows may overlap. Of equal maxima the
 * first takes the gradient.
 */
export function poolGradient(
  band: i32, thread: i32, dy: usize, x: usize, dx: usize, height: i32, width: i32, channels: i32, outHeight: i32, outWidth: i32,
  windowY: i32, windowX: i32, strideY: i32, strideX: i32, padY: i32, padX: i32, average: i32, span: i32,
): void {
  const blocks = (channels + span - 1) / span;
  const image = band / blocks;
  const from = band % blocks * span;
  const to = min(channels, from + span);
  const pixel = <usize>channels << 2;
  const base = <usize>(image * height * width) * pixel;
  for (let i = 0; i < height * width; i++) memory.fill(dx + base + <usize>i * pixel + (<usize>from << 2), 0, <usize>(to - from) << 2);
  for (let i = 0; i < outHeight; i++) {
    const top = i * strideY - padY;
    const y0 = max(0, top), y1 = min(height, top + windowY);
    for (let j = 0; j < outWidth; j++) {
      const left = j * strideX - padX;
      const x0 = max(0, left), x1 = min(width, left + windowX);
      const g = dy + <usize>((image * outHeight + i) * outWidth + j) * pixel;
      for (let c = from; c < to; c += 4) {
        let d = at(g, c, to);
        if (average) {
          d = f32x4.mul(d, splat(<f32>1 / <f32>((y1 - y0) * (x1 - x0))));
          for (let y = y0; y < y1; y++) {
            for (let z = x0; z < x1; z++) {
              const p = dx + base + <usize>(y * width + z) * pixel;
              put(p, c, to, f32x4.add(at(p, c, to), d));
            }
          }
          continue;
        }
        let best = splat(f32.NEGATIVE_INFINITY);
        let place = i32x4.splat(y0 * width + x0);
        for (let y = y0; y < y1; y++) {
          for (let z = x0; z < x1; z++) {
            const v = at(x + base + <usize>(y * width + z) * pixel, c, to);
            const more = f32x4.gt(v, best);
            best = v128.bitselect(v, best, more);
            place = v128.bitselect(i32x4.splat(y * width + z), place, more);
          }
        }
        for (let y = y0; y < y1; y++) {
          for (let z = x0; z < x1; z++) {
            const p = dx + base + <usize>(y * width + z) * pixel;
            put(p, c, to, f32x4.add(at(p, c, to), v128.and(d, i32x4.eq(place, i32x4.splat(y * width + z)))));
          }
        }
      }
    }
  }
}

/** Source position along one axis: the pixel below, the one above and the fraction between. */
let low: i32 = 0;
let high: i32 = 0;
let part: f32 = 0;
function locate(i: i32, size: i32, scale: f32, halfPixel: bool): void {
  const s: f32 = halfPixel ? scale * (<f32>i + 0.5) - 0.5 : scale * <f32>i;
  const f = floor<f32>(s);
  low = max(0, <i32>f);
  high = min(size - 1, <i32>ceil<f32>(s));
  part = s - f;
}

/** A band is a row of the output. */
export function resizeBilinear(
  band: i32, thread: i32, x: usize, out: usize, height: i32, width: i32, channels: i32, outHeight: i32, outWidth: i32,
  scaleY: f32, scaleX: f32, halfPixel: i32,
): void {
  const image = band / outHeight;
  locate(band % outHeight, height, scaleY, halfPixel != 0);
  const top = low, bottom = high, fy = splat(part);
  const pixel = <usize>channels << 2;
  for (let j = 0; j < outWidth; j++) {
    locate(j, width, scaleX, halfPixel != 0);
    const fx = splat(part);
    const a = x + <usize>((image * height + top) * width + low) * pixel;
    const b = x + <usize>((image * height + top) * width + high) * pixel;
    const c = x + <usize>((image * height + bottom) * width + low) * pixel;
    const d = x + <usize>((image * height + bottom) * width + high) * pixel;
    const to = out + <usize>(band * outWidth + j) * pixel;
    for (let e = 0; e < channels; e += 4) {
      const ve = at(a, e, channels), vg = at(c, e, channels);
      const up = madd(f32x4.sub(at(b, e, channels), ve), fx, ve);
      const down = madd(f32x4.sub(at(d, e, channels), vg), fx, vg);
      put(to, e, channels, madd(f32x4.sub(down, up), fy, up));
    }
  }
}

/** Depthwise convolution with one output channel to an input channel. A band is a row of output pixels. */
export function depthwise(
  band: i32, thread: i32, x: usize, filter: usize, out: usize, height: i32, width: i32, channels: i32, outHeight: i32, outWidth: i32,
  kernelY: i32, kernelX: i32, strideY: i32, strideX: i32, padY: i32, padX: i32, stepY: i32, stepX: i32,
): void {
  const image = band / outHeight;
  const i = band % outHeight;
  const pixel = <usize>channels << 2;
  for (let j = 0; j < outWidth; j++) {
    const to = out + <usize>(band * outWidth + j) * pixel;
    for (let c = 0; c < channels; c += 4) {
      let sum = splat(0);
      for (let ky = 0; ky < kernelY; ky++) {
        const y = i * strideY + ky * stepY - padY;
        if (y < 0 || y >= height) continue;
        for (let kx = 0; kx < kernelX; kx++) {
          const z = j * strideX + kx * stepX - padX;
          if (z < 0 || z >= width) continue;
          const p = x + <usize>((image * height + y) * width + z) * pixel;
          sum = madd(at(p, c, channels), at(filter + <usize>(ky * kernelX + kx) * pixel, c, channels), sum);
        }
      }
      put(to, c, channels, sum);
    }
  }
}

/** Its gradient to the input. A band is a row of input pixels. */
export function depthwiseInput(
  band: i32, thread: i32, dy: usize, filter: usize, dx: usize, height: i32, width: i32, channels: i32, outHeight: i32, outWidth: i32,
  kernelY: i32, kernelX: i32, strideY: i32, strideX: i32, padY: i32, padX: i32, stepY: i32, stepX: i32,
): void {
  const image = band / height;
  const y = band % height;
  const pixel = <usize>channels << 2;
  for (let z = 0; z < width; z++) {
    const to = dx + <usize>(band * width + z) * pixel;
    for (let c = 0; c < channels; c += 4) {
      let sum = splat(0);
      for (let ky = 0; ky < kernelY; ky++) {
        const t = y + padY - ky * stepY;
        const i = t / strideY;
        if (t < 0 || i * strideY != t || i >= outHeight) continue;
        for (let kx = 0; kx < kernelX; kx++) {
          const u = z + padX - kx * stepX;
          const j = u / strideX;
          if (u < 0 || j * strideX != u || j >= outWidth) continue;
          const g = dy + <usize>((image * outHeight + i) * outWidth + j) * pixel;
          sum = madd(at(g, c, channels), at(filter + <usize>(ky * kernelX + kx) * pixel, c, channels), sum);
        }
      }
      put(to, c, channels, sum);
    }
  }
}

/** Its gradient to the filter. A band is one tap. */
export function depthwiseFilter(
  band: i32, thread: i32, x: usize, dy: usize, dw: usize, height: i32, width: i32, channels: i32, outHeight: i32, outWidth: i32,
  kernelY: i32, kernelX: i32, strideY: i32, strideX: i32, padY: i32, padX: i32, stepY: i32, stepX: i32, images: i32,
): void {
  const ky = band / kernelX;
  const kx = band % kernelX;
  const pixel = <usize>channels << 2;
  const to = dw + <usize>band * pixel;
  memory.fill(to, 0, pixel);
  for (let image = 0; image < images; image++) {
    for (let i = 0; i < outHeight; i++) {
      const y = i * strideY + ky * stepY - padY;
      if (y < 0 || y >= height) continue;
      for (let j = 0; j < outWidth; j++) {
        const z = j * strideX + kx * stepX - padX;
        if (z < 0 || z >= width) continue;
        const p = x + <usize>((image * height + y) * width + z) * pixel;
        const g = dy + <usize>((image * outHeight + i) * outWidth + j) * pixel;
        for (let c = 0; c < channels; c += 4) put(to, c, channels, madd(at(p, c, channels), at(g, c, channels), at(to, c, channels)));
      }
    }
  }
}
