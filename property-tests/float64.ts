/** For tests: operators in float64 by their definitions, slow and plain. Pictures are NHWC, filters HWIO. */
import { at, build, type Doubles, sizeOf } from './differences.ts';

export const map = ({ shape, values }: Doubles, f: (x: number) => number): Doubles => ({
  shape,
  values: values.map(f),
});

/** The shape two arrays broadcast to. */
const common = (a: readonly number[], b: readonly number[]): number[] => {
  const rank = Math.max(a.length, b.length);
  const size = (shape: readonly number[], d: number) => shape[d - rank + shape.length] ?? 1;
  return Array.from({ length: rank }, (_, d) => (size(a, d) === 1 ? size(b, d) : size(a, d)));
};

const broadcastAt = (x: Doubles, index: readonly number[]) =>
  at(x, ...x.shape.map((size, d) => (size === 1 ? 0 : index[index.length - x.shape.length + d])));

export const zip = (a: Doubles, b: Doubles, f: (x: number, y: number) => number): Doubles =>
  build(common(a.shape, b.shape), i => f(broadcastAt(a, i), broadcastAt(b, i)));

const range = (length: number) => Array.from({ length }, (_, i) => i);
const sum = (length: number, term: (i: number) => number): number => {
  let total = 0;
  for (let i = 0; i < length; i++) total += term(i);
  return total;
};

/** Maclaurin series: to float64's precision for |x| below 4, beyond which erf is within 2e-8 of a sign. */
export function erf(x: number): number {
  if (Math.abs(x) > 4) return Math.sign(x);
  let term = x;
  let total = x;
  for (let n = 1; n < 120; n++) {
    term *= (-x * x) / n;
    total += term / (2 * n + 1);
  }
  return (2 / Math.sqrt(Math.PI)) * total;
}
export const gelu = (x: number): number => (x / 2) * (1 + erf(x * Math.SQRT1_2));
export const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));

export function matMul(a: Doubles, b: Doubles, transposeA = false, transposeB = false): Doubles {
  const [ar, ac] = a.shape.slice(-2);
  const [br, bc] = b.shape.slice(-2);
  const [m, k] = transposeA ? [ac, ar] : [ar, ac];
  const n = transposeB ? br : bc;
  const shape = [...common(a.shape.slice(0, -2), b.shape.slice(0, -2)), m, n];
  return build(shape, index => {
    const batch = index.slice(0, -2);
    const [i, j] = index.slice(-2);
    return sum(
      k,
      l =>
        broadcastAt(a, [...batch, ...(transposeA ? [l, i] : [i, l])]) *
        broadcastAt(b, [...batch, ...(transposeB ? [j, l] : [l, j])]),
    );
  });
}

export const linear = (x: Doubles, weight: Doubles, bias?: Doubles): Doubles => {
  const y = build([...x.shape.slice(0, -1), weight.shape[1]], index => {
    const row = index.slice(0, -1);
    return sum(weight.shape[0], l => at(x, ...row, l) * at(weight, l, index[index.length - 1]));
  });
  return bias ? zip(y, bias, (a, b) => a + b) : y;
};

/** Rows of the last axis, each replaced by f(row). */
export function rows(x: Doubles, f: (row: Float64Array) => ArrayLike<number>): Doubles {
  const length = x.shape[x.shape.length - 1];
  const values = new Float64Array(x.values.length);
  for (let i = 0; i < values.length; i += length) values.set(f(x.values.subarray(i, i + length)), i);
  return { shape: x.shape, values };
}

export const softmax = (x: Doubles): Doubles =>
  rows(x, row => {
    const e = row.map(v => Math.exp(v - Math.max(...row)));
    const total = e.reduce((a, b) => a + b);
    return e.map(v => v / total);
  });

export function layerNorm(x: Doubles, gain: Doubles, bias: Doubles): Doubles {
  return rows(x, row => {
    const mean = row.reduce((a, b) => a + b) / row.length;
    const variance = row.reduce((a, b) => a + (b - mean) ** 2, 0) / row.length;
    return row.map((v, i) => ((v - mean) / Math.sqrt(variance + 1e-5)) * gain.values[i] + bias.values[i]);
  });
}

/** @param open whether sample b may see key j; a sample that sees none gives zeros */
export function attention(
  q: Doubles,
  k: Doubles,
  v: Doubles,
  heads: number,
  open: (b: number, j: number) => boolean = () => true,
): Doubles {
  const width = q.shape[2] / heads;
  return build(q.shape, ([b, t, c]) => {
    const first = c - (c % width);
    const keys = range(k.shape[1]).filter(j => open(b, j));
    const scores = keys.map(j =>
      Math.exp(sum(width, d => at(q, b, t, first + d) * at(k, b, j, first + d)) / Math.sqrt(width)),
    );
    const total = scores.reduce((x, y) => x + y, 0);
    return sum(keys.length, i => (scores[i] / total) * at(v, b, keys[i], c));
  });
}

