/**
 * Joint statistics of oriented bands, after Portilla and Simoncelli (2000, "A parametric texture model based on joint statistics of complex wavelet
 * coefficients"): a description of a texture that neither the NCAs' loss nor any condition has seen. Pictures are taken as tori.
 */
import { tf } from '../../tensor/index.ts';
import type { TextureDistance } from './texture.ts';

const SCALES = 3;
const ORIENTATIONS = 4;
/** Autocorrelation is kept up to this lag. */
const LAG = 4;

/** Frequencies in cycles a pixel, in the order of the discrete Fourier transform. */
const frequency = (k: number, n: number) => (k <= n / 2 ? k : k - n) / n;

/**
 * The window of one band at a frequency: an octave wide (half maximum), a raised cosine in log frequency about 1/4, 1/8, 1/16 cycles a pixel; a cubed
 * cosine about its orientation, and nothing on the other side, so that the band's response is complex and its magnitude a local amplitude.
 */
function windowAt(scale: number, orientation: number, fy: number, fx: number): number {
  const radius = Math.hypot(fx, fy);
  if (radius === 0) return 0;
  const octaves = Math.log2(radius / (0.25 / 2 ** scale));
  if (Math.abs(octaves) >= 1) return 0;
  const turn = Math.atan2(fy, fx) - (orientation * Math.PI) / ORIENTATIONS;
  return Math.cos((octaves * Math.PI) / 2) * Math.max(0, Math.cos(turn)) ** (ORIENTATIONS - 1);
}

/** Everything that depends on the size of the pictures alone: [n, n] cosines and sines, and the windows [bands, H, W]. Held for good: sizes are few. */
interface Plan {
  readonly cosine: Readonly<Record<'rows' | 'columns', Float32Array>>;
  readonly sine: Readonly<Record<'rows' | 'columns', Float32Array>>;
  readonly windows: Float32Array;
}
const plans = new Map<string, Plan>();

function planOf(height: number, width: number): Plan {
  const key = `${height}/${width}`;
  const known = plans.get(key);
  if (known) return known;
  const wave = (n: number, of: (angle: number) => number) =>
    Float32Array.from({ length: n * n }, (_, i) =>
      of((2 * Math.PI * ((Math.floor(i / n) * (i % n)) % n)) / n),
    );
  const windows = new Float32Array(SCALES * ORIENTATIONS * height * width);
  for (let band = 0; band < SCALES * ORIENTATIONS; band++) {
    for (let i = 0; i < height * width; i++) {
      const [y, x] = [Math.floor(i / width), i % width];
      windows[band * height * width + i] = windowAt(
        Math.floor(band / ORIENTATIONS),
        band % ORIENTATIONS,
        frequency(y, height),
        frequency(x, width),
      );
    }
  }
  const plan = {
    cosine: { rows: wave(height, Math.cos), columns: wave(width, Math.cos) },
    sine: { rows: wave(height, Math.sin), columns: wave(width, Math.sin) },
    windows,
  };
  plans.set(key, plan);
  return plan;
}

/** A complex array by its parts, [..., H, W]. */
type Complex = readonly [real: tf.Tensor, imaginary: tf.Tensor];

/** The discrete Fourier transform over both axes of [N, H, W]; `sign` 1 forward, -1 backward (not divided). */
function fourier([real, imaginary]: Complex, height: number, width: number, sign: 1 | -1): Complex {
  const plan = planOf(height, width);
  const along = ([a, b]: Complex, n: number, axis: 'rows' | 'columns'): Complex => {
    const [c, s] = [tf.tensor2d(plan.cosine[axis], [n, n]), tf.tensor2d(plan.sine[axis], [n, n])];
    const by = (x: tf.Tensor, matrix: tf.Tensor) =>
      tf.reshape(tf.matMul(tf.reshape(x, [-1, n]), matrix as tf.Tensor2D), x.shape);
    // (a + ib) exp(-+ i w) = a c +- b s + i (b c -+ a s).
    return [tf.add(by(a, c), tf.mul(sign, by(b, s))), tf.sub(by(b, c), tf.mul(sign, by(a, s)))];
  };
  const turned = ([a, b]: Complex): Complex => [tf.transpose(a, [0, 2, 1]), tf.transpose(b, [0, 2, 1])];
  return turned(along(turned(along([real, imaginary], width, 'columns')), height, 'rows'));
}

/** Below these a variance is nothing: about a grey level's. A flat picture has statistics too, and they are not large. */
const FAINT = 1e-4;

/** One group of numbers of like size, [B, n]. */
export interface StatisticsGroup {
  readonly name: 'colour' | 'colour-correlation' | 'shape' | 'autocorrelation' | 'energy' | 'magnitudes';
  readonly values: tf.Tensor2D;
}

/**
 * The statistics of pictures [B, H, W, 3] in [0, 1], in groups, every number of order one: mean and deviation of each colour; correlation of colours; skewness and
 * kurtosis of the brightness; its autocorrelation up to a lag of 4; log energies of 12 bands (3 octaves, 4 orientations); correlation of all bands'
 * magnitudes. Call inside tf.tidy.
 */
