// Convolutions of NHWC pictures as matrix products whose left side is gathered while it is packed: no patch matrix is ever stored.
import { finish, packRows } from "./gemm";
import { MR, multiplyPanels, TILE } from "./tile";

/**
 * Rows of C are pixels, k runs over (ky, kx, channel) of the picture x. The source pixel of output pixel (i, j) under (ky, kx) is
 * ((i * stride + ky * stepY + offsetY) / divide, ...), no pixel (zeros) where that is not whole or lies outside. Forward: stride s,
 * step d, offset -pad, divide 1. Gradient to the input: stride 1, step -d, offset pad, divide s. `zeros`: `channels` zeros.
 * A band takes `rows` pixels and all columns; B is packed by gemmPackB.
 */
export function convBlock(
  band: i32, thread: i32, x: usize, height: i32, width: i32, channels: i32, pb: usize, c: usize,
  outHeight: i32, outWidth: i32, pixels: i32, n: i32, kernelHeight: i32, kernelWidth: i32,
  strideY: i32, strideX: i32, stepY: i32, stepX: i32, offsetY: i32, offsetX: i32, divideY: i32, divideX: i32,
  kc: i32, rows: i32, bias: usize, relu: i32, zeros: usize, scratch: usize, stride: i32,
): void {
  const mine = scratch + <usize>thread * <usize>stride;
  const first = band * rows;
  const m = min(rows, pixels - first);
  const k = kernelHeight * kernelWidth * channels;
  const n8 = (n + 7) / 8 * 8;
  const to = c + (<usize>(first * n) << 2);
  // The address of each pixel of the panel's rows under the current tap.
  const sources = mine + TILE;
  const pa = sources + 64;
  for (let k0 = 0; k0 < k; k0 += kc) {
    const depth = min(kc, k - k0);
    for (let i = 0; i < m; i += MR) {
      let out = pa + (<usize>(i * depth) << 2);
      let q = k0;
      while (q < k0 + depth) {
        const tap = q / channels;
        const channel = q - tap * channels;
        const run = min(channels - channel, k0 + depth - q);
        const ky = tap / kernelWidth;
        const kx = tap - ky * kernelWidth;
        for (let r = 0; r < MR; r++) {
          const pixel = first + min(i + r, m - 1);
          const image = pixel / (outHeight * outWidth);
          const rest = pixel - image * outHeight * outWidth;
          const y = rest / outWidth;
          const atY = y * strideY + ky * stepY + offsetY;
          const atX = (rest - y * outWidth) * strideX + kx * stepX + offsetX;
          let from = zeros;
          if (atY >= 0 && atX >= 0) {
            let sy = atY, sx = atX;
            let whole = true;
            if (divideY != 1 || divideX != 1) {
              sy = atY / divideY;
              sx = atX / divideX;
              whole = sy * divideY == atY && sx * divideX == atX;
            }
            if (whole && sy < height && sx < width) {
              from = x + (<usize>(((image * height + sy) * width + sx) * channels + channel) << 2);
            }
          }
          store<usize>(sources + (<usize>r << 2), from);
        }
        packRows(
          load<usize>(sources), load<usize>(sources, 4), load<usize>(sources, 8), load<usize>(sources, 12),
          load<usize>(sources, 16), load<usize>(sources, 20), run, out,
        );
        out += <usize>(run * MR) << 2;
        q += run;
      }
    }
    multiplyPanels(pa, pb + (<usize>(k0 * n8) << 2), to, n, m, n, depth, k0 > 0, mine);
  }
  finish(to, n, m, n, bias, relu != 0);
}

/**
 * Gradient to the filter: dW[tap, channel, n] = sum over pixels of x[source of pixel, channel] dy[pixel, n]. A band takes `rows` channels
 * of one tap over one slice of the pixels, which has `slice` of them; slices are the slowest, out [slices, taps * channels, n]. dy is packed by
 * gemmPackB with blocks of kc, which divides `slice`.
 */
export function convFilter(
  band: i32, thread: i32, x: usize, height: i32, width: i32, channels: i32, pb: usize, out: usize,
  outHeight: i32, outWidth: i32, pixels: i32, n: i32, kernelHeight: i32, kernelWidth: i32,
  strideY: i32, strideX: i32, stepY: i32, stepX: i32, offsetY: i32, offsetX: i32,
  kc: i32, rows: i32, slice: i32, scratch: usize, stride: i32,
): void {
  const mine = scratch + <usize>thread * <usize>stride;
  const pa = mine + TILE;
  const blocks = (channels + rows - 1) / rows;
  const taps = kernelHeight * kernelWidth;
  const block = band % blocks;
  const tap = band / blocks % taps;
  const part = band / (blocks * taps);
  const channel = block * rows;
  const m = min(rows, channels - channel);
  const panels = (m + MR - 1) / MR;
  const ky = tap / kernelWidth;
  const kx = tap - ky * kernelWidth;
  const n8 = (n + 7) / 8 * 8;
  const to = out + (<usize>((part * taps + tap) * channels + channel) * <usize>n << 2);
  const end = min(pixels, (part + 1) * slice);
  for (let k0 = part * slice; k0 < end; k0 += kc) {
    // The packed blocks know nothing of slices: only the very last block is short.
    const depth = min(kc, pixels - k0);
    let image = k0 / (outHeight * outWidth);
    let rest = k0 - image * outHeight * outWidth;
    let y = rest / outWidth;
    let z = rest - y * outWidth;
    for (let q = 0; q < depth; q++) {
      const sy = y * strideY + ky * stepY + offsetY;
      const sx = z * strideX + kx * stepX + offsetX;
      const inside = sy >= 0 && sx >= 0 && sy < height && sx < width;
      const from = x + (<usize>(((image * height + sy) * width + sx) * channels + channel) << 2);
      let target = pa + (<usize>(q * MR) << 2);
      for (let p = 0; p < panels; p++) {
        const lanes = min(MR, m - p * MR);
        const source = from + (<usize>(p * MR) << 2);
        if (inside && lanes == MR) {
          v128.store(target, v128.load(source));
          if (FMA) store<u64>(target, load<u64>(source, 16), 16);
          else store<u32>(target, load<u32>(source, 16), 16);
        } else {
          for (let r = 0; r < MR; r++) {
            store<f32>(target + (<usize>r << 2), inside && r < lanes ? load<f32>(source + (<usize>r << 2)) : 0);
          }
        }
        target += <usize>(MR * depth) << 2;
      }
      if (++z == outWidth) {
        z = 0;
        if (++y == outHeight) {
          y = 0;
          image++;
        }
      }
    }
    multiplyPanels(pa, pb + (<usize>(k0 * n8) << 2), to, n, m, n, depth, k0 > part * slice, mine);
  }
}
