/** What the nodes and edges of a graph are told about themselves: learned embeddings of type, layer, order and position. */
import type { CompiledGraph } from '../../../graphs/index.ts';
import { type Parameters, tf } from '../../tensor/index.ts';
import { type EdgeFeatures, type EdgeSpace, zipEdges } from './edges.ts';

/** Numbers the distinct rows of columns of integers, in the order in which they are met. */
export function classes(
  count: number,
  row: (i: number) => readonly number[],
): { index: Int32Array; count: number } {
  const known = new Map<string, number>();
  const index = Int32Array.from({ length: count }, (_, i) => {
    const key = row(i).join();
    const found = known.get(key) ?? known.size;
    known.set(key, found);
    return found;
  });
  return { index, count: known.size };
}

/** Nodes alike in layer, type and order; hidden units of a layer are one class. */
export const nodeClasses = (graph: CompiledGraph) =>
  classes(graph.nodeCount, i => [graph.nodeLayer[i], graph.nodeType[i], graph.nodeOrder[i]]);

/** Edges alike in layer, type, direction and kernel position. */
export const edgeClasses = (graph: CompiledGraph) =>
  classes(graph.edgeCount, e => [
    graph.edgeLayer[e],
    graph.edgeType[e],
    graph.reverse[e],
    ...graph.position.subarray(3 * e, 3 * e + 3),
  ]);

/** An embedding [1, N, width] of each node's class. */
export function nodeEmbedding(
  parameters: Parameters,
  graph: CompiledGraph,
  width: number,
): () => tf.Tensor3D {
  const { index, count } = nodeClasses(graph);
  const table = parameters.normal<tf.Rank.R2>('node', [count, width], 1);
  return () => tf.reshape(tf.gather(table, index), [1, index.length, width]);
}

/**
 * Edge e of class k starts as weight * a_k (+ anchor * c_k) + b_k, vectors of `width`.
 * @param anchor [D] base weights, given to every sample, or none
 */
export function edgeEmbedding(
  parameters: Parameters,
  space: EdgeSpace,
  width: number,
  anchor: Float32Array | undefined,
): (weights: tf.Tensor2D) => EdgeFeatures {
  const { index, count } = edgeClasses(space.graph);
  const scope = parameters.scope('edge');
  const direction = scope.normal<tf.Rank.R2>('weight', [count, width], 1);
  const offset = scope.normal<tf.Rank.R2>('class', [count, width], 0.5);
  const anchorDirection = anchor ? scope.normal<tf.Rank.R2>('anchor', [count, width], 1) : null;
  return weights => {
    let still = space.lookup(offset, index);
    if (anchor && anchorDirection) {
      const base = space.ofWeights(tf.tensor2d(anchor, [1, anchor.length]));
      still = zipEdges(still, zipEdges(base, space.lookup(anchorDirection, index), tf.mul), tf.add);
    }
    const moving = zipEdges(space.ofWeights(weights), space.lookup(direction, index), tf.mul);
    return zipEdges(moving, still, tf.add);
  };
}

/** 1 / sqrt(edges at that end) of each node, [1, N, 1]: keeps a sum over edges at unit scale. */
export function inverseRootDegree(counts: Float32Array): tf.Tensor3D {
  return tf.tensor3d(
    counts.map(n => 1 / Math.sqrt(Math.max(n, 1))),
    [1, counts.length, 1],
  );
}
