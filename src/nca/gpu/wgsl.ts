/** What the kernels' texts share. */
import type { Cut, KernelSpec, PackedLayout, Torus } from './plan.ts';
import { TILE, wordsOf } from './plan.ts';

/**
 * `body` for name = 0 .. count - 1: copies with the number in the name's place, for compilers of cards, which keep arrays in registers only so; or a
 * loop, for software compilers, which would never end.
 */
export type Each = (name: string, count: number, body: string) => string;

export const eachOf =
  (unroll: boolean): Each =>
  (name, count, body) =>
    unroll
      ? Array.from(
          { length: count },
          (_, i) => `{ ${body.replace(new RegExp(`\\b${name}\\b`, 'g'), `${i}u`)} }`,
        ).join('\n')
      : // A bound that is read from memory: a known one would be written out by the driver.
        `for (var ${name} = 0u; ${name} < ${count}u + dims[4]; ${name}++) { ${body} }`;

/** A float as WGSL reads it. */
export const real = (x: number) => {
  const text = Math.fround(x).toString();
  return /[.e]/.test(text) ? text : `${text}.0`;
};

/** NaN stays NaN wherever the CPU's clips keep it: WGSL's max and clamp may drop it. */
export const HELPERS = `
fn lost(v: vec4f) -> vec4<bool> { return (bitcast<vec4u>(v) & vec4u(0x7fffffffu)) > vec4u(0x7f800000u); }
fn relu(v: vec4f) -> vec4f { return select(max(v, vec4f(0.0)), v, lost(v)); }
fn within(v: vec4f, low: f32, high: f32) -> vec4f { return select(clamp(v, vec4f(low), vec4f(high)), v, lost(v)); }
fn inside(g: vec4f, v: vec4f, limit: f32) -> vec4f { return select(vec4f(0.0), g, abs(v) <= vec4f(limit)); }
`;

/** The clip of a value, or the value. */
export const clipped = (text: string, limit: number | null, low = limit === null ? 0 : -limit) =>
  limit === null ? text : `within(${text}, ${real(low)}, ${real(limit)})`;

/** The torus, at binding `binding`: rows, columns, words of a row, words in all, 0. Read once, so that one program serves tori of all sizes. */
export const dimensions = (binding: number) => `
@group(0) @binding(${binding}) var<storage, read> dims: array<u32>;
`;
export const readDimensions = `
  let H = dims[0]; let W = dims[1]; let ROW = dims[2]; let WORDS = dims[3]; let CELLS = H * W;
`;
export const dimensionsOf = (torus: Torus) => {
  const { row, all } = wordsOf(torus);
  return Uint32Array.of(torus.height, torus.width, row, all, 0);
};

/** Sizes and the list of a region's active cells. `words`: which cells are active, 32 a word. */
export function header(layout: PackedLayout, { cells, stride, threads, words }: Cut): string {
  const sizes = {
    REGION: words,
    T: threads,
    M: cells,
    MS: stride,
    C: layout.channels,
    Q: layout.channels / 4,
    N: layout.hidden,
    K: layout.inputs,
    TN: layout.hidden / 8,
    PACKED: layout.length / 4,
    W1T: layout.w1Columns / 4,
    B1: layout.b1 / 4,
    W2T: layout.w2Columns / 4,
    W1: layout.w1 / 4,
    W2: layout.w2 / 4,
    B2: layout.b2 / 4,
  };
  return `${Object.entries(sizes)
    .map(([name, value]) => `const ${name} = ${value}u;`)
    .join(' ')}
${HELPERS}
var<workgroup> list: array<u32, ${words * 32}>;
var<workgroup> words: array<u32, ${words}>;
var<workgroup> counts: array<u32, ${words}>;
var<workgroup> total: u32;
fn cellOf(at: u32) -> u32 { return (at >> 16u) * dims[1] + (at & 0xffffu); }
`;
}

/** Lists the active cells of the region in order, row above column in 16 bits each; leaves their number in `count`. */
export const LIST = `${readDimensions}
  let first = wg.x * REGION;
  let sample = wg.y * CELLS;
  for (var i = tid; i < REGION; i += T) {
    var bits = 0u;
    if (first + i < WORDS) { bits = masks[wg.y * WORDS + first + i]; }
    words[i] = bits;
    counts[i] = countOneBits(bits);
  }
  workgroupBarrier();
  for (var i = tid; i < REGION; i += T) {
    var at = 0u;
    for (var k = 0u; k < i; k++) { at += counts[k]; }
    let y = (first + i) / ROW;
    let x = ((first + i) % ROW) * 32u;
    for (var bits = words[i]; bits != 0u; bits &= bits - 1u) {
      list[at] = (y << 16u) | (x + countTrailingZeros(bits));
      at++;
    }
  }
  if (tid == 0u) {
    var sum = 0u;
    for (var k = 0u; k < REGION; k++) { sum += counts[k]; }
    total = sum;
  }
  let count = workgroupUniformLoad(&total);
`;

