/** Where the ends of a block of edges lie: on which part of the node axis, and along which axis of the block's tensor. */
import type { EdgeBlock } from '../../../graphs/index.ts';
import { tf } from '../../tensor/index.ts';
import type { End } from './edges.ts';

/** A set of nodes as a part of the node axis: contiguous ones are sliced, others gathered. */
export interface NodeSet {
  readonly nodes: Int32Array;
  readonly start: number;
  readonly contiguous: boolean;
}

const nodeSet = (nodes: Int32Array): NodeSet => ({
  nodes,
  start: nodes[0],
  contiguous: nodes.every((node, i) => node === nodes[0] + i),
});

/** A block's geometry. For pairs the inner end is empty. */
export interface Layout {
  readonly block: EdgeBlock;
  readonly pairs: boolean;
  /** Nodes of a `pairs` block's two ends, or of the two axes of a dense one, by end. */
  readonly ends: Readonly<Record<End, NodeSet>>;
  /** Axis of [B, outer, inner, F] along which each end runs. */
  readonly axis: Readonly<Record<End, 1 | 2>>;
  readonly outer: number;
  /** Distinct inner nodes; the inner axis has kernel times as many entries. */
  readonly inner: number;
}

export function layout(block: EdgeBlock): Layout {
  const pairs = block.kind === 'pairs';
  const ends = { source: nodeSet(block.sources), target: nodeSet(block.targets) };
  return {
    block,
    pairs,
    ends,
    axis: block.reverse ? { source: 1, target: 2 } : { source: 2, target: 1 },
    outer: pairs ? block.size : block.reverse ? block.sources.length : block.targets.length,
    inner: pairs ? 1 : block.reverse ? block.targets.length : block.sources.length,
  };
}

/** The nodes of a set, out of all. */
export function take(x: tf.Tensor3D, { nodes, start, contiguous }: NodeSet): tf.Tensor3D {
  const [batch, count, width] = x.shape;
  if (contiguous && nodes.length === count) return x;
  if (contiguous) return tf.slice(x, [0, start, 0], [batch, nodes.length, width]);
  return tf.gather(x, nodes, 1);
}

/** Puts parts of the node axis together, adding where they meet; nodes of no part get 0. */
export function assemble(parts: readonly (readonly [NodeSet, tf.Tensor3D])[], count: number): tf.Tensor3D {
  const groups = new Map<string, [NodeSet, tf.Tensor3D]>();
  for (const [set, features] of parts) {
    const key = set.nodes.join();
    const before = groups.get(key);
    groups.set(key, [set, before ? tf.add(before[1], features) : features]);
  }
  const sorted = [...groups.values()].sort(([a], [b]) => a.start - b.start);
  const disjoint = sorted.every(
    ([set], i) =>
      set.contiguous && (i === 0 || set.start >= sorted[i - 1][0].start + sorted[i - 1][0].nodes.length),
  );
  if (!disjoint) return scatter(sorted, count);
  const [batch, , width] = sorted[0][1].shape;
  const pieces: tf.Tensor3D[] = [];
  let next = 0;
  for (const [set, features] of sorted) {
    if (set.start > next) pieces.push(tf.zeros([batch, set.start - next, width]));
    pieces.push(features);
    next = set.start + set.nodes.length;
  }
  if (next < count) pieces.push(tf.zeros([batch, count - next, width]));
  return pieces.length === 1 ? pieces[0] : tf.concat(pieces, 1);
}

function scatter(parts: readonly (readonly [NodeSet, tf.Tensor3D])[], count: number): tf.Tensor3D {
  const nodes = parts.flatMap(([set]) => [...set.nodes]);
  const features = tf.concat(
    parts.map(([, part]) => part),
    1,
  );
  const rows = tf.transpose(features, [1, 0, 2]);
  return tf.transpose(
    tf.unsortedSegmentSum(rows, tf.tensor1d(nodes, 'int32'), count),
    [1, 0, 2],
  ) as tf.Tensor3D;
}

/** [B, n, F] -> [B, n, 1, F] or [B, 1, n, F], each inner node once per kernel position. */
export function spread(x: tf.Tensor3D, axis: 1 | 2, kernel: number): tf.Tensor4D {
  const [batch, count, width] = x.shape;
  if (axis === 1) return tf.reshape(x, [batch, count, 1, width]);
  if (kernel === 1) return tf.reshape(x, [batch, 1, count, width]);
  const repeated = tf.tile(tf.reshape(x, [batch, count, 1, width]), [1, 1, kernel, 1]);
  return tf.reshape(repeated, [batch, 1, count * kernel, width]);
}
