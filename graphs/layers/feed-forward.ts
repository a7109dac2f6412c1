/** The position-wise feed-forward layer of a transformer: x + W2 f(W1 x). */
import type { GraphBuilder, Nodes } from '../builder.ts';
import type { NodeType } from '../types.ts';
import { linear } from './linear.ts';

export interface FeedForwardLayer {
  readonly kind: 'feed-forward';
  readonly width: number;
  readonly hidden: number;
  /** Default true. */
  readonly bias?: boolean;
}

export const feedForwardInputs = ({ width }: FeedForwardLayer): { count: number; type: NodeType } => ({
  count: width,
  type: 'neuron',
});

export function feedForward(builder: GraphBuilder, layer: FeedForwardLayer, inputs: Nodes): Nodes {
  const { width, hidden, bias } = layer;
  const inner = linear(builder, { in: width, out: hidden, bias }, inputs, {
    weight: 'lin1.weight',
    bias: 'lin1.bias',
  });
  const outputs = linear(builder, { in: hidden, out: width, bias }, inner, {
    weight: 'lin2.weight',
    bias: 'lin2.bias',
  });
  builder.pairs(inputs, outputs, null, { type: 'residual', layer: builder.depth(inputs) });
  return outputs;
}
