/** Layer normalisation and softmax: a workgroup is a row. */
import type { TensorInfo } from '@tensorflow/tfjs-core';
import type { LoomGpuBackend } from './backend.ts';
import { define } from './kernels.ts';
import { SUMS, sumMiddle } from './reduce.ts';
import { bits, type Frame, lastOf, rows, type Shader, shaderOf, sizeOf } from './shader.ts';

/** The sum (or the largest) of what 64 threads hold, for all of them. */
const TOGETHER = `
var<workgroup> held: array<f32, 64>;
fn together(v: f32, tid: u32) -> f32 {
  workgroupBarrier();
  held[tid] = v;
  workgroupBarrier();
  for (var half = 32u; half > 0u; half /= 2u) {
    if (tid < half) { held[tid] += held[tid + half]; }
    workgroupBarrier();
  }
  return held[0];
}
fn largest(v: f32, tid: u32) -> f32 {
  workgroupBarrier();
  held[tid] = v;
  workgroupBarrier();
  for (var half = 32u; half > 0u; half /= 2u) {
    if (tid < half) { held[tid] = max(held[tid], held[tid + half]); }
    workgroupBarrier();
  }
  return held[0];
}
`;

/** A shader of a workgroup for every row: `numbers`: rows, length, and what else. Rows beyond the last do the last one's work and write nothing. */
const byRow = (label: string, frame: Frame, body: string): Shader =>
  shaderOf(
    label,
    { ...frame, before: TOGETHER },
    `let row = wg.y * groups.x + wg.x;
  let length = numbers[1];
  let start = min(row, numbers[0] - 1u) * length;
  ${body}`,
  );

/** Moments are mean and 1 / sqrt(variance + epsilon). `numbers`: rows, length, bits of epsilon. */
const NORM = byRow(
  'layer norm',
  { outputs: ['y', 'moments'], inputs: ['x', 'gain', 'bias'] },
  `
  var sum = 0.0;
  for (var i = tid; i < length; i += 64u) { sum += x[start + i]; }
  let mean = together(sum, tid) / f32(length);
  sum = 0.0;
  for (var i = tid; i < length; i += 64u) { let d = x[start + i] - mean; sum += d * d; }
  let scale = inverseSqrt(together(sum, tid) / f32(length) + bitcast<f32>(numbers[2]));
  if (row >= numbers[0]) { return; }
  for (var i = tid; i < length; i += 64u) { y[start + i] = (x[start + i] - mean) * scale * gain[i] + bias[i]; }
  if (tid == 0u) { moments[2u * row] = mean; moments[2u * row + 1u] = scale; }`,
);

/** dx, and dy times the normalised x, whose sum over rows is the gain's gradient. */
const NORM_GRADIENT = byRow(
  'layer norm gradient',
  { outputs: ['dx', 'parts'], inputs: ['dy', 'x', 'gain', 'moments'] },
  `
  let mean = moments[2u * min(row, numbers[0] - 1u)];
  let scale = moments[2u * min(row, numbers[0] - 1u) + 1u];
  var straight = 0.0;
  var along = 0.0;
  for (var i = tid; i < length; i += 64u) {
    let g = dy[start + i] * gain[i];
    straight += g;
    along += g * (x[start + i] - mean) * scale;
  }
  let a = together(straight, tid) / f32(length);
  let b = together(along, tid) / f32(length);
  if (row >= numbers[0]) { return; }
  for (var i = tid; i < length; i += 64u) {
    let n = (x[start + i] - mean) * scale;
    let g = dy[start + i];
    dx[start + i] = scale * (g * gain[i] - a - n * b);
    parts[start + i] = g * n;
  }`,
);

define('LoomLayerNorm', [NORM], ({ x, gain, bias }, { epsilon }, backend) => {
  const length = lastOf(x);
  const count = sizeOf(x) / length;
  const [y, moments] = [backend.output(x.shape), backend.output([count, 2])];
  backend.compute(
    NORM,
    [x, gain, bias],
    [y, moments],
    Uint32Array.of(count, length, bits(epsilon)),
    rows(count),
  );
  return [y, moments];
});

