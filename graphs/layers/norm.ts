/** Batch, layer, group and instance norm: the scale and the shift of each unit, as edges from a node of their own. */
import type { GraphBuilder, Nodes } from '../builder.ts';
import type { NodeType } from '../types.ts';

export interface NormLayer {
  readonly kind: 'norm';
  readonly norm: 'batch' | 'layer' | 'group' | 'instance';
  /** Units or channels. */
  readonly features: number;
  /** Has a learned scale and shift; default true. */
  readonly affine?: boolean;
}

export const normInputs = ({ norm, features }: NormLayer): { count: number; type: NodeType } => ({
  count: features,
  type: norm === 'layer' ? 'neuron' : 'channel',
});

const SHORT = { batch: 'bn', layer: 'ln', group: 'gn', instance: 'in' } as const;

/** @param depth of its nodes and edges, where it is not that of the inputs */
export function norm(
  builder: GraphBuilder,
  layer: Omit<NormLayer, 'kind'>,
  inputs: Nodes,
  depth = builder.depth(inputs),
): Nodes {
  builder.expect(layer.features, inputs.length);
  if (layer.affine ?? true) {
    for (const [name, part] of [
      ['weight', 'gamma'],
      ['bias', 'beta'],
    ] as const) {
      const type = `${SHORT[layer.norm]}_${part}` as const;
      const parameter = builder.parameter(name, [layer.features]);
      builder.perUnit(inputs, parameter, { type, layer: depth }, { type, layer: depth });
    }
  }
  return inputs;
}
