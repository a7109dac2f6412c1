/**
 * The transpose of a step. Perception and hidden units are computed again from the state before it. The gradient of each cell's perception goes to
 * memory and is gathered by the next kernel: nothing is added by two threads at once, so that sums have one order. Weight gradients are summed per
 * region, over all steps.
 */
import { type Cut, type KernelSpec, outerTile, type PackedLayout } from './plan.ts';
import {
  clipped,
  dimensions,
  type Each,
  header,
  hiddenProduct,
  inactive,
  LIST,
  perceive,
  real,
  updateProduct,
} from './wgsl.ts';

/** Offsets of the flat weights. */
export interface FlatOffsets {
  readonly w1: number;
  readonly b1: number;
  readonly w2: number;
  /** -1 without an output bias. */
  readonly b2: number;
  readonly length: number;
}

/** Takes the gradients of the tile's new states back through state clip and update clip; what is theirs past the update goes to `after`. */
function unclip({ clip }: KernelSpec, each: Each): string {
  if (clip.update === null && clip.state === null) return '';
  const update = clip.update === null ? 'd' : `within(d, ${real(-clip.update)}, ${real(clip.update)})`;
  const own =
    clip.state === null
      ? ''
      : `var before = vec4f(0.0);
      ${each('i', 4, 'let at_i = (sample + cellOf(list[min(begin + m * 4u + i, count - 1u)])) * C + c; before[i] = state[at_i / 4u][at_i % 4u];')}
      g = inside(g, before + ${update}, ${real(clip.state)});
      ${each('i', 4, 'let m_i = begin + m * 4u + i; if (m_i < count) { after[(sample + cellOf(list[m_i])) * C + c] = g[i]; }')}`;
  return `
    for (var item = tid; item < C * (M / 4u); item += T) {
      let c = item % C;
      let m = item / C;
      ${updateProduct({ ...({ clip } as KernelSpec) }, 'S')}
      var g = G[c * MS + m];
      ${own}
      ${clip.update === null ? '' : `g = inside(g, d, ${real(clip.update)});`}
      G[c * MS + m] = g;
    }
    workgroupBarrier();`;
}

