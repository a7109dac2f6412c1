/** Matrix products of any layout and many at once, and the linear layer made of them. */
import type { TensorInfo } from '@tensorflow/tfjs-core';
import type { LoomGpuBackend } from './backend.ts';
import { define } from './kernels.ts';
import { SUMS, sumMiddle } from './reduce.ts';
import { lastOf, type Shader, shaderOf, sizeOf } from './shader.ts';

/** A matrix inside a tensor: strides of row, column, and of batch and head, in floats. */
export interface Matrix {
  readonly tensor: TensorInfo;
  readonly row: number;
  readonly column: number;
  readonly batch?: number;
  readonly head?: number;
}

const EDGE = 64;
const DEPTH = 16;

/**
 * 64 x 64 of C by 256 threads, each a 4 x 4; `numbers`: m, n, k, heads, then row, column, batch, head strides of A, B, C, then the bits of a factor,
 * and 1 where C is added to.
 */
const shader = (bias: boolean): Shader =>
  shaderOf(
    bias ? 'linear' : 'matrix product',
    {
      outputs: ['c'],
      inputs: ['a', 'b', ...(bias ? ['bias'] : [])],
      threads: 256,
      before: `
var<workgroup> A: array<vec4f, ${(DEPTH * EDGE) / 4}>;
var<workgroup> B: array<vec4f, ${(DEPTH * EDGE) / 4}>;`,
    },
    `
  let m = numbers[0]; let n = numbers[1]; let k = numbers[2];
  let batch = wg.z / numbers[3];
  let head = wg.z % numbers[3];
  let a0 = batch * numbers[6] + head * numbers[7];
  let b0 = batch * numbers[10] + head * numbers[11];
  let c0 = batch * numbers[14] + head * numbers[15];
  let ar = numbers[4]; let ac = numbers[5]; let br = numbers[8]; let bc = numbers[9];
  let row = wg.y * ${EDGE}u;
  let column = wg.x * ${EDGE}u;
  let tx = tid % 16u;
  let ty = tid / 16u;
  var sum = array<vec4f, 4>(vec4f(0.0), vec4f(0.0), vec4f(0.0), vec4f(0.0));
  for (var k0 = 0u; k0 < k; k0 += ${DEPTH}u) {
    // A thread loads four numbers of each panel, neighbours in memory by neighbours.
    for (var i = 0u; i < 4u; i++) {
      let at = tid + 256u * i;
      var p = at / ${DEPTH}u; var q = at % ${DEPTH}u;
      if (ac != 1u) { p = at % ${EDGE}u; q = at / ${EDGE}u; }
      var value = 0.0;
      if (row + p < m && k0 + q < k) { value = a[a0 + (row + p) * ar + (k0 + q) * ac]; }
      A[q * ${EDGE / 4}u + p / 4u][p % 4u] = value;
      var s = at % ${EDGE}u; var t = at / ${EDGE}u;
      if (bc != 1u) { s = at / ${DEPTH}u; t = at % ${DEPTH}u; }
      value = 0.0;
      if (column + s < n && k0 + t < k) { value = b[b0 + (k0 + t) * br + (column + s) * bc]; }
      B[t * ${EDGE / 4}u + s / 4u][s % 4u] = value;
    }
    workgroupBarrier();
    for (var q = 0u; q < ${DEPTH}u; q++) {
      let left = A[q * ${EDGE / 4}u + ty];
      let right = B[q * ${EDGE / 4}u + tx];
      sum[0] = fma(vec4f(left.x), right, sum[0]);
      sum[1] = fma(vec4f(left.y), right, sum[1]);
      sum[2] = fma(vec4f(left.z), right, sum[2]);
      sum[3] = fma(vec4f(left.w), right, sum[3]);
    }
    workgroupBarrier();
  }
  let factor = bitcast<f32>(numbers[16]);
  for (var i = 0u; i < 4u; i++) {
    let y = row + 4u * ty + i;
    if (y >= m) { continue; }
    for (var j = 0u; j < 4u; j++) {
      let x = column + 4u * tx + j;
      if (x >= n) { continue; }
      let at = c0 + y * numbers[12] + x * numbers[13];
      let v = factor * sum[i][j]${bias ? ' + bias[x]' : ''};
      if (numbers[17] == 1u) { c[at] += v; } else { c[at] = v; }
    }
  }`,
  );
const PLAIN = shader(false);
const BIASED = shader(true);
/** All shaders of this file. */
export const PRODUCTS: readonly Shader[] = [PLAIN, BIASED];

/** Sizes of a product, how many there are of it (batches of heads), what it is multiplied by, and a bias of length n. */
export interface Product {
  readonly m: number;
  readonly n: number;
  readonly k: number;
  readonly batches?: number;
  readonly heads?: number;
  readonly factor?: number;
  readonly bias?: TensorInfo;
  /** Whether C keeps what it holds, and this is added. */
  readonly adding?: boolean;
}

