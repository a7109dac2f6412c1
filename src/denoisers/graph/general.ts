/**
 * The general path: all edges in one tensor [B, E, F], node states gathered to their ends and messages reduced by segment. Any compiled
 * graph runs on it; it is also the plain definition the dense path is tested against.
 */
import type { CompiledGraph } from '../../../graphs/index.ts';
import { fused, tf } from '../../tensor/index.ts';
import { degrees, type EdgeSpace, type End, slotMax } from './edges.ts';

/** The general path of a compiled graph: features [B, E, F], gathered and reduced edge by edge. */
export function generalEdges(graph: CompiledGraph): EdgeSpace {
  const { nodeCount, edgeCount, parameterCount } = graph;
  const counts = { source: degrees(graph, 'source'), target: degrees(graph, 'target') };
  const other = (end: End): End => (end === 'source' ? 'target' : 'source');
  /** A row of [w_0 .. w_{D-1}, 1] for every edge: constants take the one behind the weights. */
  const slot = Int32Array.from(graph.parameter, p => (p < 0 ? parameterCount : p));
  const carrier = carriers(graph);

  const segmentSum = (edges: tf.Tensor3D, end: End): tf.Tensor3D => {
    const [batch, , width] = edges.shape;
    const rows = tf.reshape(tf.transpose(edges, [1, 0, 2]), [edgeCount, batch * width]);
    const sums = tf.unsortedSegmentSum(rows, tf.tensor1d(graph[end], 'int32'), nodeCount);
    return tf.transpose(tf.reshape(sums, [nodeCount, batch, width]), [1, 0, 2]) as tf.Tensor3D;
  };

  const addNodes: EdgeSpace['addNodes'] = ([edges], source, target) => {
    const atSource = source ? tf.add(edges, tf.gather(source, graph.source, 1)) : edges;
    return [target ? tf.add(atSource, tf.gather(target, graph.target, 1)) : atSource];
  };

  return {
    graph,
    ofWeights: weights => {
      const batch = weights.shape[0];
      const extended = tf.concat([weights, tf.ones([batch, 1])], 1) as tf.Tensor2D;
      return [tf.reshape(tf.gather(extended, slot, 1), [batch, edgeCount, 1])];
    },
    lookup: (table, index) => [tf.reshape(tf.gather(table, index), [1, edgeCount, table.shape[1]])],
    addNodes,
    message: ([edges], weight, source, target) => [
      tf.relu(addNodes([fused.linear(edges, weight, null)], source, target)[0]),
    ],
    aggregate: ([edges], end, reduction) => {
      const features = edges as tf.Tensor3D;
      if (reduction === 'max') return slotMax(features, edgesOf(graph, end), nodeCount);
      const sum = segmentSum(features, end);
      if (reduction === 'sum') return sum;
      const share = tf.tensor1d(counts[end].map(n => 1 / Math.max(n, 1)));
      return tf.mul(sum, tf.reshape(share, [1, nodeCount, 1]));
    },
    mean: ([edges]) => tf.mean(edges, 1),
    weightedSum: ([edges], values, end) => {
      const heads = edges.shape[2]!;
      const width = values.shape[2] / heads;
      const there = tf.gather(values, graph[other(end)], 1);
      const batch = Math.max(there.shape[0], edges.shape[0]);
      const product = tf.mul(
        tf.reshape(edges, [edges.shape[0], edgeCount, heads, 1]),
        tf.reshape(there, [there.shape[0], edgeCount, heads, width]),
      );
      return segmentSum(tf.reshape(product, [batch, edgeCount, heads * width]), end);
    },
    products: (source, target, heads) => {
      const split = (x: tf.Tensor3D, end: End) =>
        tf.reshape(tf.gather(x, graph[end], 1), [x.shape[0], edgeCount, heads, x.shape[2] / heads]);
      return [tf.sum(tf.mul(split(source, 'source'), split(target, 'target')), 3)];
    },
    rows: ([edges]) => tf.gather(tf.reshape(edges, [edgeCount, edges.shape[2]!]), carrier),
    toWeights: ([edges]) => tf.gather(tf.reshape(edges, [edges.shape[0], edgeCount]), carrier, 1),
  };
}

/** The first edge that carries each weight. */
function carriers(graph: CompiledGraph): Int32Array {
  const carrier = new Int32Array(graph.parameterCount).fill(-1);
  for (let e = graph.edgeCount - 1; e >= 0; e--) if (graph.parameter[e] >= 0) carrier[graph.parameter[e]] = e;
  return carrier;
}

function edgesOf(graph: CompiledGraph, end: End): Map<number, number[]> {
  const edges = new Map<number, number[]>();
  graph[end].forEach((node, e) => {
    const list = edges.get(node);
    if (list) list.push(e);
    else edges.set(node, [e]);
  });
  return edges;
}
