/** Kernels of src/tensor/blocks.ts: attention with its projections, and the MLP, each forward and backward as one. */
import type { TensorInfo } from '@tensorflow/tfjs-core';
import { kernel, parallel } from '../../compute/index.ts';
import { bandsOf, HEAVY } from './bands.ts';
import { applyBinary } from './elementwise.ts';
import { attention, attentionGradient } from './fused.ts';
import { define, sizeOf } from './kernels.ts';
import { linear, linearBias, linearInput, linearWeight } from './linear.ts';
import type { LoomBackend } from './loom-backend.ts';

/** Turns x into the slope of GELU at x, and returns GELU of x. */
function geluAndSlope(backend: LoomBackend, x: TensorInfo): TensorInfo {
  const out = backend.output(x.shape);
  const length = sizeOf(x);
  const [bands, each] = bandsOf(length, HEAVY);
  parallel(kernel('geluAndSlope'), bands, backend.address(x), backend.address(out), length, each);
  return out;
}

/** Outputs y, and what the gradient needs: the activations and the slopes of GELU, both [..., hidden]. */
define('LoomMlp', ({ x, w1, b1, w2, b2 }, _, backend) => {
  const slope = linear(backend, x, w1, b1);
  const active = geluAndSlope(backend, slope);
  return [linear(backend, active, w2, b2), active, slope];
});

define('LoomMlpGradient', ({ dy, x, w1, w2, active, slope }, _, backend) => {
  const dHidden = linearInput(backend, { dy, weight: w2 });
  const [at, by] = [dHidden, slope].map(t => backend.address(t));
  applyBinary('Multiply', at, dHidden.shape, by, slope.shape, at, dHidden.shape);
  const gradients = [
    linearInput(backend, { dy: dHidden, weight: w1 }),
    linearWeight(backend, x, dHidden),
    linearBias(backend, dHidden),
    linearWeight(backend, active, dy),
    linearBias(backend, dy),
  ];
  backend.disposeIntermediateTensorInfo(dHidden);
  return gradients;
});

/** Outputs y, and what the gradient needs: queries, keys, values and what attention made of them. Without `memory` the tokens are it. */
define(
  'LoomAttentionBlock',
  ({ tokens, memory = tokens, wq, bq, wk, wv, bv, wo, bo }, { heads }, backend) => {
    const q = linear(backend, tokens, wq, bq);
    const k = linear(backend, memory, wk);
    const v = linear(backend, memory, wv, bv);
    const seen = attention(backend, q, k, v, heads);
    return [linear(backend, seen, wo, bo), q, k, v, seen];
  },
);

/** Gradients in the order of the inputs: tokens, memory where there is one, wq, bq, wk, wv, bv, wo, bo. */
define('LoomAttentionBlockGradient', (inputs, { heads }, backend) => {
  const { dy, tokens, memory, wq, wk, wv, wo, q, k, v, seen } = inputs;
  const dSeen = linearInput(backend, { dy, weight: wo });
  const [dq, dk, dv] = attentionGradient(backend, dSeen, q, k, v, heads);
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
  for (const t of [dSeen, dq, dk, dv]) backend.disposeIntermediateTensorInfo(t);
  return gradients;
});
