/** The kernels around a step: masks, packing, the transpose of perception, sums of weight gradients. */
import type { FlatOffsets } from './backward-code.ts';
import type { KernelSpec, PackedLayout } from './plan.ts';
import { dimensions, readDimensions, real } from './wgsl.ts';

/** Mask words [steps, batch, words]; the hash of src/nca/masks.ts. `task`: first step, words of a step and from one to the next, seeds. */
export const masksCode = `
${dimensions(2)}@group(0) @binding(0) var<storage, read> task: array<u32>;
@group(0) @binding(1) var<storage, read_write> masks: array<u32>;
fn mix(a: u32) -> u32 {
  var x = (a ^ (a >> 16u)) * 0x7feb352du;
  x = (x ^ (x >> 15u)) * 0x846ca68bu;
  return x ^ (x >> 16u);
}
@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x >= task[1]) { return; }
  ${readDimensions}
  let b = id.x / WORDS;
  let at = id.x % WORDS;
  let y = at / ROW;
  let block = at % ROW;
  var word = mix(mix(mix(task[3u + b] ^ 0x9e3779b9u) ^ (task[0] + id.y)) ^ ((y << 16u) | block));
  if (block == ROW - 1u && W % 32u != 0u) { word &= (1u << (W % 32u)) - 1u; }
  masks[id.y * task[2] + id.x] = word;
}`;

/** Flat weights [rows, D] to packed ones, padding with zeros. */
export const packCode = (spec: KernelSpec, layout: PackedLayout, flat: FlatOffsets) => `
@group(0) @binding(0) var<storage, read> flat: array<f32>;
@group(0) @binding(1) var<storage, read_write> out: array<f32>;
const N = ${layout.hidden}u; const K = ${layout.inputs}u; const C = ${layout.channels}u;
@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x >= ${layout.length}u) { return; }
  let base = id.y * ${flat.length}u;
  let i = id.x;
  var j = 0u; var k = 0u; var c = 0u;
  // 0: w1[j, k], 1: b1[j], 2: w2[c, j], 3: b2[c]
  var what = 3u;
  if (i < ${layout.b1}u) { what = 0u; k = i / N; j = i % N; }
  else if (i < ${layout.w2Columns}u) { what = 1u; j = i - ${layout.b1}u; }
  else if (i < ${layout.w1}u) { what = 2u; j = (i - ${layout.w2Columns}u) / C; c = (i - ${layout.w2Columns}u) % C; }
  else if (i < ${layout.w2}u) { what = 0u; j = (i - ${layout.w1}u) / K; k = (i - ${layout.w1}u) % K; }
  else if (i < ${layout.b2}u) { what = 2u; c = (i - ${layout.w2}u) / N; j = (i - ${layout.w2}u) % N; }
  else { c = i - ${layout.b2}u; }
  var v = 0.0;
  if (j < ${spec.hidden}u && k < ${4 * spec.channels}u && c < ${spec.channels}u) {
    if (what == 0u) { v = flat[base + ${flat.w1}u + j * ${4 * spec.channels}u + k]; }
    else if (what == 1u) { v = flat[base + ${flat.b1}u + j]; }
    else if (what == 2u) { v = flat[base + ${flat.w2}u + c * ${spec.hidden}u + j]; }
    ${flat.b2 < 0 ? '' : `else { v = flat[base + ${flat.b2}u + c]; }`}
  }
  out[id.y * ${layout.length}u + i] = v;
}`;

/** Adds to each cell's own gradient what its nine neighbours' perceptions send back. */
export function gatherCode(spec: KernelSpec, { channels }: PackedLayout): string {
  const s = spec.filterScale;
  // By the place of the neighbour: filters seen from there.
  const filters = [
    [0, -1, -1, 1],
    [0, 0, -2, 2],
    [0, 1, -1, 1],
    [0, -2, 0, 2],
    [1, 0, 0, -12],
    [0, 2, 0, 2],
    [0, -1, 1, 1],
    [0, 0, 2, 2],
    [0, 1, 1, 1],
  ].map(([f, ...others]) => `vec4f(${[f, ...others.map(x => x * s)].map(real).join(', ')})`);
  return `
@group(0) @binding(0) var<storage, read> after: array<f32>;
@group(0) @binding(1) var<storage, read> dP: array<vec4f>;
@group(0) @binding(2) var<storage, read> masks: array<u32>;
@group(0) @binding(3) var<storage, read_write> before: array<f32>;
${dimensions(4)}const C = ${channels}u;
@compute @workgroup_size(192) fn main(@builtin(global_invocation_id) id: vec3u) {
  ${readDimensions}
  let cell = id.x / C;
  let c = id.x % C;
  if (cell >= CELLS) { return; }
  let filters = array<vec4f, 9>(${filters.join(', ')});
  let sample = id.y * CELLS;
  let y = cell / W;
  let x = cell % W;
  let ys = array<u32, 3>(select(y + 1u, 0u, y == H - 1u), y, select(y - 1u, H - 1u, y == 0u));
  let xs = array<u32, 3>(select(x + 1u, 0u, x == W - 1u), x, select(x - 1u, W - 1u, x == 0u));
  var sum = after[(sample + cell) * C + c];
  for (var k = 0u; k < 9u; k++) {
    let ny = ys[k / 3u];
    let nx = xs[k % 3u];
    if (((masks[id.y * WORDS + ny * ROW + nx / 32u] >> (nx & 31u)) & 1u) != 0u) {
      sum += dot(filters[k], dP[(sample + ny * W + nx) * C + c]);
    }
  }
  before[(sample + cell) * C + c] = sum;
}`;
}

/** Sums the regions of all samples of a row of weights, in their order: [batch, regions, D] to [rows, D]. `task`: batch, regions, rows. */
export const reduceCode = ({ length }: FlatOffsets) => `
@group(0) @binding(0) var<storage, read> part: array<f32>;
@group(0) @binding(1) var<storage, read> task: array<u32>;
@group(0) @binding(2) var<storage, read_write> gradient: array<f32>;
@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x >= ${length}u) { return; }
  var sum = 0.0;
  for (var b = id.y; b < task[0]; b += task[2]) {
    for (var r = 0u; r < task[1]; r++) { sum += part[(b * task[1] + r) * ${length}u + id.x]; }
  }
  gradient[id.y * ${length}u + id.x] = sum;
}`;
