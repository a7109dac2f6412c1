/**
 * The parameter graph of a network (Lim et al. 2023, "Graph metanetworks for processing diverse neural architectures",
 * arXiv 2312.04501): a node per neuron, channel or bias, an edge per weight. A graph, not a flat vector, is what a permutation
 * of hidden units leaves alone.
 */
import type { MultiDirectedGraph } from 'graphology';

/** What a node stands for. The position in the list is its code. */
export const NODE_TYPES = [
  'neuron',
  'bias',
  'channel',
  'channel_bias',
  'bn_gamma',
  'bn_beta',
  'ln_gamma',
  'ln_beta',
  'gn_gamma',
  'gn_beta',
  'in_gamma',
  'in_beta',
  'attention_neuron',
  'attention_bias',
  'deepsets_neuron',
  'deepsets_bias',
  'triplanar',
] as const;
/** One of `NODE_TYPES`. */
export type NodeType = (typeof NODE_TYPES)[number];

/** What an edge stands for. The position in the list is its code. `recurrent` carries no weight: it ties an output to the inputs it becomes. */
export const EDGE_TYPES = [
  'lin_weight',
  'lin_bias',
  'conv_weight',
  'conv_bias',
  'residual',
  'bn_gamma',
  'bn_beta',
  'ln_gamma',
  'ln_beta',
  'gn_gamma',
  'gn_beta',
  'in_gamma',
  'in_beta',
  'triplanar',
  'recurrent',
] as const;
/** One of `EDGE_TYPES`. */
export type EdgeType = (typeof EDGE_TYPES)[number];

/** A node type's place in `NODE_TYPES`, as compiled graphs hold it. */
export const nodeCode = (type: NodeType) => NODE_TYPES.indexOf(type);
/** An edge type's place in `EDGE_TYPES`, as compiled graphs hold it. */
export const edgeCode = (type: EdgeType) => EDGE_TYPES.indexOf(type);

/** Kernel position along up to three axes, -1 where there is none. Layers that join two nodes more than once tell their edges apart by it. */
export type Position = readonly [number, number, number];
export const NOWHERE: Position = [-1, -1, -1];

/** All positions of a grid of 1 to 3 axes, the last axis fastest. */
export function gridPositions(size: readonly number[]): Position[] {
  if (size.length < 1 || size.length > 3) throw new RangeError(`a grid has 1 to 3 axes, not ${size.length}`);
  return size
    .reduce<number[][]>(
      (places, n) => places.flatMap(p => Array.from({ length: n }, (_, i) => [...p, i])),
      [[]],
    )
    .map(p => [p[0], p[1] ?? -1, p[2] ?? -1]);
}

// Types, not interfaces: graphology wants attributes with an index signature.
/** What a node of a parameter graph is. */
export type NodeAttributes = {
  /** Depth, 0 for the inputs. */
  layer: number;
  /** Which input or output this is; -1 for a hidden unit, whose order means nothing. */
  order: number;
  type: NodeType;
};

/** What an edge of a parameter graph is, and the weight on it. */
export type EdgeAttributes = {
  /** Value of its parameter; 1 where it has none. */
  weight: number;
  /** Depth of the source's side. */
  layer: number;
  type: EdgeType;
  position: Position;
  /** Index in the flat weight vector; -1 for an edge without a parameter (a residual connection has weight 1). */
  parameter: number;
  /** Runs against the data flow, beside the edge that has the same parameter. */
  reverse: boolean;
};

/** What a parameter graph is as a whole. */
export type GraphAttributes = {
  name: string;
  /** Length of the flat weight vector. */
  parameters: number;
  /** The global feature vector u. */
  global: readonly number[];
};

/** Nodes have the keys 0 .. N-1 and edges 0 .. E-1, in the order they were made. */
export type ParameterGraph = MultiDirectedGraph<NodeAttributes, EdgeAttributes, GraphAttributes>;
