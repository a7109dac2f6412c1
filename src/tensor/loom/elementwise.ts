/** Unary and binary functions, comparisons, select, cast, fill, clip. */
import { broadcast_util, type DataType, type TensorInfo, util } from '@tensorflow/tfjs-core';
import { allocate, f32, i32, kernel, parallel, release, u32 } from '../../compute/index.ts';
import { bandsOf, HEAVY, LIGHT } from './bands.ts';
import { alias, allFloat, define, filled, share, sizeOf } from './kernels.ts';
import type { LoomBackend } from './loom-backend.ts';

/** The operations' numbers in assembly/elementwise.ts. */
export const unaryCode = {
  Exp: 0,
  Log: 1,
  Sqrt: 2,
  Rsqrt: 3,
  Square: 4,
  Neg: 5,
  Abs: 6,
  Relu: 7,
  Sigmoid: 8,
  Tanh: 9,
  Erf: 10,
  Step: 11,
  ClipByValue: 12,
  Reciprocal: 13,
  Floor: 14,
  Ceil: 15,
  Round: 16,
  Relu6: 17,
  LeakyRelu: 18,
  Elu: 19,
  Softplus: 20,
  Sign: 21,
  Gelu: 22,
  Scale: 23,
  Shift: 24,
} as const;

export const binaryCode = {
  Add: 0,
  Sub: 1,
  Multiply: 2,
  RealDiv: 3,
  Maximum: 4,
  Minimum: 5,
  SquaredDifference: 6,
  GeluSlope: 7,
  ReluSlope: 8,
  TanhSlope: 9,
  SigmoidSlope: 10,
  Greater: 16,
  GreaterEqual: 17,
  Less: 18,
  LessEqual: 19,
  Equal: 20,
  NotEqual: 21,
} as const;

export type UnaryName = keyof typeof unaryCode;
export type BinaryName = keyof typeof binaryCode;

/** Those of many instructions. */
const heavy = new Set<string>('Exp Log Sigmoid Tanh Erf Elu Softplus Gelu GeluSlope'.split(' '));
const least = (name: UnaryName | BinaryName) => (heavy.has(name) ? HEAVY : LIGHT);

/** Elements of a row when there are no axes to broadcast over. */
const CHUNK = 4096;
/** Elements that a short row is repeated to. */
const RUN = 256;

/** out = op(x) on addresses; `out` may be `x`. */
export function applyUnary(name: UnaryName, x: number, out: number, length: number, p = 0, q = 0): void {
  const [bands, each] = bandsOf(length, least(name));
  parallel(kernel('unary'), bands, unaryCode[name], x, out, length, each, p, q);
}

function unary(name: UnaryName, constants: (attributes: never) => readonly number[] = () => []): void {
  define(name, ({ x }, attributes, backend) =>
    allFloat(x)
      ? filled(backend, x.shape, 'float32', out =>
          applyUnary(name, backend.address(x), out, sizeOf(x), ...constants(attributes as never)),
        )
      : undefined,
  );
}

for (const name of [
  'Exp',
  'Log',
  'Sqrt',
  'Rsqrt',
  'Square',
  'Neg',
  'Abs',
  'Relu',
  'Sigmoid',
  'Tanh',
  'Erf',
  'Reciprocal',
  'Floor',
  'Ceil',
  'Round',
  'Relu6',
  'Elu',
  'Softplus',
  'Sign',
  'Gelu',
] as const) {
  unary(name);
}
unary('Step', ({ alpha }: { alpha?: number }) => [alpha ?? 0]);
unary('LeakyRelu', ({ alpha }: { alpha: number }) => [alpha]);
unary('ClipByValue', (a: { clipValueMin: number; clipValueMax: number }) => [a.clipValueMin, a.clipValueMax]);

interface Axis {
  size: number;
  a: number;
  b: number;
}

/** The axes of a broadcast operation, neighbours merged where both operands allow, innermost last. */
function broadcastAxes(a: readonly number[], b: readonly number[], out: readonly number[]): Axis[] {
  const axes: Axis[] = [];
  let aStep = 1;
  let bStep = 1;
  for (let d = 1; d <= out.length; d++) {
    const size = out[out.length - d];
    const aSize = a[a.length - d] ?? 1;
    const bSize = b[b.length - d] ?? 1;
    const axis = { size, a: aSize === 1 ? 0 : aStep, b: bSize === 1 ? 0 : bStep };
    aStep *= aSize;
    bStep *= bSize;
    if (size === 1) continue;
    const inner = axes[0];
    if (inner && axis.a === inner.a * inner.size && axis.b === inner.b * inner.size) inner.size *= size;
    else axes.unshift(axis);
  }
  return axes;
}

/**
 * Many short rows of one operand beside one row of the other: the address of that row repeated, and how often, so that the kernel works
 * in longer runs. Undefined where there is nothing to gain. Rows outnumber the repetitions, so the copy is small beside the operands.
 */
function repeated(outer: Axis, inner: Axis, a: number, b: number) {
  const once =
    outer.a === 0 && outer.b === inner.size ? 'a' : outer.b === 0 && outer.a === inner.size ? 'b' : undefined;
  const times = Math.ceil(RUN / inner.size);
  if (!once || inner.a !== 1 || inner.b !== 1 || times < 2 || outer.size < 8 * times) return undefined;
  const copy = allocate(times * inner.size * 4);
  const values = f32(copy, times * inner.size);
  values.set(f32(once === 'a' ? a : b, inner.size));
  // Doubles what is there.
  for (let done = inner.size; done < values.length; done *= 2) values.copyWithin(done, 0, done);
  const size = inner.size * times;
  const axes = {
    size: Math.ceil(outer.size / times),
    a: once === 'a' ? 0 : size,
    b: once === 'b' ? 0 : size,
  };
  return {
    copy,
    a: once === 'a' ? copy : a,
    b: once === 'b' ? copy : b,
    outer: axes,
    inner: { ...inner, size },
  };
}