/** Bindings: state, packed weights, mask words, gradient of the later state (changed by a state clip), of perceptions, of weights by region, the torus. */
export function backwardCode(
  spec: KernelSpec,
  layout: PackedLayout,
  cut: Cut,
  flat: FlatOffsets,
  each: Each,
): string {
  const { clip } = spec;
  const w1 = outerTile(layout.hidden, layout.inputs, cut.threads);
  const w2 = outerTile(layout.hidden, layout.channels, cut.threads);
  const isReal = { hidden: spec.hidden < layout.hidden, channels: spec.channels < layout.channels };
  const guard = (text: string, ...conditions: (string | false)[]) => {
    const needed = conditions.filter(condition => condition !== false);
    return needed.length === 0 ? text : `if (${needed.join(' && ')}) { ${text} }`;
  };
  const gate =
    clip.hidden === null ? 'h > vec4f(0.0)' : `(h > vec4f(0.0)) & (h <= vec4f(${real(clip.hidden)}))`;
  return `
@group(0) @binding(0) var<storage, read> state: array<vec4f>;
@group(0) @binding(1) var<storage, read> weights: array<vec4f>;
@group(0) @binding(2) var<storage, read> masks: array<u32>;
@group(0) @binding(3) var<storage, read_write> after: array<f32>;
@group(0) @binding(4) var<storage, read_write> dP: array<vec4f>;
@group(0) @binding(5) var<storage, read_write> part: array<f32>;
${dimensions(6)}${header(layout, cut)}
var<workgroup> P: array<vec4f, ${layout.inputs * cut.stride}>;
var<workgroup> S: array<vec4f, ${layout.hidden * cut.stride}>;
var<workgroup> G: array<vec4f, ${layout.channels * cut.stride}>;
@compute @workgroup_size(${cut.threads})
fn main(@builtin(workgroup_id) wg: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) tid: u32) {
  let wbase = (wg.y % (arrayLength(&weights) / PACKED)) * PACKED;
  let tm = tid / TN;
  let tn = tid % TN;
  let j1 = tid / ${w1.across}u;
  let k1 = tid % ${w1.across}u;
  let j2 = tid / ${w2.across}u;
  let c2 = tid % ${w2.across}u;
  let sums1 = tid < ${w1.down * w1.across}u;
  let sums2 = tid < ${w2.down * w2.across}u;
  var q: array<f32, ${w1.rows * w1.columns}>;
  var b: array<f32, ${w1.rows}>;
  var u: array<f32, ${w2.rows * w2.columns}>;
  var o: array<f32, ${w2.columns}>;
  var a: array<vec4f, 8>;
  ${LIST}
  ${
    clip.state === null
      ? ''
      : inactive(`let v = state[at]; let g = inside(vec4f(after[at * 4u], after[at * 4u + 1u], after[at * 4u + 2u], after[at * 4u + 3u]), v, ${real(clip.state)});
      after[at * 4u] = g.x; after[at * 4u + 1u] = g.y; after[at * 4u + 2u] = g.z; after[at * 4u + 3u] = g.w;`)
  }
  for (var begin = 0u; begin < count; begin += M) {
    ${perceive(spec, each, 'P')}
    for (var i = tid; i < M * C; i += T) {
      let m = i / C;
      let c = i % C;
      G[c * MS + m / 4u][m % 4u] = select(0.0, after[(sample + cellOf(list[min(begin + m, count - 1u)])) * C + c], begin + m < count);
    }
    workgroupBarrier();
    ${hiddenProduct(spec, each, 'P')}
    ${each('j', 8, 'S[(tn * 8u + j) * MS + tm] = relu(a[j]);')}
    workgroupBarrier();
    ${unclip(spec, each)}
    if (sums2) {
      for (var v = 0u; v < M / 4u; v++) {
        var h: array<vec4f, ${w2.rows}>;
        ${each('j', w2.rows, `h[j] = ${clipped(`S[(j2 + ${w2.down}u * j) * MS + v]`, clip.hidden, 0)};`)}
        ${each(
          'c',
          w2.columns,
          `let g_c = G[(c2 + ${w2.across}u * c) * MS + v]; o[c] += dot(g_c, vec4f(1.0));
          ${each('j', w2.rows, `u[j * ${w2.columns}u + c] += dot(g_c, h[j]);`)}`,
        )}
      }
    }
    workgroupBarrier();
    ${each('j', 8, 'a[j] = vec4f(0.0);')}
    for (var c = 0u; c < C; c++) {
      let g = G[c * MS + tm];
      let w = array<vec4f, 2>(weights[wbase + W2 + c * TN * 2u + tn * 2u], weights[wbase + W2 + c * TN * 2u + tn * 2u + 1u]);
      ${each('j', 8, 'a[j] = fma(vec4f(w[j / 4u][j % 4u]), g, a[j]);')}
    }
    ${each('j', 8, `let at_j = (tn * 8u + j) * MS + tm; let h = S[at_j]; S[at_j] = select(vec4f(0.0), a[j], ${gate});`)}
    workgroupBarrier();
    if (sums1) {
      for (var v = 0u; v < M / 4u; v++) {
        var p: array<vec4f, ${w1.columns}>;
        ${each('k', w1.columns, `p[k] = ${clipped(`P[(k1 + ${w1.across}u * k) * MS + v]`, clip.perception)};`)}
        ${each(
          'j',
          w1.rows,
          `let h_j = S[(j1 + ${w1.down}u * j) * MS + v]; b[j] += dot(h_j, vec4f(1.0));
          ${each('k', w1.columns, `q[j * ${w1.columns}u + k] += dot(h_j, p[k]);`)}`,
        )}
      }
    }
    for (var item = tid; item < C * (M / 4u); item += T) {
      let c = item % C;
      let m = item / C;
      var e: array<vec4f, 4>;
      ${each('i', 4, 'e[i] = vec4f(0.0);')}
      for (var j = 0u; j < N; j++) {
        let w = weights[wbase + W1 + j * C + c];
        let h = S[j * MS + m];
        ${each('i', 4, 'e[i] = fma(vec4f(h[i]), w, e[i]);')}
      }
      ${each(
        'i',
        4,
        `let m_i = begin + m * 4u + i;
        if (m_i < count) {
          ${
            clip.perception === null
              ? ''
              : `let seen = vec4f(P[4u * c * MS + m][i], P[(4u * c + 1u) * MS + m][i], P[(4u * c + 2u) * MS + m][i], P[(4u * c + 3u) * MS + m][i]);
          e[i] = inside(e[i], seen, ${real(clip.perception)});`
          }
          dP[(sample + cellOf(list[m_i])) * C + c] = e[i];
        }`,
      )}
    }
    workgroupBarrier();
  }
  let out = (wg.y * groups.x + wg.x) * ${flat.length}u;
  if (sums1) {
    ${each(
      'j',
      w1.rows,
      `let row_j = j1 + ${w1.down}u * j;
      ${each(
        'k',
        w1.columns,
        guard(
          `part[out + ${flat.w1}u + row_j * ${4 * spec.channels}u + k1 + ${w1.across}u * k] += q[j * ${w1.columns}u + k];`,
          isReal.hidden && `row_j < ${spec.hidden}u`,
          isReal.channels && `k1 + ${w1.across}u * k < ${4 * spec.channels}u`,
        ),
      )}
      ${guard(`part[out + ${flat.b1}u + row_j] += b[j];`, 'k1 == 0u', isReal.hidden && `row_j < ${spec.hidden}u`)}`,
    )}
  }
  if (sums2) {
    ${each(
      'c',
      w2.columns,
      `let channel_c = c2 + ${w2.across}u * c;
      ${each(
        'j',
        w2.rows,
        guard(
          `part[out + ${flat.w2}u + channel_c * ${spec.hidden}u + j2 + ${w2.down}u * j] += u[j * ${w2.columns}u + c];`,
          isReal.channels && `channel_c < ${spec.channels}u`,
          isReal.hidden && `j2 + ${w2.down}u * j < ${spec.hidden}u`,
        ),
      )}
      ${flat.b2 < 0 ? '' : guard(`part[out + ${flat.b2}u + channel_c] += o[c];`, 'j2 == 0u', isReal.channels && `channel_c < ${spec.channels}u`)}`,
    )}
  }
}`;
}
