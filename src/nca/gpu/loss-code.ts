/**
 * Kernels of the patch sliced Wasserstein loss (src/nca/texture-loss.ts has its formula). A pass is one plane of the pyramid and a group of eight
 * filters; everything that varies from pass to pass is read from memory, so that few programs serve all sizes.
 */

/** Filters of a pass. */
export const GROUP = 8;

/** Order of floats as unsigned integers, and back. NaN lies at the ends, as in the CPU's sort. */
const KEYS = `
fn keyOf(v: f32) -> u32 { let bits = bitcast<u32>(v); return bits ^ select(0x80000000u, 0xffffffffu, (bits >> 31u) == 1u); }
fn valueOf(key: u32) -> f32 { return bitcast<f32>(key ^ select(0xffffffffu, 0x80000000u, (key >> 31u) == 1u)); }
`;

/** A plane and its passes: `at` [height, width, rows and columns of positions, padded positions, wrap]. */
const PLANE = `
  let H = at[0]; let W = at[1]; let ROWS = at[2]; let COLUMNS = at[3]; let COUNT = ROWS * COLUMNS; let PADDED = at[4];
`;

/** States [samples, H, W, channels] to pictures [samples, H, W, 3]. `task`: cells in all. */
export const pictureCode = (channels: number, scale: string, offset: string) => `
@group(0) @binding(0) var<storage, read> state: array<f32>;
@group(0) @binding(1) var<storage, read> task: array<u32>;
@group(0) @binding(2) var<storage, read_write> picture: array<f32>;
@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let cell = id.y * groups.x * 64u + id.x;
  if (cell >= task[0]) { return; }
  for (var c = 0u; c < 3u; c++) { picture[cell * 3u + c] = ${scale} * state[cell * ${channels}u + c] + ${offset}; }
}`;

/** A plane of half the size: means of 2 x 2. `at`: that of the smaller plane; `task`: height and width of the larger. */
export const HALVE = `
@group(0) @binding(0) var<storage, read> large: array<f32>;
@group(0) @binding(1) var<storage, read> task: array<u32>;
@group(0) @binding(2) var<storage, read_write> small: array<f32>;
@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3u) {
  let H = task[0] / 2u;
  let W = task[1] / 2u;
  if (id.x >= H * W * 3u) { return; }
  let c = id.x % 3u;
  let x = (id.x / 3u) % W;
  let y = id.x / (3u * W);
  let row = 3u * task[1];
  let at = id.y * task[0] * row + 2u * y * row + 6u * x + c;
  small[id.y * H * W * 3u + id.x] = (large[at] + large[at + 3u] + large[at + row] + large[at + row + 3u]) * 0.25;
}`;

/** Projects every patch of a plane on the eight filters of a group: (key, position) [samples, 8, padded], what is beyond the end last. */
export const projectCode = (patch: number) => `
@group(0) @binding(0) var<storage, read> plane: array<f32>;
@group(0) @binding(1) var<storage, read> at: array<u32>;
@group(0) @binding(2) var<storage, read> filters: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> pairs: array<vec2u>;
${KEYS}
@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3u) {
  ${PLANE}
  let r = id.x;
  if (r >= PADDED) { return; }
  var low = vec4f(0.0);
  var high = vec4f(0.0);
  let inside = r < COUNT;
  if (inside) {
    let y = r / COLUMNS;
    let x = r % COLUMNS;
    var tap = 0u;
    for (var dy = 0u; dy < ${patch}u; dy++) {
      let row = (id.y * H + (y + dy) % H) * W;
      for (var dx = 0u; dx < ${patch}u; dx++) {
        let pixel = 3u * (row + (x + dx) % W);
        for (var c = 0u; c < 3u; c++) {
          let v = vec4f(plane[pixel + c]);
          low = fma(v, filters[2u * tap], low);
          high = fma(v, filters[2u * tap + 1u], high);
          tap++;
        }
      }
    }
  }
  for (var f = 0u; f < 8u; f++) {
    let v = select(low[f % 4u], high[f % 4u], f >= 4u);
    pairs[(id.y * 8u + f) * PADDED + r] = select(vec2u(0xffffffffu), vec2u(keyOf(v), r), inside);
  }
}`;

const GREATER = 'fn greater(a: vec2u, b: vec2u) -> bool { return a.x > b.x || (a.x == b.x && a.y > b.y); }';

/**
 * Bitonic stages inside pieces of `piece` pairs, in a workgroup's memory (Batcher 1968). `task`: first and last length of the sequences that are
 * merged, length of a row.
 */
