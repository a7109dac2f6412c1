/**
 * A linear layer equivariant to permutations of a set (Zaheer et al. 2017): y_i = A x_i + b + B mean_j x_j. A and B join the same
 * nodes; the edges of B have position [1, -1, -1], those of A [0, -1, -1].
 */
import type { GraphBuilder, Nodes } from '../builder.ts';
import { NOWHERE, type NodeType, type Position } from '../types.ts';

export interface DeepSetsLayer {
  readonly kind: 'deep-sets';
  readonly in: number;
  readonly out: number;
  /** Default true. */
  readonly bias?: boolean;
}

export const deepSetsInputs = ({ in: count }: DeepSetsLayer): { count: number; type: NodeType } => ({
  count,
  type: 'deepsets_neuron',
});

export function deepSets(builder: GraphBuilder, layer: DeepSetsLayer, inputs: Nodes): Nodes {
  builder.expect(layer.in, inputs.length);
  const { reference } = builder.options;
  const depth = builder.depth(inputs);
  const outputs = builder.nodes(layer.out, 'deepsets_neuron', depth + 1);
  const map = (name: string, which: number) => {
    const position: Position = reference ? NOWHERE : [which, -1, -1];
    const parameter = builder.parameter(`${name}.weight`, [layer.out, layer.in, 1]);
    builder.dense(inputs, outputs, parameter, { type: 'lin_weight', layer: depth }, [position]);
  };
  map('lin1', 0);
  if (layer.bias ?? true) {
    const type: NodeType = reference ? 'bias' : 'deepsets_bias';
    const parameter = builder.parameter('lin1.bias', [layer.out]);
    builder.perUnit(outputs, parameter, { type, layer: depth + 1 }, { type: 'lin_bias', layer: depth });
  }
  map('lin2', 1);
  return outputs;
}
