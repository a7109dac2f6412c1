/** BatchMatMul and _FusedMatMul. */
import { broadcast_util, type TensorInfo, util } from '@tensorflow/tfjs-core';
import { activate } from './activate.ts';
import { type Batch, gemm, rowMajor } from './gemm.ts';
import { allFloat, define, filled } from './kernels.ts';
import type { LoomBackend } from './loom-backend.ts';

/** Offsets of one batched operand, as strides over the last two batch axes; undefined when its broadcasting needs more. */
function batchStrides(
  shape: readonly number[],
  batch: readonly number[],
  size: number,
): [outer: number, inner: number] | undefined {
  const own = util.sizeFromShape(shape.slice(0, -2));
  if (own === util.sizeFromShape([...batch])) return [size, 0];
  return own === 1 ? [0, 0] : undefined;
}

function multiply(
  backend: LoomBackend,
  a: TensorInfo,
  b: TensorInfo,
  transposeA: boolean,
  transposeB: boolean,
  bias: TensorInfo | undefined,
  relu: boolean,
): TensorInfo | undefined {
  const batch = broadcast_util.assertAndGetBroadcastShape(a.shape.slice(0, -2), b.shape.slice(0, -2));
  const [ar, ac] = a.shape.slice(-2);
  const [br, bc] = b.shape.slice(-2);
  const [m, k] = transposeA ? [ac, ar] : [ar, ac];
  const [kb, n] = transposeB ? [bc, br] : [br, bc];
  util.assert(
    k === kb,
    () => `matMul: inner sizes ${k} and ${kb} of shapes ${a.shape} and ${b.shape} differ`,
  );
  const aBatch = batchStrides(a.shape, batch, ar * ac);
  const bBatch = batchStrides(b.shape, batch, br * bc);
  if (!aBatch || !bBatch) return undefined;
  const count = util.sizeFromShape(batch);
  const product = {
    k,
    n,
    b: rowMajor(backend.address(b), bc, transposeB),
    bias: bias && backend.address(bias),
    relu,
  };
  return filled(backend, [...batch, m, n], 'float32', c => {
    const left = rowMajor(backend.address(a), ac, transposeA);
    if (count === 1 || (bBatch[0] === 0 && aBatch[0] !== 0 && !transposeA)) {
      // One matrix on the right for all: the batch is nothing but more rows.
      gemm({ ...product, m: m * count, a: left, c });
    } else {
      const places: Batch = { count, inner: 1, a: aBatch, b: bBatch, c: [m * n, 0] };
      gemm({ ...product, m, a: left, c, batch: places });
    }
  });
}

define('BatchMatMul', ({ a, b }, { transposeA, transposeB }, backend) =>
  allFloat(a, b) ? multiply(backend, a, b, transposeA, transposeB, undefined, false) : undefined,
);

define('_FusedMatMul', ({ a, b, bias, preluActivationWeights }, attributes, backend) => {
  const { transposeA, transposeB, activation, leakyreluAlpha } = attributes;
  if (!allFloat(a, b) || (bias && !allFloat(bias))) return undefined;
  const columns = transposeB ? b.shape[b.shape.length - 2] : b.shape[b.shape.length - 1];
  const plainBias =
    bias === undefined || (util.sizeFromShape(bias.shape) === columns && bias.shape.at(-1) === columns);
  if (!plainBias) return undefined;
  const y = multiply(backend, a, b, transposeA, transposeB, bias, activation === 'relu');
  return y && activate(backend, y, activation, leakyreluAlpha, preluActivationWeights);
});
