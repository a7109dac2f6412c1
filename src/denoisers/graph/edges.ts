/**
 * Message passing on a compiled graph, in two forms that give the same numbers. Denoisers are written against `EdgeSpace` and run on
 * either: `denseEdges` (a tensor per block, aggregation is a reduction over an axis, no gather or scatter) or
 * `generalEdges` (one tensor for all edges, gather and segment reductions), which takes any graph.
 */
import type { CompiledGraph } from '../../../graphs/index.ts';
import { tf } from '../../tensor/index.ts';

/** Which end of its edges a node is. */
export type End = 'source' | 'target';
/** How what arrives at a node becomes one value, feature by feature. */
export type Reduction = 'mean' | 'sum' | 'max';

/**
 * Features on edges: one tensor per group of edges, last axis the features, first axis the batch (1 where it is the same for the whole batch).
 * What lies between is the space's own business.
 */
export type EdgeFeatures = readonly tf.Tensor[];

/**
 * A compiled graph's edges as tensors, and everything message passing does with them. B samples, N nodes, E edges, D weights, F features.
 */
export interface EdgeSpace {
  readonly graph: CompiledGraph;
  /** @param weights [B, D]  @returns one feature per edge: its weight, 1 for a constant edge */
  ofWeights(weights: tf.Tensor2D): EdgeFeatures;
  /** Row `index[e]` of a table [rows, F] for every edge e; batch axis 1. */
  lookup(table: tf.Tensor2D, index: Int32Array): EdgeFeatures;
  /** `edges` [.., F] + source[., s, .] + target[., t, .], node features [B, N, F] or null. */
  addNodes(edges: EdgeFeatures, source: tf.Tensor3D | null, target: tf.Tensor3D | null): EdgeFeatures;
  /**
   * relu(edges W + source[., s, .] + target[., t, .]): what a linear layer on an edge's features joined to its ends' gives, with the
   * ends' shares computed before.
   * @param weight [F, H]  @param source,target [B or 1, N, H] or null  @returns H features per edge
   */
  message(
    edges: EdgeFeatures,
    weight: tf.Tensor2D,
    source: tf.Tensor3D | null,
    target: tf.Tensor3D | null,
  ): EdgeFeatures;
  /** Reduces edge features over each node's edges: incoming ones for `target`. A node without any gets 0. @returns [B, N, F] */
  aggregate(edges: EdgeFeatures, end: End, reduction: Reduction): tf.Tensor3D;
  /** Mean over all edges. @returns [B, F] */
  mean(edges: EdgeFeatures): tf.Tensor2D;
  /**
   * Edges as weights: node n gets sum over its edges e of edges[e, k] * values[m, k], m the node at the edge's other end.
   * @param edges K features  @param values [B, N, K * width]  @returns [B, N, K * width]
   */
  weightedSum(edges: EdgeFeatures, values: tf.Tensor3D, end: End): tf.Tensor3D;
  /** Inner products of the nodes at both ends, per head. @param source,target [B, N, K * width] @returns K features per edge */
  products(source: tf.Tensor3D, target: tf.Tensor3D, heads: number): EdgeFeatures;
  /**
   * Features that are the same for the whole batch as a matrix, a row per weight in flat order.
   * @param edges batch axis 1  @returns [D, F]
   */
  rows(edges: EdgeFeatures): tf.Tensor2D;
  /**
   * One feature per edge back to a batch of weights; a weight with two edges (one reversed) gets the forward one's.
   * @returns [B, D]
   */
  toWeights(edges: EdgeFeatures): tf.Tensor2D;
}

/** A function of features applied to every group of edges. */
export const mapEdges = (edges: EdgeFeatures, f: (features: tf.Tensor) => tf.Tensor): EdgeFeatures =>
  edges.map(f);

/** A function of two features, group by group. */
export const zipEdges = (
  a: EdgeFeatures,
  b: EdgeFeatures,
  f: (a: tf.Tensor, b: tf.Tensor) => tf.Tensor,
): EdgeFeatures => a.map((features, i) => f(features, b[i]));

/** How many edges each node has at that end. */
export function degrees(graph: CompiledGraph, end: End): Float32Array {
  const counts = new Float32Array(graph.nodeCount);
  for (const node of graph[end]) counts[node]++;
  return counts;
}

/**
 * Maximum over the rows listed for each node, 0 for a node with none.
 * @param rows [B, R, F]  @returns [B, N, F]
 */
export function slotMax(
  rows: tf.Tensor3D,
  slots: ReadonlyMap<number, readonly number[]>,
  count: number,
): tf.Tensor3D {
  const [batch, rowCount, width] = rows.shape;
  const most = Math.max(...[...slots.values()].map(list => list.length));
  // Short lists are filled up with a row below all numbers, which takes no part in a gradient either; a node without a list points at zeros.
  const index = new Int32Array(count * most).fill(rowCount);
  for (const [node, list] of slots)
    for (let k = 0; k < most; k++) index[node * most + k] = list[k] ?? rowCount + 1;
  const padded = tf.concat([rows, tf.zeros([batch, 1, width]), tf.fill([batch, 1, width], -Infinity)], 1);
  return tf.max(tf.reshape(tf.gather(padded, index, 1), [batch, count, most, width]), 2);
}
