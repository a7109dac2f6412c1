/** Number by number: activations with their slopes, what tfjs-backend-webgpu has wrong (NaN, small numbers, long sums), and Adam. */
import type { TensorInfo } from '@tensorflow/tfjs-core';
import { bits, flat, ITEM, ITEM_ARGUMENTS, type LoomGpuBackend, type Shader, sizeOf } from './backend.ts';
import { define } from './kernels.ts';

/** NaN by its bits: WGSL may take any comparison with it for whatever it likes. */
const FUNCTIONS = `
fn lost(v: f32) -> bool { return (bitcast<u32>(v) & 0x7fffffffu) > 0x7f800000u; }
fn endless(v: f32) -> bool { return (bitcast<u32>(v) & 0x7fffffffu) == 0x7f800000u; }
// exp(v) - 1: a series near 0, where the difference would lose everything.
fn expMinusOne(v: f32) -> f32 {
  let series = v * (1.0 + v * (0.5 + v * (0.16666667 + v * (0.041666668 + v * (0.0083333338 + v * 0.0013888889)))));
  return select(exp(v) - 1.0, series, abs(v) < 0.3);
}
// log(1 + v) = log(u) v / (u - 1), u = 1 + v as it rounds (Kahan).
fn logOnePlus(v: f32) -> f32 {
  let u = 1.0 + v;
  let d = u - 1.0;
  let near = v * (1.0 - v * (0.5 - v * (0.33333334 - v * 0.25)));
  return select(log(u) * (v / select(d, 1.0, d == 0.0)), near, abs(v) < 0.01);
}
// Series near 0, then Abramowitz and Stegun 7.1.26: within 2e-7.
fn erfOf(v: f32) -> f32 {
  let s = v * v;
  let near = 1.1283792 * v * (1.0 - s * (0.33333334 - s * (0.1 - s * (0.023809524 - s * (0.0046296297 - s * 0.00075757576)))));
  let t = 1.0 / (1.0 + 0.3275911 * abs(v));
  let far = 1.0 - t * (0.2548296 + t * (-0.28449674 + t * (1.4214138 + t * (-1.4531521 + t * 1.0614054)))) * exp(-s);
  return select(sign(v) * far, near, abs(v) < 0.7);
}
`;

/** y = f(a, b, ...) of tensors of one size. */
function mapped(
  label: string,
  names: readonly string[],
  body: string,
  out = 'f32',
  read: Record<string, string> = {},
): Shader {
  return {
    label,
    code: `
@group(0) @binding(0) var<storage, read_write> y: array<${out}>;
${names.map((name, i) => `@group(0) @binding(${i + 1}) var<storage, read> in_${name}: array<${read[name] ?? 'f32'}>;`).join('\n')}
@group(0) @binding(${names.length + 1}) var<storage, read> numbers: array<u32>;
${FUNCTIONS}
@compute @workgroup_size(64) fn main(${ITEM_ARGUMENTS}) {
  ${ITEM}
  if (item >= numbers[0]) { return; }
  ${names.map(name => `let ${name} = in_${name}[item];`).join(' ')}
  y[item] = ${body};
}`,
  };
}

function map(
  backend: LoomGpuBackend,
  shader: Shader,
  inputs: TensorInfo[],
  dtype: 'float32' | 'bool' = 'float32',
) {
  const y = backend.output(inputs[0].shape, dtype);
  const size = sizeOf(y);
  backend.compute(shader, inputs, [y], Uint32Array.of(size), flat(size));
  return y;
}

const unary: Record<string, string> = {
  Relu: 'select(max(x, 0.0), x, lost(x))',
  Elu: 'select(select(expMinusOne(x), x, x > 0.0), x, lost(x))',
  Expm1: 'select(expMinusOne(x), x, lost(x))',
  Log1p: 'select(logOnePlus(x), x, lost(x) || (endless(x) && x > 0.0))',
  Erf: 'select(erfOf(x), x, lost(x))',
  Gelu: '0.5 * x * (1.0 + erfOf(0.70710678 * x))',
};
for (const [name, body] of Object.entries(unary)) {
  const shader = mapped(name, ['x'], body);
  define(name, ({ x }, _, backend) => (x.dtype === 'float32' ? map(backend, shader, [x]) : undefined));
}