export const sortCode = (piece: number, threads: number) => `
@group(0) @binding(0) var<storage, read_write> pairs: array<vec2u>;
@group(0) @binding(1) var<storage, read> task: array<u32>;
var<workgroup> held: array<vec2u, ${piece}>;
${GREATER}
@compute @workgroup_size(${threads}) fn main(@builtin(workgroup_id) wg: vec3u, @builtin(local_invocation_index) tid: u32) {
  let begin = wg.x * ${piece}u;
  let row = wg.y * task[2] + begin;
  for (var i = tid; i < ${piece}u; i += ${threads}u) { held[i] = pairs[row + i]; }
  workgroupBarrier();
  for (var k = task[0]; k <= task[1]; k *= 2u) {
    for (var j = min(k, ${piece}u) / 2u; j > 0u; j /= 2u) {
      for (var t = tid; t < ${piece / 2}u; t += ${threads}u) {
        let i = 2u * t - (t & (j - 1u));
        let a = held[i];
        let b = held[i + j];
        if (greater(a, b) == (((begin + i) & k) == 0u)) { held[i] = b; held[i + j] = a; }
      }
      workgroupBarrier();
    }
  }
  for (var i = tid; i < ${piece}u; i += ${threads}u) { pairs[row + i] = held[i]; }
}`;

/** One bitonic stage between pairs farther apart than a piece. `task`: length of the sequences, distance, length of a row. */
export const EXCHANGE = `
@group(0) @binding(0) var<storage, read_write> pairs: array<vec2u>;
@group(0) @binding(1) var<storage, read> task: array<u32>;
${GREATER}
@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3u) {
  let t = id.x;
  let j = task[1];
  if (t >= task[2] / 2u) { return; }
  let i = 2u * t - (t & (j - 1u));
  let at = id.y * task[2] + i;
  let a = pairs[at];
  let b = pairs[at + j];
  if (greater(a, b) == ((i & task[0]) == 0u)) { pairs[at] = b; pairs[at + j] = a; }
}`;

/** A target's order statistics at the picture's quantiles, linear between them: [targets, 8, positions]. `task`: padded and real positions of the target, positions of the picture. */
export const TABULATE = `
@group(0) @binding(0) var<storage, read> pairs: array<vec2u>;
@group(0) @binding(1) var<storage, read> task: array<u32>;
@group(0) @binding(2) var<storage, read_write> quantiles: array<f32>;
${KEYS}
@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3u) {
  let count = task[2];
  let known = task[1];
  let row = id.y * task[0];
  if (id.x >= count) { return; }
  var wanted = valueOf(pairs[row + min(id.x, known - 1u)].x);
  if (known != count) {
    let place = clamp((f32(id.x) + 0.5) * (f32(known) / f32(count)) - 0.5, 0.0, f32(known - 1u));
    let below = u32(place);
    let low = valueOf(pairs[row + below].x);
    wanted = low + (place - f32(below)) * (valueOf(pairs[row + min(below + 1u, known - 1u)].x) - low);
  }
  quantiles[id.y * count + id.x] = wanted;
}`;

/**
 * Differences from the quantiles, put back to where their values came from, [samples, 8, positions] times 2 factor / positions, and the loss of each
 * filter at `losses` [samples, filters of all passes]. Sample b has target b % targets. `task`: targets, filters of all passes, first of this one.
 */
export const distanceCode = (factor: string) => `
@group(0) @binding(0) var<storage, read> pairs: array<vec2u>;
@group(0) @binding(1) var<storage, read> at: array<u32>;
@group(0) @binding(2) var<storage, read> task: array<u32>;
@group(0) @binding(3) var<storage, read> quantiles: array<f32>;
@group(0) @binding(4) var<storage, read_write> slopes: array<f32>;
@group(0) @binding(5) var<storage, read_write> losses: array<f32>;
${KEYS}
var<workgroup> sums: array<f32, 64>;
@compute @workgroup_size(64) fn main(@builtin(workgroup_id) wg: vec3u, @builtin(local_invocation_index) tid: u32) {
  let COUNT = at[2] * at[3];
  let PADDED = at[4];
  let row = wg.y * 8u + wg.x;
  let target_row = (wg.y % task[0]) * 8u + wg.x;
  let slope = 2.0 * ${factor} / f32(COUNT);
  var sum = 0.0;
  for (var r = tid; r < COUNT; r += 64u) {
    let pair = pairs[row * PADDED + r];
    let difference = valueOf(pair.x) - quantiles[target_row * COUNT + r];
    sum += difference * difference;
    slopes[row * COUNT + min(pair.y, COUNT - 1u)] = slope * difference;
  }
  sums[tid] = sum;
  workgroupBarrier();
  for (var half = 32u; half > 0u; half /= 2u) {
    if (tid < half) { sums[tid] += sums[tid + half]; }
    workgroupBarrier();
  }
  if (tid == 0u) { losses[wg.y * task[1] + task[2] + wg.x] = sums[0] * ${factor} / f32(COUNT); }
}`;

/**
 * The texture loss of each sample, the sum of its parts, and the mean of what its state exceeds [-1, 1] by. A workgroup is a sample. `task`: parts,
 * cells of a sample.
 */
