/** y = W x (+ b): an edge per weight. Behind a flattened image, one for each pixel between a channel and a unit. */
import type { GraphBuilder, Nodes } from '../builder.ts';
import { gridPositions, NOWHERE, type NodeType } from '../types.ts';

export interface LinearLayer {
  readonly kind: 'linear';
  /** Inputs; channels times pixels behind a `flatten`. */
  readonly in: number;
  readonly out: number;
  /** Default true. */
  readonly bias?: boolean;
}

export const linearInputs = ({ in: count }: LinearLayer): { count: number; type: NodeType } => ({
  count,
  type: 'neuron',
});

export interface LinearNames {
  readonly weight?: string;
  readonly bias?: string;
  readonly outputs?: NodeType;
}

export function linear(
  builder: GraphBuilder,
  layer: Pick<LinearLayer, 'in' | 'out' | 'bias'>,
  inputs: Nodes,
  names: LinearNames = {},
): Nodes {
  const depth = builder.depth(inputs);
  const pixels = builder.takePixels();
  const positions = pixels ? gridPositions(pixels) : [NOWHERE];
  builder.expect(layer.in, inputs.length * positions.length);
  const outputs = builder.nodes(layer.out, names.outputs ?? 'neuron', depth + 1);
  const label = { type: 'lin_weight', layer: depth } as const;
  builder.dense(
    inputs,
    outputs,
    builder.parameter(names.weight ?? 'weight', [layer.out, layer.in]),
    label,
    positions,
  );
  if (layer.bias ?? true) {
    const parameter = builder.parameter(names.bias ?? 'bias', [layer.out]);
    builder.perUnit(
      outputs,
      parameter,
      { type: 'bias', layer: depth + 1 },
      { type: 'lin_bias', layer: depth },
    );
  }
  return outputs;
}
