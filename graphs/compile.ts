/**
 * The compiled form of a parameter graph: index arrays, and blocks of edges whose ends follow a pattern, so that filling in the weights of
 * a batch is a slice and a reshape and aggregation is a reduction over an axis.
 */
import { EDGE_TYPES, edgeCode, nodeCode, type ParameterGraph } from './types.ts';

/**
 * Consecutive edges of one type, layer and direction that carry consecutive parameters.
 *
 * `dense`: edges in the order [outer, inner, kernel]. Forward, outer nodes are the targets and inner ones the sources; in a
 * reversed block the other way round. `pairs`: edge i joins source i with target i.
 */
export interface EdgeBlock {
  readonly kind: 'dense' | 'pairs';
  /** Its edges are firstEdge .. firstEdge + size - 1. */
  readonly firstEdge: number;
  readonly size: number;
  /** Nodes at both ends, each once in a dense block, edge by edge in `pairs`. */
  readonly sources: Int32Array;
  readonly targets: Int32Array;
  /** Edges between the same two nodes; 1 for `pairs`. */
  readonly kernel: number;
  /** The outer axis of a dense block is its sources. */
  readonly reverse: boolean;
  /** Start of its parameters in the flat weight vector, or -1 when its edges are constants of weight 1. */
  readonly parameter: number;
  /** Code of the type of its edges. */
  readonly type: number;
  readonly layer: number;
}

/** A parameter graph of N nodes and E edges as arrays, without weights: one serves every network of its kind. */
export interface CompiledGraph {
  readonly nodeCount: number;
  readonly edgeCount: number;
  /** Length D of the flat weight vector. */
  readonly parameterCount: number;
  /** [N] each; types as codes. */
  readonly nodeLayer: Int32Array;
  readonly nodeOrder: Int32Array;
  readonly nodeType: Int32Array;
  /** [E] each; types as codes, parameter -1 for a constant edge of weight 1. */
  readonly source: Int32Array;
  readonly target: Int32Array;
  readonly edgeLayer: Int32Array;
  readonly edgeType: Int32Array;
  readonly parameter: Int32Array;
  readonly reverse: Uint8Array;
  /** [3 E] */
  readonly position: Int32Array;
  /** They cover all edges, in order. */
  readonly blocks: readonly EdgeBlock[];
}

/** Reads a graph once; the result serves every batch of weights. Keys of nodes and edges must be 0, 1, 2, ... in order. */
export function compileGraph(graph: ParameterGraph): CompiledGraph {
  const nodes = graph.mapNodes((_, attributes) => attributes);
  const edges = graph.mapEdges((_, attributes, source, target) => ({ attributes, source, target }));
  const ints = (count: number, value: (i: number) => number) =>
    Int32Array.from({ length: count }, (_, i) => value(i));
  const arrays = {
    source: ints(edges.length, i => Number(edges[i].source)),
    target: ints(edges.length, i => Number(edges[i].target)),
    edgeLayer: ints(edges.length, i => edges[i].attributes.layer),
    edgeType: ints(edges.length, i => edgeCode(edges[i].attributes.type)),
    parameter: ints(edges.length, i => edges[i].attributes.parameter),
    reverse: Uint8Array.from(edges, ({ attributes }) => Number(attributes.reverse)),
  };
  return {
    nodeCount: nodes.length,
    edgeCount: edges.length,
    parameterCount: graph.getAttribute('parameters'),
    nodeLayer: ints(nodes.length, i => nodes[i].layer),
    nodeOrder: ints(nodes.length, i => nodes[i].order),
    nodeType: ints(nodes.length, i => nodeCode(nodes[i].type)),
    ...arrays,
    position: Int32Array.from(edges.flatMap(({ attributes }) => attributes.position)),
    blocks: findBlocks(arrays),
  };
}

type EdgeArrays = Pick<
  CompiledGraph,
  'source' | 'target' | 'edgeLayer' | 'edgeType' | 'parameter' | 'reverse'
>;

