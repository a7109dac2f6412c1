/** Channels with pixels become one long vector: the next linear layer has an edge for each pixel of a channel. */
import type { GraphBuilder, Nodes } from '../builder.ts';

export interface FlattenLayer {
  readonly kind: 'flatten';
  /** Size of the picture along each axis at this place. */
  readonly pixels: readonly number[];
}

export function flatten(builder: GraphBuilder, layer: FlattenLayer, inputs: Nodes): Nodes {
  builder.givePixels(layer.pixels);
  return inputs;
}