define('LoomLayerNormGradient', [NORM_GRADIENT, ...SUMS], ({ dy, x, gain, moments }, _, backend) => {
  const length = lastOf(x);
  const count = sizeOf(x) / length;
  const [dx, parts] = [backend.output(x.shape), backend.output(x.shape)];
  backend.compute(
    NORM_GRADIENT,
    [dy, x, gain, moments],
    [dx, parts],
    Uint32Array.of(count, length),
    rows(count),
  );
  const ofGain = sumMiddle(backend, parts, 1, count, length, gain.shape);
  backend.drop(parts);
  return [dx, ofGain, sumMiddle(backend, dy, 1, count, length, gain.shape)];
});

/** `numbers`: rows, length, rows of one sample. What `open` closes counts for nothing; a row with nothing open is 0. */
const softmaxShader = (masked: boolean): Shader =>
  byRow(
    'softmax',
    { outputs: ['y'], inputs: ['x', ...(masked ? ['open: i32'] : [])] },
    `
  let sample = (min(row, numbers[0] - 1u) / numbers[2]) * length;
  var most = -3.4e38;
  for (var i = tid; i < length; i += 64u) {
    ${masked ? 'if (open[sample + i] == 0) { continue; }' : ''}
    most = max(most, x[start + i]);
  }
  most = largest(most, tid);
  var sum = 0.0;
  for (var i = tid; i < length; i += 64u) {
    ${masked ? 'if (open[sample + i] == 0) { continue; }' : ''}
    sum += exp(x[start + i] - most);
  }
  let all = together(sum, tid);
  if (row >= numbers[0]) { return; }
  for (var i = tid; i < length; i += 64u) {
    var v = exp(x[start + i] - most) / all;
    ${masked ? 'if (open[sample + i] == 0) { v = 0.0; }' : ''}
    y[start + i] = v;
  }`,
  );
const SOFTMAX = softmaxShader(false);
const MASKED = softmaxShader(true);

/** Softmax of the last axis; `mask` [samples, length], each for `perSample` rows. */
export function softmax(
  backend: LoomGpuBackend,
  x: TensorInfo,
  mask?: TensorInfo,
  perSample = 1,
): TensorInfo {
  const length = lastOf(x);
  const count = sizeOf(x) / length;
  const y = backend.output(x.shape);
  const numbers = Uint32Array.of(count, length, perSample);
  backend.compute(mask ? MASKED : SOFTMAX, mask ? [x, mask] : [x], [y], numbers, rows(count));
  return y;
}

define('Softmax', [SOFTMAX], ({ logits }, { dim }, backend) =>
  (dim === -1 || dim === logits.shape.length - 1) && sizeOf(logits) > 0
    ? softmax(backend, logits)
    : undefined);

/** p (dp - <p, dp>) factor, by rows. `numbers`: rows, length, bits of the factor. */
const SOFTMAX_GRADIENT = byRow(
  'softmax gradient',
  { outputs: ['y'], inputs: ['p', 'dp'] },
  `
  var sum = 0.0;
  for (var i = tid; i < length; i += 64u) { sum += p[start + i] * dp[start + i]; }
  let all = together(sum, tid);
  if (row >= numbers[0]) { return; }
  for (var i = tid; i < length; i += 64u) {
    y[start + i] = p[start + i] * (dp[start + i] - all) * bitcast<f32>(numbers[2]);
  }`,
);

export function softmaxGradient(
  backend: LoomGpuBackend,
  p: TensorInfo,
  dp: TensorInfo,
  factor: number,
): TensorInfo {
  const length = lastOf(p);
  const count = sizeOf(p) / length;
  const y = backend.output(p.shape);
  backend.compute(SOFTMAX_GRADIENT, [p, dp], [y], Uint32Array.of(count, length, bits(factor)), rows(count));
  return y;
}

/** Softmax with and without a mask, and its gradient. */
export const SOFTMAXES: readonly Shader[] = [SOFTMAX, MASKED, SOFTMAX_GRADIENT];
