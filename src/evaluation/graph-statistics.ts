/** What an NCA's parameter graph looks like in numbers: who is strong in it, and how many hidden units share the work. */
import type { ParameterGraph } from '../../graphs/index.ts';
import { FILTERS, type NcaSpec } from '../nca/index.ts';

/** Picture channels. */
const COLOURS = 3;

/** By node, the sums of |weight| over the edges that arrive and that leave. */
export interface Strengths {
  readonly incoming: Float64Array;
  readonly outgoing: Float64Array;
}

/**
 * Sums of |weight| at every node [N] of a graph whose nodes have the keys 0 .. N - 1; reversed edges, which repeat others, are left out.
 */
export function nodeStrengths(graph: ParameterGraph): Strengths {
  const incoming = new Float64Array(graph.order);
  const outgoing = new Float64Array(graph.order);
  graph.forEachEdge((_, { weight, reverse }, source, target) => {
    if (reverse) return;
    incoming[Number(target)] += Math.abs(weight);
    outgoing[Number(source)] += Math.abs(weight);
  });
  return { incoming, outgoing };
}

/** How many nodes and edges of each type. */
export function typeCounts(graph: ParameterGraph): {
  nodes: Record<string, number>;
  edges: Record<string, number>;
} {
  const tally = (types: readonly string[]) => {
    const counts: Record<string, number> = {};
    for (const type of types) counts[type] = (counts[type] ?? 0) + 1;
    return counts;
  };
  return {
    nodes: tally(graph.mapNodes((_, { type }) => type)),
    edges: tally(graph.mapEdges((_, { type }) => type)),
  };
}

/** What each figure of `graphFigures` says. */
export const GRAPH_FIGURES = {
  'hidden units in use':
    "exp of the entropy of the hidden units' shares; a share is the product of what arrives and what leaves",
  'participation ratio': '(sum of shares)^2 / sum of squares: counts strong units more',
  'identity share': 'of all strength that leaves the inputs, what leaves those of the identity filter',
  'sobel share': 'the same for both Sobel filters',
  'laplacian share': 'the same for the Laplacian',
  'colour input share': 'of all strength that leaves the inputs, what leaves those of the three colours',
  'colour update share': 'of all strength that arrives at the channels, what arrives at the three colours',
  'bias share': 'of all strength that arrives at hidden units, what comes from the bias',
  'mean weight': 'mean |weight| over all edges',
} as const;
/** One of `GRAPH_FIGURES`. */
export type GraphFigure = keyof typeof GRAPH_FIGURES;

/**
 * Figures of one NCA's graph, with nodes as `ncaNetwork` makes them: inputs, hidden units, bias, channels(, bias). Balanced weights make them
 * independent of the hidden units' scale; their order never matters.
 */
export function graphFigures(spec: NcaSpec, graph: ParameterGraph): Record<GraphFigure, number> {
  const { channels, hidden } = spec;
  const { incoming, outgoing } = nodeStrengths(graph);
  const inputs = FILTERS.length * channels;
  const sum = (
    values: Float64Array,
    from: number,
    to: number,
    keep: (index: number) => boolean = () => true,
  ) => values.subarray(from, to).reduce((total, x, i) => (keep(i) ? total + x : total), 0);
  const input = sum(outgoing, 0, inputs);
  const filter = (...names: string[]) =>
    sum(outgoing, 0, inputs, i => names.includes(FILTERS[i % FILTERS.length])) / input;
  const work = Float64Array.from({ length: hidden }, (_, i) => incoming[inputs + i] * outgoing[inputs + i]);
  const all = work.reduce((a, b) => a + b, 0);
  const shares = work.map(x => x / all);
  // Inputs, hidden units and the bias of b1 come before the channels.
  const first = inputs + hidden + 1;
  const arriving = sum(incoming, inputs, inputs + hidden);
  return {
    'hidden units in use': Math.exp(-shares.reduce((total, p) => total + (p > 0 ? p * Math.log(p) : 0), 0)),
    'participation ratio': 1 / shares.reduce((total, p) => total + p * p, 0),
    'identity share': filter('identity'),
    'sobel share': filter('sobel_x', 'sobel_y'),
    'laplacian share': filter('laplacian'),
    'colour input share': sum(outgoing, 0, FILTERS.length * COLOURS) / input,
    'colour update share': sum(incoming, first, first + COLOURS) / sum(incoming, first, first + channels),
    'bias share': outgoing[inputs + hidden] / arriving,
    'mean weight': sum(incoming, 0, graph.order) / graph.size,
  };
}