/** Goes through the region's cells that are not active, a vector of channels at a time: `at` is its place in the state. */
export const inactive = (body: string) => `
  for (var i = tid; i < REGION * 32u * Q; i += T) {
    let c = i / Q;
    let word = first + c / 32u;
    let x = (word % ROW) * 32u + c % 32u;
    if (word < WORDS && x < W && ((words[c / 32u] >> (c & 31u)) & 1u) == 0u) {
      let at = (sample + (word / ROW) * W + x) * Q + i % Q;
      ${body}
    }
  }
`;

/** Perception of the tile's cells, not clipped, into rows `name`[K] of `MS` vectors: a component of a vector is a cell. */
export const perceive = (spec: KernelSpec, each: Each, name: string) => `
  for (var item = tid; item < M * Q; item += T) {
    let m = item / Q;
    let q = item % Q;
    let cell = list[min(begin + m, count - 1u)];
    let y = cell >> 16u;
    let x = cell & 0xffffu;
    let up = sample + select(y - 1u, H - 1u, y == 0u) * W;
    let row = sample + y * W;
    let down = sample + select(y + 1u, 0u, y == H - 1u) * W;
    let l = select(x - 1u, W - 1u, x == 0u);
    let r = select(x + 1u, 0u, x == W - 1u);
    let s0 = state[(up + l) * Q + q]; let s1 = state[(up + x) * Q + q]; let s2 = state[(up + r) * Q + q];
    let s3 = state[(row + l) * Q + q]; let s4 = state[(row + x) * Q + q]; let s5 = state[(row + r) * Q + q];
    let s6 = state[(down + l) * Q + q]; let s7 = state[(down + x) * Q + q]; let s8 = state[(down + r) * Q + q];
    let sx = ((s2 - s0) + 2.0 * (s5 - s3) + (s8 - s6)) * ${real(spec.filterScale)};
    let sy = ((s6 - s0) + 2.0 * (s7 - s1) + (s8 - s2)) * ${real(spec.filterScale)};
    let lap = ((s0 + s2 + s6 + s8) + 2.0 * (s1 + s3 + s5 + s7) - 12.0 * s4) * ${real(spec.filterScale)};
    let at = 16u * q * MS + m / 4u;
    let p = m % 4u;
    ${each(
      'i',
      4,
      `${name}[at + 4u * i * MS][p] = s4[i]; ${name}[at + (4u * i + 1u) * MS][p] = sx[i];
       ${name}[at + (4u * i + 2u) * MS][p] = sy[i]; ${name}[at + (4u * i + 3u) * MS][p] = lap[i];`,
    )}
  }
`;

/** `a`[j] = b1 + w1 perception for the 8 hidden units and the vector of cells of this thread. */
export const hiddenProduct = (spec: KernelSpec, each: Each, name: string) => `
  ${each('j', 8, 'a[j] = vec4f(weights[wbase + B1 + tn * 2u + j / 4u][j % 4u]);')}
  for (var k = 0u; k < K; k++) {
    let p = ${clipped(`${name}[k * MS + tm]`, spec.clip.perception)};
    let w = array<vec4f, 2>(weights[wbase + W1T + k * TN * 2u + tn * 2u], weights[wbase + W1T + k * TN * 2u + tn * 2u + 1u]);
    ${each('j', 8, 'a[j] = fma(vec4f(w[j / 4u][j % 4u]), p, a[j]);')}
  }
`;

/** `d` = b2 + w2 hidden for channel `c` and the vector of cells `m`, not clipped. */
export const updateProduct = (spec: KernelSpec, hidden: string) => `
    var d = vec4f(weights[wbase + B2 + c / 4u][c % 4u]);
    for (var j = 0u; j < N; j++) {
      d = fma(vec4f(weights[wbase + W2T + j * Q + c / 4u][c % 4u]), ${clipped(`${hidden}[j * MS + m]`, spec.clip.hidden, 0)}, d);
    }
`;

export { TILE };
