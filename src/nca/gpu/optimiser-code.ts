/** Adam on many NCAs at once, each block's gradient first brought to unit length (src/nca/training/optimiser.ts has the rule). */
import type { WeightBlock } from '../layout.ts';

/** Whether a float is finite, by its bits. */
const FINITE = 'fn isFinite(v: f32) -> bool { return (bitcast<u32>(v) & 0x7f800000u) != 0x7f800000u; }';

/**
 * Norms of the blocks of each NCA's gradient [N, 4], and whether all are finite: then its updates are one more, else `diverged` is 1. A workgroup
 * is an NCA.
 */
export const normsCode = (blocks: readonly WeightBlock[], count: number) => `
@group(0) @binding(0) var<storage, read> gradient: array<f32>;
@group(0) @binding(1) var<storage, read_write> norms: array<f32>;
@group(0) @binding(2) var<storage, read_write> updates: array<u32>;
@group(0) @binding(3) var<storage, read_write> diverged: array<u32>;
${FINITE}
var<workgroup> sums: array<f32, 64>;
@compute @workgroup_size(64) fn main(@builtin(workgroup_id) wg: vec3u, @builtin(local_invocation_index) tid: u32) {
  let begins = array<u32, ${blocks.length}>(${blocks.map(({ offset }) => `${offset}u`).join(', ')});
  let ends = array<u32, ${blocks.length}>(${blocks.map(({ offset, size }) => `${offset + size}u`).join(', ')});
  var fine = true;
  for (var block = 0u; block < ${blocks.length}u; block++) {
    var sum = 0.0;
    for (var i = begins[block] + tid; i < ends[block]; i += 64u) {
      let g = gradient[wg.x * ${count}u + i];
      sum += g * g;
    }
    sums[tid] = sum;
    workgroupBarrier();
    for (var half = 32u; half > 0u; half /= 2u) {
      if (tid < half) { sums[tid] += sums[tid + half]; }
      workgroupBarrier();
    }
    if (tid == 0u) {
      norms[wg.x * 4u + block] = sqrt(sums[0]);
      fine = fine && isFinite(sums[0]);
    }
    workgroupBarrier();
  }
  if (tid == 0u) {
    diverged[wg.x] = select(1u, 0u, fine);
    if (fine) { updates[wg.x] += 1u; }
  }
}`;

/**
 * One update of every NCA that did not diverge. `rates`: learning rate, then for t = 0, 1, ... 1 / (1 - beta1^t) and 1 / sqrt(1 - beta2^t), which
 * float32 would lose for small t.
 */
export const adamCode = (blocks: readonly WeightBlock[], count: number) => `
@group(0) @binding(0) var<storage, read> gradient: array<f32>;
@group(0) @binding(1) var<storage, read> norms: array<f32>;
@group(0) @binding(2) var<storage, read> updates: array<u32>;
@group(0) @binding(3) var<storage, read> diverged: array<u32>;
@group(0) @binding(4) var<storage, read> rates: array<f32>;
@group(0) @binding(5) var<storage, read_write> first: array<f32>;
@group(0) @binding(6) var<storage, read_write> second: array<f32>;
@group(0) @binding(7) var<storage, read_write> weights: array<f32>;
@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3u) {
  let i = id.x;
  let n = id.y;
  if (i >= ${count}u || diverged[n] != 0u) { return; }
  var block = 0u;
  ${blocks
    .slice(1)
    .map(({ offset }, b) => `if (i >= ${offset}u) { block = ${b + 1}u; }`)
    .join(' ')}
  let at = n * ${count}u + i;
  let slope = gradient[at] / (norms[n * 4u + block] + 1e-8);
  let t = updates[n];
  let m = 0.9 * first[at] + 0.1 * slope;
  let v = 0.999 * second[at] + 0.001 * slope * slope;
  first[at] = m;
  second[at] = v;
  weights[at] -= rates[0] * rates[1u + 2u * t] * m / (sqrt(v) * rates[2u + 2u * t] + 1e-8);
}`;

/** The final states of one slot of the batch go to the pool; those of NCAs that diverged become the seed state. `task`: first sample, floats of a state. */
export const SETTLE = `
@group(0) @binding(0) var<storage, read> last: array<f32>;
@group(0) @binding(1) var<storage, read> diverged: array<u32>;
@group(0) @binding(2) var<storage, read> task: array<u32>;
@group(0) @binding(3) var<storage, read_write> pool: array<f32>;
@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x >= task[1]) { return; }
  let at = id.y * task[1] + id.x;
  pool[at] = select(0.0, last[task[0] * task[1] + at], diverged[id.y] == 0u);
}`;

/** What is read back: the mean loss of each NCA, then whether it diverged. `task`: NCAs, samples of each, parts of a sample's loss. */
export const REPORT = `
@group(0) @binding(0) var<storage, read> losses: array<f32>;
@group(0) @binding(1) var<storage, read> diverged: array<u32>;
@group(0) @binding(2) var<storage, read> task: array<u32>;
@group(0) @binding(3) var<storage, read_write> report: array<f32>;
@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3u) {
  let n = id.x;
  if (n >= task[0]) { return; }
  var sum = 0.0;
  for (var b = 0u; b < task[1]; b++) {
    for (var i = 0u; i < task[2]; i++) { sum += losses[(b * task[0] + n) * task[2] + i]; }
  }
  report[n] = sum / f32(task[1]);
  report[task[0] + n] = f32(diverged[n]);
}`;