/** Cuts the edges, greedily from the first, into the largest blocks their ends allow. */
function findBlocks(edges: EdgeArrays): EdgeBlock[] {
  const blocks: EdgeBlock[] = [];
  for (let first = 0; first < edges.source.length; ) {
    const block = blockAt(edges, first);
    blocks.push(block);
    first += block.size;
  }
  return blocks;
}

function blockAt(edges: EdgeArrays, first: number): EdgeBlock {
  const reverse = edges.reverse[first] === 1;
  const outerOf = reverse ? edges.source : edges.target;
  const innerOf = reverse ? edges.target : edges.source;
  const end = runEnd(edges, first);
  let kernel = 1;
  while (
    first + kernel < end &&
    outerOf[first + kernel] === outerOf[first] &&
    innerOf[first + kernel] === innerOf[first]
  ) {
    kernel++;
  }
  let row = kernel;
  while (first + row < end && outerOf[first + row] === outerOf[first]) row++;
  const fits = (edge: number) => {
    const outer = outerOf[edge];
    for (let i = 0; i < row; i++) {
      if (edge + i >= end || outerOf[edge + i] !== outer) return false;
      if (innerOf[edge + i] !== innerOf[first + Math.floor(i / kernel) * kernel]) return false;
    }
    return true;
  };
  const seen = new Set<number>();
  let rows = 0;
  // A row per outer node: a node met twice starts another block.
  while (first + rows * row < end && fits(first + rows * row) && !seen.has(outerOf[first + rows * row])) {
    seen.add(outerOf[first + rows * row]);
    rows++;
  }
  const common = {
    firstEdge: first,
    reverse,
    parameter: edges.parameter[first],
    type: edges.edgeType[first],
    layer: edges.edgeLayer[first],
  };
  if (rows === 0 || (rows === 1 && row === 1)) {
    const size = pairsFrom(edges, first, end);
    return {
      ...common,
      kind: 'pairs',
      size,
      kernel: 1,
      sources: edges.source.slice(first, first + size),
      targets: edges.target.slice(first, first + size),
    };
  }
  const outer = Int32Array.from({ length: rows }, (_, i) => outerOf[first + i * row]);
  const inner = Int32Array.from({ length: row / kernel }, (_, i) => innerOf[first + i * kernel]);
  return {
    ...common,
    kind: 'dense',
    size: rows * row,
    kernel,
    sources: reverse ? outer : inner,
    targets: reverse ? inner : outer,
  };
}

/** Where the edges like the first end: same type, layer and direction, parameters consecutive (or all constant). */
function runEnd(edges: EdgeArrays, first: number): number {
  const constant = edges.parameter[first] < 0;
  let end = first + 1;
  while (
    end < edges.source.length &&
    edges.edgeType[end] === edges.edgeType[first] &&
    edges.edgeLayer[end] === edges.edgeLayer[first] &&
    edges.reverse[end] === edges.reverse[first] &&
    edges.parameter[end] === (constant ? -1 : edges.parameter[first] + end - first)
  ) {
    end++;
  }
  return end;
}

/** How many edges from `first` on join ever new sources with ever new targets. */
function pairsFrom(edges: EdgeArrays, first: number, end: number): number {
  const sources = new Set<number>();
  const targets = new Set<number>();
  let size = 0;
  while (
    first + size < end &&
    !sources.has(edges.source[first + size]) &&
    !targets.has(edges.target[first + size])
  ) {
    sources.add(edges.source[first + size]);
    targets.add(edges.target[first + size]);
    size++;
  }
  return size;
}

/** One line per block, for people. */
export const describeBlocks = (graph: CompiledGraph): string[] =>
  graph.blocks.map(
    ({ kind, type, layer, sources, targets, kernel, reverse }) =>
      `${EDGE_TYPES[type]} ${layer}: ${kind} ${sources.length} -> ${targets.length}${kernel > 1 ? ` x ${kernel}` : ''}${reverse ? ' reversed' : ''}`,
  );
