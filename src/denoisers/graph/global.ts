/** How the global state meets the weights: it reads them through the frame's basis and writes through it. */
import { layerNorm, linear, mlp, type Parameters, silu, tf } from '../../tensor/index.ts';
import { type EdgeFeatures, type EdgeSpace, mapEdges, zipEdges } from './edges.ts';
import { edgeClasses } from './features.ts';
import type { Frame } from './frame.ts';

/** u += what the basis sees of the weights; then two residual MLPs. */
export function reading(parameters: Parameters, space: EdgeSpace, sizes: { global: number; basis: number }) {
  const { global, basis } = sizes;
  const project = linear(parameters, 'project', basis, global, { bias: false });
  const normIn = layerNorm(parameters, 'norm', global);
  const blocks = [0, 1].map(i => ({
    norm: layerNorm(parameters, `${i}/norm`, global),
    mlp: mlp(parameters, `${i}/mlp`, [global, 2 * global, global], { activation: silu }),
  }));
  const scale = 1 / Math.sqrt(space.graph.parameterCount);
  return (weights: tf.Tensor2D, { basis: functions }: Frame, context: tf.Tensor2D): tf.Tensor2D => {
    const seen = tf.mul(tf.matMul(weights, functions), scale) as tf.Tensor2D;
    let u = tf.add(context, normIn(project(seen))) as tf.Tensor2D;
    for (const { norm, mlp } of blocks) u = tf.add(u, mlp(norm(u)));
    return u;
  };
}

export interface HeadSizes {
  readonly hidden: number;
  readonly edge: number;
  readonly global: number;
  readonly basis: number;
}

/**
 * F as the sum of what the global state writes through the basis, a function of each edge, the product of its two nodes, and the noisy
 * weights themselves by a gain for each class of edges. All four start at 0.
 */
export function head(parameters: Parameters, space: EdgeSpace, { hidden, edge, global, basis }: HeadSizes) {
  const globalNorm = layerNorm(parameters, 'global-norm', global);
  const fromEdge = linear(parameters, 'edge', edge, 1, { std: 0 });
  const source = linear(parameters, 'source', hidden, hidden);
  const target = linear(parameters, 'target', hidden, hidden, { std: 0, bias: false });
  const coefficients = linear(parameters, 'basis', global, basis, { std: 0 });
  const { index, count } = edgeClasses(space.graph);
  const gain = linear(parameters, 'gain', global, count, { std: 0 });
  const classOf = classOfWeight(space, index);

  /** @param nodes [B, N, hidden], normalised */
  return (
    weights: tf.Tensor2D,
    { basis: functions }: Frame,
    { nodes, edges, global: state }: { nodes: tf.Tensor3D; edges: EdgeFeatures; global: tf.Tensor2D },
  ): tf.Tensor2D => {
    const u = globalNorm(state);
    const products = space.products(source(nodes), target(nodes), 1);
    const local = zipEdges(mapEdges(edges, fromEdge), products, (a, b) =>
      tf.add(a, tf.mul(b, 1 / Math.sqrt(hidden))),
    );
    const wide = tf.mul(tf.matMul(coefficients(u), functions, false, true), 4 / Math.sqrt(basis));
    const through = tf.mul(weights, tf.gather(gain(u), classOf, 1));
    return tf.add(space.toWeights(local), tf.add(wide, through));
  };
}

/** The class of the edge that carries each weight. */
function classOfWeight({ graph }: EdgeSpace, edgeClass: Int32Array): Int32Array {
  const classes = new Int32Array(graph.parameterCount);
  for (let e = graph.edgeCount - 1; e >= 0; e--) {
    if (graph.parameter[e] >= 0) classes[graph.parameter[e]] = edgeClass[e];
  }
  return classes;
}