export function textureStatistics(pictures: tf.Tensor4D): StatisticsGroup[] {
  const [batch, height, width] = pictures.shape;
  const pixels = height * width;
  const flat = tf.reshape(pictures, [batch, pixels, 3]);
  const { mean, variance } = tf.moments(flat, 1);
  const centred = tf.sub(flat, tf.expandDims(mean, 1));
  const channel = (k: number) => tf.slice(centred, [0, 0, k], [-1, -1, 1]);
  const spread = (k: number) => tf.slice(variance, [0, k], [-1, 1]);
  const correlations = [
    [0, 1],
    [0, 2],
    [1, 2],
  ].map(([a, b]) =>
    tf.div(
      tf.reshape(tf.mean(tf.mul(channel(a), channel(b)), 1), [batch, 1]),
      tf.add(tf.sqrt(tf.mul(spread(a), spread(b))), FAINT),
    ),
  );
  const bright = tf.reshape(tf.sum(tf.mul(centred, tf.tensor1d([0.299, 0.587, 0.114])), 2), [
    batch,
    height,
    width,
  ]);
  const moment = (p: number) => tf.reshape(tf.mean(tf.pow(bright, p), [1, 2]), [batch, 1]);
  const [second, third, fourth] = [moment(2), moment(3), moment(4)];
  const firm = tf.add(second, FAINT);
  const spectrum = fourier([bright, tf.zerosLike(bright)], height, width, 1);
  const power = tf.add(tf.square(spectrum[0]), tf.square(spectrum[1]));
  const [products] = fourier([power, tf.zerosLike(power)], height, width, -1);
  const lags: tf.Tensor[] = [];
  for (let y = 0; y <= LAG; y++) {
    for (let x = -LAG; x <= LAG; x++) {
      if (y === 0 && x <= 0) continue;
      const at = [y % height, (x + width * LAG) % width];
      lags.push(tf.reshape(tf.slice(products, [0, at[0], at[1]], [-1, 1, 1]), [batch, 1]));
    }
  }
  const autocorrelation = tf.div(tf.concat(lags, 1), tf.mul(firm, pixels * pixels));

  const bands = SCALES * ORIENTATIONS;
  const windows = tf.tensor4d(planOf(height, width).windows, [1, bands, height, width]);
  const through = (x: tf.Tensor) =>
    tf.reshape(tf.mul(tf.expandDims(x, 1), windows), [batch * bands, height, width]);
  const responses = fourier([through(spectrum[0]), through(spectrum[1])], height, width, -1);
  const squares = tf.div(tf.add(tf.square(responses[0]), tf.square(responses[1])), pixels * pixels);
  const energy = tf.reshape(tf.mean(squares, [1, 2]), [batch, bands]);
  const magnitude = tf.reshape(tf.sqrt(squares), [batch, bands, pixels]);
  const offset = tf.sub(magnitude, tf.mean(magnitude, 2, true));
  const covariance = tf.div(tf.matMul(offset as tf.Tensor3D, offset as tf.Tensor3D, false, true), pixels);
  const deviations = tf.sqrt(tf.mean(tf.square(offset), 2));
  const correlation = tf.div(
    covariance,
    tf.add(tf.mul(tf.expandDims(deviations, 2), tf.expandDims(deviations, 1)), FAINT / 10),
  );
  return [
    { name: 'colour', values: tf.concat([mean, tf.sqrt(variance)], 1) as tf.Tensor2D },
    { name: 'colour-correlation', values: tf.concat(correlations, 1) as tf.Tensor2D },
    {
      name: 'shape',
      values: tf.concat(
        [tf.div(third, tf.pow(firm, 1.5)), tf.div(fourth, tf.mul(3, tf.square(firm)))],
        1,
      ) as tf.Tensor2D,
    },
    { name: 'autocorrelation', values: autocorrelation as tf.Tensor2D },
    // Decades of energy above a faint one, some three for a strong texture.
    {
      name: 'energy',
      values: tf.div(tf.log(tf.add(tf.div(energy, FAINT / 100), 1)), Math.log(1000)) as tf.Tensor2D,
    },
    { name: 'magnitudes', values: tf.reshape(correlation, [batch, bands * bands]) as tf.Tensor2D },
  ];
}

/** All statistics as one row of features a picture, each group with the same total weight: [B, H, W, 3] -> [B, F]. */
export const textureFeatures = (pictures: tf.Tensor4D): tf.Tensor2D =>
  tf.tidy(() => {
    const groups = textureStatistics(pictures);
    return tf.concat(
      groups.map(({ values }) => tf.div(values, Math.sqrt(values.shape[1] * groups.length))),
      1,
    ) as tf.Tensor2D;
  });

/**
 * Distance of two textures by their statistics: the root of the mean over groups of the mean square of the differences. A distance: zero for
 * equal pictures, symmetric, triangle inequality; bounded for flat pictures.
 */
export const statisticsDistance: TextureDistance = (images, targets) =>
  tf.tidy(() => {
    const difference = tf.sub(textureFeatures(images), textureFeatures(targets));
    return tf.sqrt(tf.sum(tf.square(difference), 1)) as tf.Tensor1D;
  });
