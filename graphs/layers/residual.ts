/** x + f(x) for a list of layers f that keeps the number of units. */
import type { GraphBuilder, Nodes } from '../builder.ts';

/** `Layer` is the union of all kinds, this one among them: index.ts, which knows them all, ties the knot. */
export interface ResidualLayer<Layer> {
  readonly kind: 'residual';
  readonly layers: readonly Layer[];
}

export function residual<Layer>(
  builder: GraphBuilder,
  layer: ResidualLayer<Layer>,
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