/** C = factor A B (+ bias) (+ C). */
export function multiply(
  backend: LoomGpuBackend,
  a: Matrix,
  b: Matrix,
  c: Matrix,
  { m, n, k, batches = 1, heads = 1, factor = 1, bias, adding = false }: Product,
): void {
  const strides = [a, b, c].flatMap(({ row, column, batch = 0, head = 0 }) => [row, column, batch, head]);
  const numbers = new Uint32Array(18);
  numbers.set([m, n, k, heads, ...strides]);
  numbers[17] = adding ? 1 : 0;
  new Float32Array(numbers.buffer)[16] = factor;
  backend.compute(
    bias ? BIASED : PLAIN,
    bias ? [a.tensor, b.tensor, bias] : [a.tensor, b.tensor],
    [c.tensor],
    numbers,
    [Math.ceil(n / EDGE), Math.ceil(m / EDGE), batches * heads],
  );
}

const rowMajor = (tensor: TensorInfo, columns: number): Matrix => ({ tensor, row: columns, column: 1 });
const turned = ({ tensor, row, column }: Matrix): Matrix => ({ tensor, row: column, column: row });
const rowsOf = (x: TensorInfo) => sizeOf(x) / lastOf(x);

/** y = x W + b on the last axis. */
export function linear(
  backend: LoomGpuBackend,
  x: TensorInfo,
  weight: TensorInfo,
  bias?: TensorInfo,
): TensorInfo {
  const [k, n] = weight.shape;
  const y = backend.output([...x.shape.slice(0, -1), n]);
  multiply(backend, rowMajor(x, k), rowMajor(weight, n), rowMajor(y, n), { m: rowsOf(x), n, k, bias });
  return y;
}

/** dy W^T, summed over the layers given. */
export function linearInput(
  backend: LoomGpuBackend,
  ...layers: readonly { readonly dy: TensorInfo; readonly weight: TensorInfo }[]
): TensorInfo {
  const [{ dy: one, weight: first }] = layers;
  const k = first.shape[0];
  const dx = backend.output([...one.shape.slice(0, -1), k]);
  layers.forEach(({ dy, weight }, i) => {
    const n = weight.shape[1];
    const sizes = { m: rowsOf(dy), n: k, k: n, adding: i > 0 };
    multiply(backend, rowMajor(dy, n), turned(rowMajor(weight, n)), rowMajor(dx, k), sizes);
  });
  return dx;
}

/** x^T dy */
export function linearWeight(backend: LoomGpuBackend, x: TensorInfo, dy: TensorInfo): TensorInfo {
  const [k, n] = [lastOf(x), lastOf(dy)];
  const dw = backend.output([k, n]);
  multiply(backend, turned(rowMajor(x, k)), rowMajor(dy, n), rowMajor(dw, n), { m: k, n, k: rowsOf(x) });
  return dw;
}

/** dy summed over all but the last axis. */
export const linearBias = (backend: LoomGpuBackend, dy: TensorInfo): TensorInfo =>
  sumMiddle(backend, dy, 1, rowsOf(dy), lastOf(dy), [lastOf(dy)]);

define('LoomLinear', PRODUCTS, ({ x, weight, bias }, _, backend) => linear(backend, x, weight, bias));
define('LoomLinearInput', PRODUCTS, ({ dy, weight }, _, backend) => linearInput(backend, { dy, weight }));
define('LoomLinearWeight', PRODUCTS, ({ x, dy }, _, backend) => linearWeight(backend, x, dy));
define('LoomLinearBias', SUMS, ({ dy }, _, backend) => linearBias(backend, dy));

/** Every product of matrices, batched and turned, but those whose batches are broadcast. */
define('BatchMatMul', PRODUCTS, ({ a, b }, { transposeA, transposeB }, backend) => {
  const outer = a.shape.slice(0, -2);
  if (a.shape.length !== b.shape.length || outer.some((size, i) => size !== b.shape[i])) return undefined;
  if (a.dtype !== 'float32' || b.dtype !== 'float32') return undefined;
  const [ar, ac] = a.shape.slice(-2);
  const [br, bc] = b.shape.slice(-2);
  const [m, k] = transposeA ? [ac, ar] : [ar, ac];
  const n = transposeB ? br : bc;
  const batches = outer.reduce((x, y) => x * y, 1);
  const c = backend.output([...outer, m, n]);
  if (sizeOf(c) === 0 || k === 0 || batches > backend.gpu.report.maxWorkgroups) {
    backend.drop(c);
    return undefined;
  }
  const left = { ...(transposeA ? turned(rowMajor(a, ac)) : rowMajor(a, ac)), batch: ar * ac };
  const right = { ...(transposeB ? turned(rowMajor(b, bc)) : rowMajor(b, bc)), batch: br * bc };
  multiply(backend, left, right, { ...rowMajor(c, n), batch: m * n }, { m, n, k, batches });
  return c;
});