export const grownCode = (channels: number, real: number) => `
@group(0) @binding(0) var<storage, read> state: array<f32>;
@group(0) @binding(1) var<storage, read> losses: array<f32>;
@group(0) @binding(2) var<storage, read> task: array<u32>;
@group(0) @binding(3) var<storage, read_write> texture: array<f32>;
@group(0) @binding(4) var<storage, read_write> overflow: array<f32>;
var<workgroup> sums: array<f32, 64>;
@compute @workgroup_size(64) fn main(@builtin(workgroup_id) wg: vec3u, @builtin(local_invocation_index) tid: u32) {
  var sum = 0.0;
  for (var cell = tid; cell < task[1]; cell += 64u) {
    let at = (wg.x * task[1] + cell) * ${channels}u;
    for (var c = 0u; c < ${real}u; c++) {
      let beyond = abs(state[at + c]) - 1.0;
      // NaN by its bits, which are above those of infinity.
      sum += select(max(beyond, 0.0), beyond, (bitcast<u32>(beyond) & 0x7fffffffu) > 0x7f800000u);
    }
  }
  sums[tid] = sum;
  workgroupBarrier();
  for (var half = 32u; half > 0u; half /= 2u) {
    if (tid < half) { sums[tid] += sums[tid + half]; }
    workgroupBarrier();
  }
  if (tid == 0u) {
    overflow[wg.x] = sums[0] / f32(task[1] * ${real}u);
    var all = 0.0;
    for (var i = 0u; i < task[0]; i++) { all += losses[wg.x * task[0] + i]; }
    texture[wg.x] = all;
  }
}`;

/** The transpose of the projection, gathered: adds to the plane's gradient [samples, H, W, 3]. */
export const backProjectCode = (patch: number) => `
@group(0) @binding(0) var<storage, read> slopes: array<f32>;
@group(0) @binding(1) var<storage, read> at: array<u32>;
@group(0) @binding(2) var<storage, read> filters: array<f32>;
@group(0) @binding(3) var<storage, read_write> gradient: array<f32>;
@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3u) {
  ${PLANE}
  if (id.x >= H * W) { return; }
  let y = id.x / W;
  let x = id.x % W;
  let wraps = at[5] == 1u;
  var sum = vec3f(0.0);
  for (var dy = 0u; dy < ${patch}u; dy++) {
    // Where a patch began that has this pixel in its row dy.
    let py = select(y - dy, (y + H * ${patch}u - dy) % H, wraps);
    if (py >= ROWS) { continue; }
    for (var dx = 0u; dx < ${patch}u; dx++) {
      let px = select(x - dx, (x + W * ${patch}u - dx) % W, wraps);
      if (px >= COLUMNS) { continue; }
      let tap = 24u * (dy * ${patch}u + dx);
      for (var f = 0u; f < 8u; f++) {
        let slope = slopes[(id.y * 8u + f) * COUNT + py * COLUMNS + px];
        sum += slope * vec3f(filters[tap + f], filters[tap + 8u + f], filters[tap + 16u + f]);
      }
    }
  }
  let out = 3u * (id.y * H * W + id.x);
  for (var c = 0u; c < 3u; c++) { gradient[out + c] += sum[c]; }
}`;

/**
 * The gradient of the states from those of the planes and of the overflow sum |x - clamp(x, -1, 1)|. `planes`: their number, then offset, height and
 * width of each in `gradients`, per sample of the plane before the next plane. `overflow` is a factor.
 */
export const stateGradientCode = (channels: number, scale: string, overflow: string, real: number) => `
@group(0) @binding(0) var<storage, read> state: array<f32>;
@group(0) @binding(1) var<storage, read> planes: array<u32>;
@group(0) @binding(2) var<storage, read> gradients: array<f32>;
@group(0) @binding(3) var<storage, read_write> out: array<f32>;
@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3u) {
  let H = planes[2];
  let W = planes[3];
  if (id.x >= H * W) { return; }
  let y = id.x / W;
  let x = id.x % W;
  var sum = vec3f(0.0);
  for (var level = planes[0]; level > 0u; level--) {
    let l = level - 1u;
    let h = planes[2u + 3u * l];
    let w = planes[3u + 3u * l];
    let py = y >> l;
    let px = x >> l;
    sum *= 0.25;
    if (py < h && px < w) {
      let from_here = planes[1u + 3u * l] + 3u * ((id.y * h + py) * w + px);
      sum += vec3f(gradients[from_here], gradients[from_here + 1u], gradients[from_here + 2u]);
    } else { sum = vec3f(0.0); }
  }
  let cell = (id.y * H * W + id.x) * ${channels}u;
  for (var c = 0u; c < ${channels}u; c++) {
    let v = state[cell + c];
    var g = 0.0;
    if (c < ${real}u) { g = ${overflow} * select(select(0.0, -1.0, v < -1.0), 1.0, v > 1.0); }
    if (c < 3u) { g += ${scale} * sum[c]; }
    out[cell + c] = g;
  }
}`;
