/** One step of a batch, computing only the cells whose mask bit is 1. A workgroup is a region of one sample. */
import type { Cut, KernelSpec, PackedLayout } from './plan.ts';
import {
  clipped,
  dimensions,
  type Each,
  header,
  hiddenProduct,
  inactive,
  LIST,
  perceive,
  updateProduct,
} from './wgsl.ts';

/** Bindings: state, packed weights, mask words of the step, the next state, the torus. */
export const forwardCode = (spec: KernelSpec, layout: PackedLayout, cut: Cut, each: Each) => `
@group(0) @binding(0) var<storage, read> state: array<vec4f>;
@group(0) @binding(1) var<storage, read> weights: array<vec4f>;
@group(0) @binding(2) var<storage, read> masks: array<u32>;
@group(0) @binding(3) var<storage, read_write> next: array<f32>;
${dimensions(4)}${header(layout, cut)}
var<workgroup> S: array<vec4f, ${Math.max(layout.inputs, layout.hidden) * cut.stride}>;
@compute @workgroup_size(${cut.threads})
fn main(@builtin(workgroup_id) wg: vec3u, @builtin(local_invocation_index) tid: u32) {
  let wbase = (wg.y % (arrayLength(&weights) / PACKED)) * PACKED;
  let tm = tid / TN;
  let tn = tid % TN;
  ${LIST}
  ${inactive(`let v = ${clipped('state[at]', spec.clip.state)};
      next[at * 4u] = v.x; next[at * 4u + 1u] = v.y; next[at * 4u + 2u] = v.z; next[at * 4u + 3u] = v.w;`)}
  var a: array<vec4f, 8>;
  for (var begin = 0u; begin < count; begin += M) {
    ${perceive(spec, each, 'S')}
    workgroupBarrier();
    ${hiddenProduct(spec, each, 'S')}
    workgroupBarrier();
    ${each('j', 8, 'S[(tn * 8u + j) * MS + tm] = relu(a[j]);')}
    workgroupBarrier();
    for (var item = tid; item < C * (M / 4u); item += T) {
      let c = item % C;
      let m = item / C;
      ${updateProduct(spec, 'S')}
      d = ${clipped('d', spec.clip.update)};
      ${each(
        'i',
        4,
        `let m_i = begin + m * 4u + i;
        if (m_i < count) {
          let at = (sample + cellOf(list[m_i])) * C + c;
          let v = ${clipped('vec4f(state[at / 4u][at % 4u] + d[i])', spec.clip.state)};
          next[at] = v.x;
        }`,
      )}
    }
    workgroupBarrier();
  }
}`;
