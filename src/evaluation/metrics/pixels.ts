/** PSNR and SSIM between two pictures, in float64. */

type Pixels = Float32Array | Float64Array;

/** Size of one picture, stored [height, width, channels]. */
export interface PictureShape {
  readonly height: number;
  readonly width: number;
  readonly channels: number;
}

/** Mean of squared differences over all entries. */
export function meanSquaredError(a: Pixels, b: Pixels): number {
  if (a.length !== b.length || a.length === 0)
    throw new Error(`pictures of ${a.length} and ${b.length} values`);
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += (a[i] - b[i]) ** 2;
  return sum / a.length;
}

/** The error that rounding to 256 levels makes: pictures cannot be told to be nearer than that. */
const ROUNDING = 1 / (12 * 255 ** 2);

/** Peak signal-to-noise ratio in dB, 10 log10(1 / MSE), of pictures in [0, 1]; at most 58.9, that of rounding to bytes, for equal pictures too. */
export const psnr = (a: Pixels, b: Pixels): number =>
  -10 * Math.log10(Math.max(ROUNDING, meanSquaredError(a, b)));

const RADIUS = 5;
const WINDOW = gaussian(1.5);
const C1 = 0.01 ** 2;
const C2 = 0.03 ** 2;

function gaussian(sigma: number): Float64Array {
  const window = Float64Array.from({ length: 2 * RADIUS + 1 }, (_, i) =>
    Math.exp(-((i - RADIUS) ** 2) / (2 * sigma ** 2)),
  );
  const sum = window.reduce((x, y) => x + y);
  return window.map(x => x / sum);
}

/**
 * Structural similarity (Wang et al. 2004) of pictures in [0, 1]: Gaussian window of 11 taps and sigma 1.5, per channel, mean of
 * the channels. `valid` (default) uses windows wholly inside, `reflect` pads by reflection.
 */
export function ssim(
  a: Pixels,
  b: Pixels,
  shape: PictureShape,
  border: 'valid' | 'reflect' = 'valid',
): number {
  const { height, width, channels } = shape;
  if (a.length !== height * width * channels || b.length !== a.length) {
    throw new Error(`pictures of ${a.length} and ${b.length} values are not ${height}x${width}x${channels}`);
  }
  if (Math.min(height, width) <= 2 * RADIUS) throw new Error('SSIM needs pictures of at least 11x11');
  const pad = border === 'reflect' ? RADIUS : 0;
  let total = 0;
  for (let c = 0; c < channels; c++) total += ssimOfChannel(a, b, shape, c, pad);
  return total / channels;
}

/** Position of padded index i in a line of n, mirrored at the ends without repeating the edge. */
const mirror = (i: number, n: number) => (i < 0 ? -i : i >= n ? 2 * n - 2 - i : i);

function ssimOfChannel(
  a: Pixels,
  b: Pixels,
  { height, width, channels }: PictureShape,
  c: number,
  pad: number,
) {
  const rows = height + 2 * pad;
  const columns = width + 2 * pad;
  const outRows = rows - 2 * RADIUS;
  const outColumns = columns - 2 * RADIUS;
  // The five moments E[a], E[b], E[a^2], E[b^2], E[ab]: first along rows, then along columns.
  const across = new Float64Array(rows * outColumns * 5);
  for (let y = 0; y < rows; y++) {
    const line = mirror(y - pad, height) * width;
    for (let x = 0; x < outColumns; x++) {
      const at = (y * outColumns + x) * 5;
      for (let k = 0; k < WINDOW.length; k++) {
        const index = (line + mirror(x + k - pad, width)) * channels + c;
        const p = a[index];
        const q = b[index];
        const w = WINDOW[k];
        across[at] += w * p;
        across[at + 1] += w * q;
        across[at + 2] += w * p * p;
        across[at + 3] += w * q * q;
        across[at + 4] += w * p * q;
      }
    }
  }
  const moment = new Float64Array(5);
  let sum = 0;
  for (let y = 0; y < outRows; y++) {
    for (let x = 0; x < outColumns; x++) {
      moment.fill(0);
      for (let k = 0; k < WINDOW.length; k++) {
        const at = ((y + k) * outColumns + x) * 5;
        for (let m = 0; m < 5; m++) moment[m] += WINDOW[k] * across[at + m];
      }
      const [meanA, meanB, squareA, squareB, product] = moment;
      const varianceA = Math.max(0, squareA - meanA * meanA);
      const varianceB = Math.max(0, squareB - meanB * meanB);
      const covariance = product - meanA * meanB;
      sum +=
        ((2 * meanA * meanB + C1) * (2 * covariance + C2)) /
        ((meanA * meanA + meanB * meanB + C1) * (varianceA + varianceB + C2));
    }
  }
  return sum / (outRows * outColumns);
}
