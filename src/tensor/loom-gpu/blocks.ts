/** Kernels of src/tensor/blocks.ts: attention with its projections, and the MLP, each forward and backward as one. */
import type { TensorInfo } from '@tensorflow/tfjs-core';
import { SHADERS as ATTENTION, attention, attentionGradient } from './attention.ts';
import type { LoomGpuBackend } from './backend.ts';
import { GELU_AND_SLOPE, MULTIPLY, map } from './elementwise.ts';
import { linear, linearBias, linearInput, linearWeight, PRODUCTS } from './gemm.ts';
import { define } from './kernels.ts';
import { SUMS } from './reduce.ts';
import { flat, sizeOf } from './shader.ts';

function geluAndSlope(backend: LoomGpuBackend, x: TensorInfo): [active: TensorInfo, slope: TensorInfo] {
  const [active, slope] = [backend.output(x.shape), backend.output(x.shape)];
  const size = sizeOf(x);
  backend.compute(GELU_AND_SLOPE, [x], [active, slope], Uint32Array.of(size), flat(size));
  return [active, slope];
}

/** Outputs y, and what the gradient needs: the activations and the slopes of GELU, both [..., hidden]. */
define('LoomMlp', [...PRODUCTS, GELU_AND_SLOPE], ({ x, w1, b1, w2, b2 }, _, backend) => {
  const hidden = linear(backend, x, w1, b1);
  const [active, slope] = geluAndSlope(backend, hidden);
  backend.drop(hidden);
  return [linear(backend, active, w2, b2), active, slope];
});

define('LoomMlpGradient', [...PRODUCTS, ...SUMS, MULTIPLY], (
  { dy, x, w1, w2, active, slope },
  _,
  backend,
) => {
  const dActive = linearInput(backend, { dy, weight: w2 });
  const dHidden = map(backend, MULTIPLY, [dActive, slope]);
  const gradients = [
    linearInput(backend, { dy: dHidden, weight: w1 }),
    linearWeight(backend, x, dHidden),
    linearBias(backend, dHidden),
    linearWeight(backend, active, dy),
    linearBias(backend, dy),
  ];
  backend.drop(dActive, dHidden);
  return gradients;
});

/** Outputs y, and what the gradient needs: queries, keys, values and what attention made of them. Without `memory` the tokens are it. */
define(
  'LoomAttentionBlock',
  ATTENTION,
  ({ tokens, memory = tokens, wq, bq, wk, wv, bv, wo, bo }, { heads }, backend) => {
    const q = linear(backend, tokens, wq, bq);
    const k = linear(backend, memory, wk);
    const v = linear(backend, memory, wv, bv);
    const seen = attention(backend, [q, k, v], heads);
    return [linear(backend, seen, wo, bo), q, k, v, seen];
  },
);

/** Gradients in the order of the inputs: tokens, memory where there is one, wq, bq, wk, wv, bv, wo, bo. */
define('LoomAttentionBlockGradient', [...ATTENTION, ...SUMS], (inputs, { heads }, backend) => {
  const { dy, tokens, memory, wq, wk, wv, wo, q, k, v, seen } = inputs;
  const dSeen = linearInput(backend, { dy, weight: wo });
  const [dq, dk, dv] = attentionGradient(backend, dSeen, [q, k, v], heads);
  const queries = { dy: dq, weight: wq };
  const others = [
    { dy: dk, weight: wk },
    { dy: dv, weight: wv },
  ];
  const gradients = [
    ...(memory
      ? [linearInput(backend, queries), linearInput(backend, ...others)]
      : [linearInput(backend, queries, ...others)]),
    linearWeight(backend, tokens, dq),
    linearBias(backend, dq),
    linearWeight(backend, memory ?? tokens, dk),
    linearWeight(backend, memory ?? tokens, dv),
    linearBias(backend, dv),
    linearWeight(backend, seen, dy),
    linearBias(backend, dy),
  ];
  backend.drop(dSeen, dq, dk, dv);
  return gradients;
});