/** How a window moves over one axis: output size and padding before, by TensorFlow's rules. */
function placing(size: number, taps: number, stride: number, pad: 'same' | 'valid', dilation = 1) {
  const extent = (taps - 1) * dilation + 1;
  if (pad === 'valid') return { out: Math.ceil((size - extent + 1) / stride), before: 0 };
  const out = Math.ceil(size / stride);
  return { out, before: Math.floor(Math.max(0, (out - 1) * stride + extent - size) / 2) };
}

export interface Window {
  readonly taps: readonly [number, number];
  readonly stride: number;
  readonly pad: 'same' | 'valid';
  readonly dilation?: number;
}

/** For each output pixel, f over the taps that fall inside the picture. */
function windows(
  x: Doubles,
  channels: number,
  { taps, stride, pad, dilation = 1 }: Window,
  f: (places: readonly { y: number; z: number; ky: number; kx: number }[], b: number, c: number) => number,
): Doubles {
  const [batch, height, width] = x.shape;
  const down = placing(height, taps[0], stride, pad, dilation);
  const across = placing(width, taps[1], stride, pad, dilation);
  return build([batch, down.out, across.out, channels], ([b, i, j, c]) => {
    const places = range(taps[0] * taps[1])
      .map(t => [Math.floor(t / taps[1]), t % taps[1]])
      .map(([ky, kx]) => ({
        ky,
        kx,
        y: i * stride + ky * dilation - down.before,
        z: j * stride + kx * dilation - across.before,
      }))
      .filter(({ y, z }) => y >= 0 && y < height && z >= 0 && z < width);
    return f(places, b, c);
  });
}

export const conv2d = (x: Doubles, w: Doubles, window: Window): Doubles =>
  windows(x, w.shape[3], window, (places, b, c) =>
    sum(places.length, p => {
      const { y, z, ky, kx } = places[p];
      return sum(w.shape[2], l => at(x, b, y, z, l) * at(w, ky, kx, l, c));
    }),
  );

export const depthwise = (x: Doubles, w: Doubles, window: Window): Doubles =>
  windows(x, x.shape[3], window, (places, b, c) =>
    sum(places.length, p => at(x, b, places[p].y, places[p].z, c) * at(w, places[p].ky, places[p].kx, c, 0)),
  );

export const pool = (kind: 'max' | 'avg', x: Doubles, window: Window): Doubles =>
  windows(x, x.shape[3], window, (places, b, c) => {
    const seen = places.map(({ y, z }) => at(x, b, y, z, c));
    return kind === 'max' ? Math.max(...seen) : seen.reduce((a, v) => a + v, 0) / seen.length;
  });

/** f over the numbers that each remaining place gathers from `axes`. */
export function reduce(x: Doubles, axes: readonly number[], f: (numbers: number[]) => number): Doubles {
  const kept = range(x.shape.length).filter(d => !axes.includes(d));
  const gone = build(
    axes.map(d => x.shape[d]),
    () => 0,
  );
  return build(
    kept.map(d => x.shape[d]),
    outer => {
      const seen: number[] = [];
      build(gone.shape, inner => {
        const index = range(x.shape.length).map(d =>
          axes.includes(d) ? inner[axes.indexOf(d)] : outer[kept.indexOf(d)],
        );
        return seen.push(at(x, ...index));
      });
      return f(seen);
    },
  );
}

/** Bilinear resizing; the source coordinate of an output pixel by the three conventions of TensorFlow. */
export function resizeBilinear(
  x: Doubles,
  [height, width]: readonly [number, number],
  convention: 'corners' | 'centres' | 'plain',
): Doubles {
  const [batch, h, w, channels] = x.shape;
  const source = (i: number, from: number, to: number) => {
    const position =
      convention === 'corners'
        ? to > 1
          ? (i * (from - 1)) / (to - 1)
          : 0
        : convention === 'centres'
          ? ((i + 0.5) * from) / to - 0.5
          : (i * from) / to;
    const low = Math.max(0, Math.floor(position));
    return { low, high: Math.min(from - 1, Math.ceil(position)), part: position - low };
  };
  return build([batch, height, width, channels], ([b, i, j, c]) => {
    const y = source(i, h, height);
    const z = source(j, w, width);
    const row = (r: number) => at(x, b, r, z.low, c) * (1 - z.part) + at(x, b, r, z.high, c) * z.part;
    return row(y.low) * (1 - y.part) + row(y.high) * y.part;
  });
}

export const reshaped = (x: Doubles, shape: readonly number[]): Doubles => {
  if (sizeOf(shape) !== x.values.length) throw new RangeError(`[${x.shape}] is not [${shape}]`);
  return { shape, values: x.values };
};
