/** Number by number: activations with their slopes, and what tfjs-backend-webgpu has wrong (NaN, small numbers, long sums). */
import type { TensorInfo } from '@tensorflow/tfjs-core';
import type { LoomGpuBackend } from './backend.ts';
import { define } from './kernels.ts';
import { flat, perItem, type Shader, sizeOf } from './shader.ts';

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
// The derivative of v / 2 (1 + erf(v / sqrt 2)); far out its second part is 0, not infinity times 0.
fn geluSlope(v: f32) -> f32 {
  let near = clamp(v, -14.0, 14.0);
  return 0.5 * (1.0 + erfOf(0.70710678 * v)) + near * 0.39894228 * exp(-0.5 * near * near);
}
`;

/** y = f(a, b, ...) of tensors of one size. */
const mapped = (label: string, names: readonly string[], body: string, out = 'f32'): Shader =>
  perItem(
    label,
    { outputs: [`y: ${out}`], inputs: names.map(name => `in_${name}`), before: FUNCTIONS },
    `${names.map(name => `let ${name} = in_${name}[item];`).join(' ')}\ny[item] = ${body};`,
  );

/** A shader of `mapped` on tensors of one size. */
export function map(
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
  define(
    name,
    [shader],
    ({ x }, _, backend) => (x.dtype === 'float32' ? map(backend, shader, [x]) : undefined),
    {
      needed: name !== 'Gelu',
    },
  );
}

const tests: Record<string, string> = {
  IsNan: 'select(0, 1, lost(x))',
  IsInf: 'select(0, 1, endless(x))',
  IsFinite: 'select(1, 0, lost(x) || endless(x))',
};
for (const [name, body] of Object.entries(tests)) {
  const shader = mapped(name, ['x'], body, 'i32');
  define(
    name,
    [shader],
    ({ x }, _, backend) => (x.dtype === 'float32' ? map(backend, shader, [x], 'bool') : undefined),
    { needed: true },
  );
}

/** Gradients from dy and what was kept: relu's and GELU's input, the others' output. */
const slopes: Record<string, string> = {
  ReluSlope: 'select(0.0, a, b > 0.0)',
  TanhSlope: 'a * (1.0 - b * b)',
  SigmoidSlope: 'a * b * (1.0 - b)',
  GeluSlope: 'a * geluSlope(b)',
};
for (const [name, body] of Object.entries(slopes)) {
  const shader = mapped(name, ['a', 'b'], body);
  define(name, [shader], ({ a, b }, _, backend) => map(backend, shader, [a, b]));
}

/** Number by number. */
export const MULTIPLY = mapped('product', ['a', 'b'], 'a * b');

/** GELU of x and its slope there. */
export const GELU_AND_SLOPE = perItem(
  'GELU and slope',
  { outputs: ['y', 'slope'], inputs: ['x'], before: FUNCTIONS },
  `let v = x[item];
  y[item] = 0.5 * v * (1.0 + erfOf(0.70710678 * v));
  slope[item] = geluSlope(v);`,
);

const ADD = mapped('sum of tensors', ['a', 'b'], 'a + b');
/** Two at a time: all at once, more than a shader may bind would give old memory without a word. */
define(
  'AddN',
  [ADD],
  (inputs, _, backend) => {
    const list = Object.values(inputs);
    if (list.some(x => x.dtype !== 'float32') || list.length < 2) return undefined;
    let sum = list[0];
    for (let i = 1; i < list.length; i++) {
      const next = map(backend, ADD, [sum, list[i]]);
      if (sum !== list[0]) backend.drop(sum);
      sum = next;
    }
    return sum;
  },
  { needed: true },
);
