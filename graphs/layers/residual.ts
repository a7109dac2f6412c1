/** x + f(x) for a list of layers f that keeps the number of units. */
import type { GraphBuilder, Nodes } from '../builder.ts';
import type { Layer } from './index.ts';

export interface ResidualLayer {
  readonly kind: 'residual';
  readonly layers: readonly Layer[];
}

export function residual(
  builder: GraphBuilder,
  layer: ResidualLayer,
  inputs: Nodes,
  stack: (builder: GraphBuilder, layers: readonly Layer[], inputs: Nodes) => Nodes,
): Nodes {
  const depth = builder.depth(inputs);
  const outputs = stack(builder, layer.layers, inputs);
  builder.expect(inputs.length, outputs.length);
  if (outputs.some((node, i) => node === inputs[i]))
    throw new RangeError('residual: its layers make no new units');
  builder.pairs(inputs, outputs, null, { type: 'residual', layer: depth });
  return outputs;
}