/** out = op(a, b), broadcasting, on addresses; `out` may be an operand of its own shape. Comparisons write bytes. */
export function applyBinary(
  name: BinaryName,
  a: number,
  aShape: readonly number[],
  b: number,
  bShape: readonly number[],
  out: number,
  outShape: readonly number[],
): void {
  let axes = broadcastAxes(aShape, bShape, outShape);
  let inner = axes.pop() ?? { size: 1, a: 1, b: 1 };
  const total = outShape.reduce((x, y) => x * y, 1);
  if (axes.length === 0 && inner.size > CHUNK) {
    // One long run: cut it into rows.
    axes.push({ size: Math.ceil(inner.size / CHUNK), a: inner.a * CHUNK, b: inner.b * CHUNK });
    inner = { ...inner, size: CHUNK };
  }
  const longer = axes.length === 1 ? repeated(axes[0], inner, a, b) : undefined;
  if (longer) ({ a, b, inner } = longer);
  if (longer) axes = [longer.outer];
  const rows = Math.ceil(total / inner.size);
  const each = share(rows, Math.ceil(least(name) / inner.size));
  const description = allocate((1 + 3 * axes.length) * 4);
  try {
    i32(description, 1 + 3 * axes.length).set([axes.length, ...axes.flatMap(x => [x.size, x.a, x.b])]);
    const sizes = [rows, inner.size, total, each, inner.a, inner.b];
    parallel(kernel('binary'), Math.ceil(rows / each), binaryCode[name], a, b, out, description, ...sizes);
  } finally {
    release(description);
    if (longer) release(longer.copy);
  }
}

for (const name of Object.keys(binaryCode) as BinaryName[]) {
  const dtype: DataType = binaryCode[name] >= 16 ? 'bool' : 'float32';
  define(name, ({ a, b }, _, backend) => {
    if (!allFloat(a, b)) return undefined;
    const shape = broadcast_util.assertAndGetBroadcastShape(a.shape, b.shape);
    return filled(backend, shape, dtype as 'bool' | 'float32', out => {
      if (util.sizeFromShape(shape) === 0) return;
      applyBinary(name, backend.address(a), a.shape, backend.address(b), b.shape, out, shape);
    });
  });
}

define('Select', ({ condition, t, e }, _, backend) => {
  if (!allFloat(t, e) && !(t.dtype === 'int32' && e.dtype === 'int32')) return undefined;
  const length = sizeOf(t);
  const wide = condition.shape.length === 0 || condition.shape.length > 1 || t.shape.length === 1;
  if (!util.arraysEqual(t.shape, e.shape)) return undefined;
  if (wide && sizeOf(condition) !== length) return undefined;
  return filled(backend, t.shape, t.dtype as 'float32' | 'int32', out => {
    const [bands, each] = bandsOf(length, LIGHT);
    parallel(
      kernel('select'),
      bands,
      backend.address(condition),
      backend.address(t),
      backend.address(e),
      out,
      length,
      each,
      wide ? 1 : util.sizeFromShape(t.shape.slice(1)),
    );
  });
});

define('Cast', ({ x }, { dtype }, backend) => {
  if (x.dtype === dtype && dtype !== 'complex64' && dtype !== 'string') return alias(backend, x, x.shape);
  const name =
    x.dtype === 'bool' && dtype === 'float32'
      ? 'boolToFloat'
      : (x.dtype === 'int32' && dtype === 'float32') || (x.dtype === 'float32' && dtype === 'int32')
        ? 'castNumber'
        : undefined;
  if (!name) return undefined;
  const length = sizeOf(x);
  return filled(backend, x.shape, dtype, out => {
    const [bands, each] = bandsOf(length, LIGHT);
    parallel(kernel(name), bands, backend.address(x), out, length, each, dtype === 'int32' ? 1 : 0);
  });
});

function constant(
  backend: LoomBackend,
  shape: number[],
  dtype: DataType,
  value: number,
): TensorInfo | undefined {
  if (dtype === 'string' || dtype === 'complex64') return undefined;
  const out = backend.output(shape, dtype);
  const length = util.sizeFromShape(shape);
  const address = backend.address(out);
  if (dtype === 'float32') f32(address, length).fill(value);
  else (backend.data.get(out.dataId).values as Int32Array).fill(value);
  return out;
}

define('ZerosLike', ({ x }, _, backend) => constant(backend, x.shape, x.dtype, 0));
define('OnesLike', ({ x }, _, backend) => constant(backend, x.shape, x.dtype, 1));
define('Fill', (_, { shape, value, dtype }, backend) =>
  typeof value === 'number' ? constant(backend, shape, dtype ?? 'float32', value) : undefined,
);

define('AddN', (inputs, _, backend) => {
  const addends = inputs as unknown as TensorInfo[];
  if (!allFloat(...addends)) return undefined;
  const length = sizeOf(addends[0]);
  return filled(backend, addends[0].shape, 'float32', out => {
    const list = allocate(addends.length * 4);
    try {
      u32(list, addends.length).set(addends.map(x => backend.address(x)));
      const [bands, each] = bandsOf(length, LIGHT);
      parallel(kernel('addMany'), bands, list, addends.length, out, length, each);
    } finally {
      release(list);
    }
  });
});
