/** A convolution over one, two or three axes: a node per channel, an edge per channel pair and kernel position. */
import type { GraphBuilder, Nodes } from '../builder.ts';
import { gridPositions, type NodeType } from '../types.ts';

export interface ConvLayer {
  readonly kind: 'conv';
  readonly in: number;
  readonly out: number;
  /** Kernel size along each of 1 to 3 axes. */
  readonly kernel: readonly number[];
  /** Default true. */
  readonly bias?: boolean;
}

export const convInputs = ({ in: count }: ConvLayer): { count: number; type: NodeType } => ({
  count,
  type: 'channel',
});

/** @param depth of the edges, where it is not that of the inputs */
export function conv(
  builder: GraphBuilder,
  layer: Omit<ConvLayer, 'kind'>,
  inputs: Nodes,
  depth = builder.depth(inputs),
): Nodes {
  builder.expect(layer.in, inputs.length);
  const outputs = builder.nodes(layer.out, 'channel', depth + 1);
  const weight = builder.parameter('weight', [layer.out, layer.in, ...layer.kernel]);
  builder.dense(inputs, outputs, weight, { type: 'conv_weight', layer: depth }, gridPositions(layer.kernel));
  if (layer.bias ?? true) {
    const parameter = builder.parameter('bias', [layer.out]);
    builder.perUnit(
      outputs,
      parameter,
      { type: 'channel_bias', layer: depth + 1 },
      { type: 'conv_bias', layer: depth },
    );
  }
  return outputs;
}
