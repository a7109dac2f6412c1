/** The linear layer on the last axis, y = x W + b with W [in, out], and its gradients. */
import type { TensorInfo } from '@tensorflow/tfjs-core';
import { gemm, rowMajor } from './gemm.ts';
import { define, filled, lastOf, sizeOf } from './kernels.ts';
import type { LoomBackend } from './loom-backend.ts';
import { reduceMiddle } from './reduce.ts';

const rowsOf = (t: TensorInfo) => sizeOf(t) / lastOf(t);

/** y = x W + b */
export function linear(
  backend: LoomBackend,
  x: TensorInfo,
  weight: TensorInfo,
  bias?: TensorInfo,
): TensorInfo {
  const [k, n] = weight.shape;
  return filled(backend, [...x.shape.slice(0, -1), n], 'float32', c =>
    gemm({
      m: rowsOf(x),
      n,
      k,
      a: rowMajor(backend.address(x), k),
      b: rowMajor(backend.address(weight), n),
      c,
      bias: bias ? backend.address(bias) : 0,
    }),
  );
}

/** c = dy W^T, or c += dy W^T, for an address c. */
function multiplyBack(
  backend: LoomBackend,
  dy: TensorInfo,
  weight: TensorInfo,
  c: number,
  accumulate: boolean,
): void {
  const [k, n] = weight.shape;
  gemm({
    m: rowsOf(dy),
    n: k,
    k: n,
    a: rowMajor(backend.address(dy), n),
    b: rowMajor(backend.address(weight), n, true),
    c,
    accumulate,
  });
}

/** dx = the sum of dy W^T over the layers that x went into. */
export function linearInput(
  backend: LoomBackend,
  ...layers: { dy: TensorInfo; weight: TensorInfo }[]
): TensorInfo {
  const [{ dy, weight }] = layers;
  return filled(backend, [...dy.shape.slice(0, -1), weight.shape[0]], 'float32', c => {
    for (const [i, layer] of layers.entries()) multiplyBack(backend, layer.dy, layer.weight, c, i > 0);
  });
}

/** dW = x^T dy over all rows */
export function linearWeight(backend: LoomBackend, x: TensorInfo, dy: TensorInfo): TensorInfo {
  const k = lastOf(x);
  const n = lastOf(dy);
  return filled(backend, [k, n], 'float32', c =>
    gemm({
      m: k,
      n,
      k: rowsOf(x),
      a: rowMajor(backend.address(x), k, true),
      b: rowMajor(backend.address(dy), n),
      c,
    }),
  );
}

/** db = sum of dy over all rows */
export function linearBias(backend: LoomBackend, dy: TensorInfo): TensorInfo {
  const n = lastOf(dy);
  return filled(backend, [n], 'float32', out => reduceMiddle(0, backend.address(dy), out, 1, rowsOf(dy), n));
}

define('LoomLinear', ({ x, weight, bias }, _, backend) => linear(backend, x, weight, bias));
define('LoomLinearInput', ({ dy, weight }, _, backend) => linearInput(backend, { dy, weight }));
define('LoomLinearWeight', ({ x, dy }, _, backend) => linearWeight(backend, x, dy));
define('LoomLinearBias', ({ dy }, _, backend) => linearBias(backend, dy));
