/** A parameter graph as the tensors that graph learning in Python expects: torch_geometric's Data(x, edge_index, edge_attr, u). */
import type { NdArray } from '../../src/formats/index.ts';
import { edgeCode, nodeCode, type ParameterGraph } from '../types.ts';

/** The columns of `x`; types are numbered as in NODE_TYPES. */
export const NODE_COLUMNS = ['type', 'layer', 'order'] as const;
/** The columns of `edge_attr`; types are numbered as in EDGE_TYPES. */
export const EDGE_COLUMNS = [
  'weight',
  'type',
  'layer',
  'position0',
  'position1',
  'position2',
  'parameter',
  'reverse',
] as const;

/** The tensors of one graph, by torch_geometric's names. */
export interface GraphTensors {
  /** [N, 3] float32, columns NODE_COLUMNS. */
  readonly x: NdArray<Float32Array>;
  /** [2, E] int64: sources, then targets. */
  readonly edge_index: NdArray<BigInt64Array>;
  /** [E, 8] float32, columns EDGE_COLUMNS. */
  readonly edge_attr: NdArray<Float32Array>;
  /** [1, U] float32: the global feature vector, one row per graph as torch_geometric batches it. */
  readonly u: NdArray<Float32Array>;
}

/** A parameter graph with N nodes, E edges and U global features as tensors. */
export function toTensors(graph: ParameterGraph): GraphTensors {
  const nodes = graph.mapNodes((_, { type, layer, order }) => [nodeCode(type), layer, order]);
  const ends: [number, number][] = [];
  const edges = graph.mapEdges((_, attributes, source, target) => {
    const { weight, type, layer, position, parameter, reverse } = attributes;
    ends.push([Number(source), Number(target)]);
    return [weight, edgeCode(type), layer, ...position, parameter, Number(reverse)];
  });
  const global = graph.getAttribute('global');
  return {
    x: { shape: [nodes.length, NODE_COLUMNS.length], data: Float32Array.from(nodes.flat()) },
    edge_index: {
      shape: [2, ends.length],
      data: BigInt64Array.from([0, 1].flatMap(end => ends.map(pair => BigInt(pair[end])))),
    },
    edge_attr: { shape: [edges.length, EDGE_COLUMNS.length], data: Float32Array.from(edges.flat()) },
    u: { shape: [1, global.length], data: Float32Array.from(global) },
  };
}
