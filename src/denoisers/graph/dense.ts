/**
 * The dense path: each block of edges is a tensor [B, outer, inner, F] (or [B, pairs, F]), its two ends are broadcast along an axis, and
 * aggregation is a reduction over the other.
 */
import type { CompiledGraph } from '../../../graphs/index.ts';
import { edgeMessage, tf } from '../../tensor/index.ts';
import { assemble, type Layout, layout, type NodeSet, spread, take } from './dense-layout.ts';
import { degrees, type EdgeFeatures, type EdgeSpace, type End, slotMax } from './edges.ts';

const other = (end: End): End => (end === 'source' ? 'target' : 'source');

/** The dense path of a compiled graph. */
export function denseEdges(graph: CompiledGraph): EdgeSpace {
  const layouts = graph.blocks.map(layout);
  const counts = { source: degrees(graph, 'source'), target: degrees(graph, 'target') };

  const shapeOf = ({ pairs, block, outer, inner }: Layout, batch: number, width: number): number[] =>
    pairs ? [batch, outer, width] : [batch, outer, inner * block.kernel, width];

  const ofWeights = (weights: tf.Tensor2D): EdgeFeatures =>
    layouts.map(l => {
      const batch = weights.shape[0];
      if (l.block.parameter < 0) return tf.ones(shapeOf(l, batch, 1));
      return tf.reshape(
        tf.slice(weights, [0, l.block.parameter], [batch, l.block.size]),
        shapeOf(l, batch, 1),
      );
    });

  const lookup = (table: tf.Tensor2D, index: Int32Array): EdgeFeatures =>
    layouts.map(l => {
      const { firstEdge, size, kernel } = l.block;
      const rows = index.subarray(firstEdge, firstEdge + size);
      const width = table.shape[1];
      if (rows.every(row => row === rows[0])) {
        return tf.reshape(
          tf.slice(table, [rows[0], 0], [1, width]),
          l.pairs ? [1, 1, width] : [1, 1, 1, width],
        );
      }
      const inner = l.inner * kernel;
      if (!l.pairs && rows.every((row, i) => row === rows[i % inner])) {
        return tf.reshape(tf.gather(table, rows.slice(0, inner)), [1, 1, inner, width]);
      }
      return tf.reshape(tf.gather(table, rows.slice()), shapeOf(l, 1, width));
    });

  const addNodes: EdgeSpace['addNodes'] = (edges, source, target) =>
    layouts.map((l, i) => {
      const nodes = { source, target };
      return (['source', 'target'] as const).reduce((sum, end) => {
        const x = nodes[end];
        if (!x) return sum;
        const part = take(x, l.ends[end]);
        return tf.add(sum, l.pairs ? part : spread(part, l.axis[end], l.block.kernel));
      }, edges[i]);
    });

  const message: EdgeSpace['message'] = (edges, weight, source, target) =>
    layouts.map((l, i) => {
      const [batch] = edges[i].shape;
      const width = edges[i].shape[edges[i].rank - 1];
      const at = (x: tf.Tensor3D | null, end: End) => x && take(x, l.ends[end]);
      const [s, t] = [at(source, 'source'), at(target, 'target')];
      if (l.pairs) {
        const both = s && t ? (tf.add(s, t) as tf.Tensor3D) : (s ?? t);
        const column = tf.reshape(edges[i], [batch, l.outer, 1, width]) as tf.Tensor4D;
        return tf.reshape(edgeMessage(column, weight, both, null), [batch, l.outer, weight.shape[1]]);
      }
      const [outer, inner] = l.axis.source === 1 ? [s, t] : [t, s];
      const spreadInner =
        inner && (tf.squeeze(spread(inner, 2, l.block.kernel), [1]) as unknown as tf.Tensor3D);
      return edgeMessage(edges[i] as tf.Tensor4D, weight, outer, spreadInner);
    });

  const aggregate: EdgeSpace['aggregate'] = (edges, end, reduction) => {
    if (reduction === 'max') return aggregateMax(edges, end);
    const parts = layouts.map(
      (l, i) => [l.ends[end], l.pairs ? (edges[i] as tf.Tensor3D) : sums(edges[i], l, end)] as const,
    );
    const sum = assemble(parts, graph.nodeCount);
    if (reduction === 'sum') return sum;
    const share = tf.tensor1d(counts[end].map(n => 1 / Math.max(n, 1)));
    return tf.mul(sum, tf.reshape(share, [1, graph.nodeCount, 1]));
  };

  const sums = (features: tf.Tensor, l: Layout, end: End): tf.Tensor3D =>
    reduceInner(features, l, end, (x, axis) => tf.sum(x, axis));

  /** Reduces a dense block over the axis of the end that is not asked for, and over the kernel. */
  function reduceInner(
    features: tf.Tensor,
    l: Layout,
    end: End,
    reduce: (x: tf.Tensor, axis: number | number[]) => tf.Tensor,
  ): tf.Tensor3D {
    if (l.axis[end] === 1) return reduce(features, 2) as tf.Tensor3D;
    const { kernel } = l.block;
    if (kernel === 1) return reduce(features, 1) as tf.Tensor3D;
    const [batch, outer, , width] = features.shape;
    return reduce(tf.reshape(features, [batch, outer, l.inner, kernel, width]), [1, 3]) as tf.Tensor3D;
  }

  /** Each node's maximum over all blocks: blocks are reduced one by one, then compared where they share nodes. */
  function aggregateMax(edges: EdgeFeatures, end: End): tf.Tensor3D {
    const parts = layouts.map(
      (l, i) =>
        [
          l.ends[end],
          l.pairs ? (edges[i] as tf.Tensor3D) : reduceInner(edges[i], l, end, (x, axis) => tf.max(x, axis)),
        ] as const,
    );
    const slots = new Map<number, number[]>();
    let row = 0;
    for (const [set] of parts)
      for (const node of set.nodes) slots.set(node, [...(slots.get(node) ?? []), row++]);
    return slotMax(
      tf.concat(
        parts.map(([, x]) => x),
        1,
      ),
      slots,
      graph.nodeCount,
    );
  }

  const mean = (edges: EdgeFeatures): tf.Tensor2D => {
    const total = layouts.reduce<tf.Tensor | null>((sum, l, i) => {
      const part = tf.sum(edges[i], l.pairs ? 1 : [1, 2]);
      return sum ? tf.add(sum, part) : part;
    }, null);
    return tf.mul(total!, 1 / graph.edgeCount) as tf.Tensor2D;
  };

  const weightedSum: EdgeSpace['weightedSum'] = (edges, values, end) => {
    const batch = values.shape[0];
    const parts = layouts.map((l, i) => {
      const heads = edges[i].shape[edges[i].rank - 1];
      const width = values.shape[2] / heads;
      const there = take(values, l.ends[other(end)]);
      const n = there.shape[1];
      const v = tf.reshape(there, [batch, n, heads, width]);
      if (l.pairs) {
        const product = tf.mul(tf.reshape(edges[i], [batch, n, heads, 1]), v);
        return [l.ends[end], tf.reshape(product, [batch, n, heads * width])] as const;
      }
      // [B, outer, inner, kernel, K], the kernel summed away, as a matrix per head from the nodes there to the nodes here.
      const { kernel } = l.block;
      const e =
        kernel === 1 ? edges[i] : tf.sum(tf.reshape(edges[i], [batch, l.outer, l.inner, kernel, heads]), 3);
      const matrix = tf.transpose(e, l.axis[end] === 1 ? [0, 3, 1, 2] : [0, 3, 2, 1]);
      const sum = tf.matMul(matrix, tf.transpose(v, [0, 2, 1, 3]));
      const here = l.ends[end].nodes.length;
      return [
        l.ends[end],
        tf.reshape(tf.transpose(sum, [0, 2, 1, 3]), [batch, here, heads * width]),
      ] as const;
    });
    return assemble(parts as (readonly [NodeSet, tf.Tensor3D])[], graph.nodeCount);
  };

  const products: EdgeSpace['products'] = (source, target, heads) =>
    layouts.map(l => {
      const split = (x: tf.Tensor3D, end: End) => {
        const part = take(x, l.ends[end]);
        return tf.reshape(part, [part.shape[0], part.shape[1], heads, part.shape[2] / heads]);
      };
      const s = split(source, 'source');
      const t = split(target, 'target');
      if (l.pairs) return tf.sum(tf.mul(s, t), 3);
      const [outer, inner] = l.block.reverse ? [s, t] : [t, s];
      const scores = tf.matMul(tf.transpose(outer, [0, 2, 1, 3]), tf.transpose(inner, [0, 2, 3, 1]));
      const features = tf.transpose(scores, [0, 2, 3, 1]);
      const { kernel } = l.block;
      if (kernel === 1) return features;
      const [batch, o, n] = features.shape;
      const repeated = tf.tile(tf.reshape(features, [batch, o, n, 1, heads]), [1, 1, 1, kernel, 1]);
      return tf.reshape(repeated, [batch, o, n * kernel, heads]);
    });

  /** Blocks whose edges are the first to carry their parameters, in flat order. */
  const carriers = layouts
    .map(({ block }, i) => ({ block, i }))
    .filter(({ block }) => block.parameter >= 0)
    .filter(({ block }, i, all) => all.findIndex(other => other.block.parameter === block.parameter) === i)
    .sort((a, b) => a.block.parameter - b.block.parameter);

  const rows = (edges: EdgeFeatures): tf.Tensor2D =>
    joined(
      carriers.map(({ block, i }) => tf.reshape(edges[i], [block.size, edges[i].shape[edges[i].rank - 1]])),
      0,
    );

  const toWeights = (edges: EdgeFeatures): tf.Tensor2D =>
    joined(
      carriers.map(({ block, i }) => tf.reshape(edges[i], [edges[i].shape[0], block.size])),
      1,
    );

  return {
    graph,
    ofWeights,
    lookup,
    addNodes,
    message,
    aggregate,
    mean,
    weightedSum,
    products,
    rows,
    toWeights,
  };
}

const joined = (parts: tf.Tensor2D[], axis: 0 | 1): tf.Tensor2D =>
  parts.length === 1 ? parts[0] : tf.concat(parts, axis);
