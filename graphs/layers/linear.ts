/** y = W x (+ b): an edge per weight. */
import type { GraphBuilder, Nodes } from '../builder.ts';

export interface LinearLayer {
  readonly kind: 'linear';
  readonly in: number;
  readonly out: number;
  /** Default true. */
  readonly bias?: boolean;
}

export function linear(builder: GraphBuilder, layer: Omit<LinearLayer, 'kind'>, inputs: Nodes): Nodes {
  const depth = builder.layerOf(inputs);
  const outputs = builder.nodes(layer.out, 'neuron', depth + 1);
  builder.dense(inputs, outputs, builder.parameter('weight', [layer.out, inputs.length]), {
    type: 'lin_weight',
    layer: depth,
  });
  if (layer.bias ?? true) {
    const bias = builder.parameter('bias', [layer.out]);
    builder.perUnit(outputs, bias, { type: 'bias', layer: depth + 1 }, { type: 'lin_bias', layer: depth });
  }
  return outputs;
}
