/**
 * The frame: what can be known of a graph's nodes and edges before any sample is seen, from their classes and, where there is one, the anchor
 * (the weights of a base NCA on the same graph). It is computed once for a whole batch, so it can afford to be wide.
 *
 * With an anchor every hidden unit has a face of its own, because its base weights differ from its neighbours'. Permuting the anchor's units permutes
 * the frame, so a denoiser that uses it is equivariant when weights and anchor are permuted together. Without an anchor the
 * frame says no more than the classes do.
 */
import { layerNorm, linear, mlp, type Parameters, silu, tf } from '../../tensor/index.ts';
import { degrees, type EdgeFeatures, type EdgeSpace, zipEdges } from './edges.ts';
import { edgeClasses, inverseRootDegree, nodeEmbedding } from './features.ts';

export interface FrameSizes {
  /** Width of the node features. */
  readonly width: number;
  /** How many functions on the edges the basis has. */
  readonly basis: number;
}

export interface Frame {
  /** [1, N, width], normalised */
  readonly nodes: tf.Tensor3D;
  /** [D, basis]: for every weight its values of learned functions of its edge. */
  readonly basis: tf.Tensor2D;
}

/** Rounds of message passing on the anchor: after two, each unit knows the weights around it and its neighbours'. */
const ROUNDS = 2;

/** @param anchor [D] or none */
export function frame(
  parameters: Parameters,
  space: EdgeSpace,
  { width, basis }: FrameSizes,
  anchor: Float32Array | undefined,
): () => Frame {
  const { graph } = space;
  const embed = nodeEmbedding(parameters, graph, width);
  const rounds = Array.from({ length: anchor ? ROUNDS : 0 }, (_, i) =>
    anchorRound(parameters.scope(`round/${i}`), space, width),
  );
  const norm = layerNorm(parameters, 'norm', width);
  const { index, count } = edgeClasses(graph);
  const scope = parameters.scope('basis');
  const offset = scope.normal<tf.Rank.R2>('class', [count, basis], 0.5);
  const direction = anchor ? scope.normal<tf.Rank.R2>('anchor', [count, basis], 1) : null;
  const source = linear(scope, 'source', width, basis, { bias: false });
  const target = linear(scope, 'target', width, basis, { bias: false });
  const mix = linear(scope, 'mix', basis, basis, { std: Math.sqrt(2 / basis) });

  return () => {
    const base = anchor ? space.ofWeights(tf.tensor2d(anchor, [1, anchor.length])) : null;
    let nodes = embed();
    for (const round of rounds) nodes = round(nodes, base!);
    nodes = norm(nodes);
    let own = space.lookup(offset, index);
    if (base && direction)
      own = zipEdges(own, zipEdges(base, space.lookup(direction, index), tf.mul), tf.add);
    const joined = space.addNodes(own, source(nodes), target(nodes));
    return { nodes, basis: tf.relu(mix(tf.relu(space.rows(joined)))) };
  };
}

/** Every node hears its neighbours along the anchor's weights, in both directions. */
function anchorRound(
  parameters: Parameters,
  space: EdgeSpace,
  width: number,
): (nodes: tf.Tensor3D, base: EdgeFeatures) => tf.Tensor3D {
  const norm = layerNorm(parameters, 'norm', width);
  const ahead = linear(parameters, 'ahead', width, width, { bias: false });
  const back = linear(parameters, 'back', width, width, { bias: false });
  const update = mlp(parameters, 'update', [3 * width, 2 * width, width], { activation: silu });
  const degree = { source: degrees(space.graph, 'source'), target: degrees(space.graph, 'target') };
  return (nodes, base) => {
    const x = norm(nodes);
    const incoming = tf.mul(space.weightedSum(base, ahead(x), 'target'), inverseRootDegree(degree.target));
    const outgoing = tf.mul(space.weightedSum(base, back(x), 'source'), inverseRootDegree(degree.source));
    return tf.add(nodes, update(tf.concat([x, incoming, outgoing], 2)));
  };
}