const tests: Record<string, string> = {
  IsNan: 'select(0, 1, lost(x))',
  IsInf: 'select(0, 1, endless(x))',
  IsFinite: 'select(1, 0, lost(x) || endless(x))',
};
for (const [name, body] of Object.entries(tests)) {
  const shader = mapped(name, ['x'], body, 'i32');
  define(name, ({ x }, _, backend) =>
    x.dtype === 'float32' ? map(backend, shader, [x], 'bool') : undefined,
  );
}

/** Gradients from dy and what was kept: relu's and GELU's input, the others' output. */
const slopes: Record<string, string> = {
  ReluSlope: 'select(0.0, a, b > 0.0)',
  TanhSlope: 'a * (1.0 - b * b)',
  SigmoidSlope: 'a * b * (1.0 - b)',
  GeluSlope: 'a * (0.5 * (1.0 + erfOf(0.70710678 * b)) + b * 0.39894228 * exp(-0.5 * b * b))',
};
for (const [name, body] of Object.entries(slopes)) {
  const shader = mapped(name, ['a', 'b'], body);
  define(name, ({ a, b }, _, backend) => map(backend, shader, [a, b]));
}

const ADD = mapped('sum of tensors', ['a', 'b'], 'a + b');
/** Two at a time: all at once, more than a shader may bind would give old memory without a word. */
define('AddN', (inputs, _, backend) => {
  const list = Object.values(inputs);
  if (list.some(x => x.dtype !== 'float32') || list.length < 2) return undefined;
  let sum = list[0];
  for (let i = 1; i < list.length; i++) {
    const next = map(backend, ADD, [sum, list[i]]);
    if (sum !== list[0]) backend.drop(sum);
    sum = next;
  }
  return sum;
});

/** \`numbers\`: size, then by their bits beta1, beta2, rate, correction, epsilon, keep, scale. */
const ADAM: Shader = {
  label: 'Adam',
  code: `
@group(0) @binding(0) var<storage, read_write> value: array<f32>;
@group(0) @binding(1) var<storage, read_write> first: array<f32>;
@group(0) @binding(2) var<storage, read_write> second: array<f32>;
@group(0) @binding(3) var<storage, read> gradient: array<f32>;
@group(0) @binding(4) var<storage, read> numbers: array<u32>;
@compute @workgroup_size(64) fn main(${ITEM_ARGUMENTS}) {
  ${ITEM}
  if (item >= numbers[0]) { return; }
  let beta1 = bitcast<f32>(numbers[1]); let beta2 = bitcast<f32>(numbers[2]);
  let g = gradient[item] * bitcast<f32>(numbers[7]);
  let m = beta1 * first[item] + bitcast<f32>(numbers[8]) * g;
  let v = beta2 * second[item] + bitcast<f32>(numbers[9]) * g * g;
  first[item] = m;
  second[item] = v;
  value[item] = bitcast<f32>(numbers[6]) * value[item]
    - bitcast<f32>(numbers[3]) * m / (sqrt(v) * bitcast<f32>(numbers[4]) + bitcast<f32>(numbers[5]));
}`,
};

/** Settings of one step of Adam, as src/tensor/fused.ts has them. */
export interface AdamNumbers {
  readonly beta1: number;
  readonly beta2: number;
  readonly rate: number;
  readonly correction: number;
  readonly epsilon: number;
  readonly keep: number;
  readonly scale: number;
}

/** Updates a variable and its moments in place; nobody else may hold their numbers. */
export function adamInPlace(
  backend: LoomGpuBackend,
  [value, first, second]: readonly TensorInfo[],
  gradient: TensorInfo,
  { beta1, beta2, rate, correction, epsilon, keep, scale }: AdamNumbers,
): void {
  const size = sizeOf(value);
  const settings = [beta1, beta2, rate, correction, epsilon, keep, scale, 1 - beta1, 1 - beta2];
  backend.compute(
    ADAM,
    [gradient],
    [value, first, second],
    Uint32Array.of(size, ...settings.map(bits)),
    flat(size),
    true,
  );
}
