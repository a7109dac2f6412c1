/**
 * A triplanar feature grid (Chan et al. 2022) before an MLP: three planes of `resolution` x `resolution` cells, each with `features` numbers.
 * A point's three coordinates pass on to the next layer beside the features read from the planes. Cells are nodes; a number of a cell is
 * an edge from the cell to its feature, positioned by the cell's offset from the plane's centre, 0 across the plane.
 */
import type { GraphBuilder, Nodes } from '../builder.ts';
import type { NodeType, Position } from '../types.ts';

export interface TriplanarLayer {
  readonly kind: 'triplanar';
  readonly features: number;
  readonly resolution: number;
}

const COORDINATES = 3;
const PLANES = 3;

export const triplanarInputs = (_: TriplanarLayer): { count: number; type: NodeType } => ({
  count: COORDINATES,
  type: 'neuron',
});

const place = (plane: number, a: number, b: number): Position =>
  plane === 0 ? [a, b, 0] : plane === 1 ? [0, a, b] : [b, 0, a];

export function triplanar(builder: GraphBuilder, layer: TriplanarLayer, inputs: Nodes): Nodes {
  const { features, resolution } = layer;
  builder.expect(COORDINATES, inputs.length);
  const depth = builder.depth(inputs);
  const cells = resolution * resolution;
  const grid = builder.nodes(PLANES * cells, 'triplanar', depth);
  builder.order(grid);
  const read = builder.nodes(features, 'triplanar', depth + 1);
  const first = builder.parameter('tgrid', [1, PLANES * features, resolution, resolution]);
  const centre = Math.floor(resolution / 2);
  for (let i = 0; i < PLANES * features * cells; i++) {
    const cell = i % cells;
    const plane = Math.floor(i / (cells * features));
    // The reference numbers nodes as if the grid were laid out [plane, cell, feature]; it is [plane, feature, cell].
    const [source, target] = builder.options.reference
      ? [Math.floor(i / features), i % features]
      : [plane * cells + cell, Math.floor(i / cells) % features];
    const position = place(plane, Math.floor(cell / resolution) - centre, (cell % resolution) - centre);
    builder.edge(grid[source], read[target], first + i, { type: 'triplanar', layer: depth }, position);
  }
  if (builder.options.reference) builder.afterwards(() => builder.relayer(read, depth));
  return [...inputs, ...read];
}
