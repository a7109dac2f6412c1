/**
 * The reference's EdgeMPNN as it stands (graph meta-networks, arXiv 2312.04501), for comparison: raw integers as features, forward edges only,
 * batch norm over all nodes and edges of a batch, no path without a condition. Per layer
 *
 *   edge = relu(W [source | target | edge | u]);  node = relu(W2 [x | reduce over incoming relu(W1 [source | edge | u]) | u])
 *   u = relu(W [reduce x | reduce edge | u]);  batch norm on x and edge
 *
 * and a last layer, linear, of which the edges alone are used, then an MLP to one number per edge. The noise level's
 * sinusoids are appended to each edge, the condition is u. All linear layers are factored over what they join, and batch norm's scale and shift are folded
 * into the next linear layer; both change the order of sums, not the function.
 */
import * as t from 'io-ts';
import { natural, UserError } from '../../config/index.ts';
import { Parameters, sinusoidalEmbedding, tf } from '../../tensor/index.ts';
import type { Denoiser, DenoiserContext } from '../denoiser.ts';
import { type EdgeFeatures, type EdgeSpace, mapEdges, type Reduction, zipEdges } from './edges.ts';
import { classes } from './features.ts';
import { ncaGraph } from './nca-graph.ts';
import { edgeSpace, type Path } from './space.ts';

/** Sizes of the published EdgeMPNN; `REFERENCE_DEFAULTS` has those it was published with. */
export const ReferenceConfig = t.strict({
  /** Width of node, edge and global states between the layers. */
  hidden: natural,
  layers: natural,
  /** Edge features before the head; the head halves them. */
  out: natural,
  /** Width of the noise label's sinusoids. */
  noise: natural,
  /** Of messages at a node, and of nodes and edges into the global state. */
  reduction: t.union([t.literal('mean'), t.literal('sum'), t.literal('max')]),
});
export type ReferenceConfig = t.TypeOf<typeof ReferenceConfig>;

/** The published sizes. */
export const REFERENCE_DEFAULTS: ReferenceConfig = {
  hidden: 96,
  layers: 4,
  out: 32,
  noise: 6,
  reduction: 'mean',
};

const NODE_FEATURES = 3;
/** Layer, type and three positions; the weight comes first. */
const STATIC_EDGE_FEATURES = 5;
const MOMENTUM = 0.1;
const EPSILON = 1e-5;

/**
 * Builds the published EdgeMPNN, defects and all; its running averages are `buffers`.
 * @throws UserError when there is no condition, here or when it is applied
 */
export function referenceMpnn(
  config: ReferenceConfig,
  context: DenoiserContext,
  path: Path = 'dense',
): Denoiser {
  const { hidden, layers, out, noise, reduction } = config;
  const condition = context.condition;
  if (!condition) {
    throw new UserError({
      where: 'edge-mpnn',
      field: 'reference',
      expected: 'a condition (it has no path without one)',
      found: 'none',
    });
  }
  const graph = ncaGraph(context.spec);
  const space = edgeSpace(graph, path);
  const parameters = new Parameters({ seed: context.seed });
  const frozen = new Parameters({ seed: context.seed, trainable: false });
  const globalIn = condition.tokens * condition.width;
  const nodeFeatures = tf.keep(rawNodes(space));
  const edgeClass = classes(graph.edgeCount, e => rawEdge(space, e));
  const edgeTable = tf.keep(rawTable(space, edgeClass));

  const joint = (name: string, inputs: readonly number[], outputs: number) =>
    jointLinear(parameters, name, inputs, outputs);
  const convs = Array.from({ length: layers }, (_, i) => {
    const last = i === layers - 1;
    const name = `gnn/convs/${i}`;
    const [n, e, u] =
      i === 0 ? [NODE_FEATURES, 1 + STATIC_EDGE_FEATURES + noise, globalIn] : [hidden, hidden, hidden];
    const edgeOut = last ? out : hidden;
    // The first layer's edge is split further: weight, what is the same for every sample, what is the same for every edge.
    const edgeParts = i === 0 ? [n, n, 1, STATIC_EDGE_FEATURES, noise, u] : [n, n, e, u];
    return {
      edge: joint(`${name}/edge_model/edge_mlp/0`, edgeParts, edgeOut),
      rest: last
        ? null
        : {
            message: joint(`${name}/node_model/node_mlp_1/0`, [n, hidden, u], hidden),
            node: joint(`${name}/node_model/node_mlp_2/0`, [n, hidden, u], hidden),
            global: joint(`${name}/global_model/global_mlp/0`, [hidden, hidden, u], hidden),
            nodeNorm: batchNorm(parameters, frozen, `gnn/node_norms/${i}`, hidden),
            edgeNorm: batchNorm(parameters, frozen, `gnn/edge_norms/${i}`, hidden),
          },
    };
  });
  const head = [joint('head/0', [out], Math.floor(out / 2)), joint('head/2', [Math.floor(out / 2)], 1)];

  return {
    name: 'edge-mpnn',
    spec: context.spec,
    variables: parameters.variables,
    buffers: frozen.variables,
    symmetries: ['hidden-permutation'],
    apply: (weights, noiseLabel, given, options = {}) =>
      tf.tidy(() => {
        if (!given) throw new UserError('edge-mpnn: the reference variant has no path without a condition.');
        const batch = weights.shape[0];
        const training = options.training ?? false;
        let global = tf.reshape(given.tokens, [batch, globalIn]) as tf.Tensor2D;
        let nodes = nodeFeatures;
        let edges: EdgeFeatures = space.ofWeights(weights);
        let norm: Affine | null = null;
        for (const [i, conv] of convs.entries()) {
          const term = conv.edge;
          const around = (own: number, u: number) =>
            spread(
              tf.add(
                term.part(u)(global),
                own < 0
                  ? term.bias
                  : tf.add(term.part(own)(sinusoidalEmbedding(noiseLabel, noise)), term.bias),
              ),
            );
          const { rest } = conv;
          if (i === 0) {
            const still = space.lookup(tf.matMul(edgeTable, term.weight(3)), edgeClass.index);
            const own = zipEdges(mapEdges(edges, term.part(2)), still, tf.add);
            const target = tf.add(term.part(1)(nodes), around(4, 5)) as tf.Tensor3D;
            edges = space.addNodes(own, term.part(0)(nodes), target);
            if (rest) edges = mapEdges(edges, tf.relu);
          } else {
            const weight = tf.mul(term.weight(2), tf.reshape(norm!.scale, [hidden, 1])) as tf.Tensor2D;
            const shift = tf.matMul(tf.reshape(norm!.shift, [1, hidden]), term.weight(2));
            const target = tf.add(
              term.part(1)(nodes),
              tf.add(around(-1, 3), tf.reshape(shift, [1, 1, -1])),
            ) as tf.Tensor3D;
            const source = term.part(0)(nodes);
            edges = rest
              ? space.message(edges, weight, source, target)
              : space.addNodes(
                  mapEdges(edges, e => product(e, weight)),
                  source,
                  target,
                );
          }
          if (!rest) break;
          const u = spread(tf.add(rest.message.part(2)(global), rest.message.bias));
          const said = space.message(
            edges,
            rest.message.weight(1),
            tf.add(rest.message.part(0)(nodes), u) as tf.Tensor3D,
            null,
          );
          const heard = space.aggregate(said, 'target', reduction);
          const nodeU = spread(tf.add(rest.node.part(2)(global), rest.node.bias));
          const next = tf.relu(
            tf.add(tf.add(rest.node.part(0)(nodes), rest.node.part(1)(heard)), nodeU),
          ) as tf.Tensor3D;
          const pooled = tf.add(
            rest.global.part(0)(pool([next], reduction)),
            rest.global.part(1)(pool(edges, reduction)),
          );
          global = tf.relu(
            tf.add(tf.add(pooled, rest.global.part(2)(global)), rest.global.bias),
          ) as tf.Tensor2D;
          norm = rest.edgeNorm(edges, training);
          const affine = rest.nodeNorm([next], training);
          nodes = tf.add(tf.mul(next, affine.scale), affine.shift);
        }
        const inner = mapEdges(edges, e => tf.relu(tf.add(head[0].part(0)(e), head[0].bias)));
        return space.toWeights(mapEdges(inner, e => tf.add(head[1].part(0)(e), head[1].bias)));
      }),
    dispose: () => {
      parameters.dispose();
      frozen.dispose();
      tf.dispose([nodeFeatures, edgeTable]);
    },
  };
}

/** Over everything between batch and features. @returns [B, F] */
function pool(features: EdgeFeatures, reduction: Reduction): tf.Tensor2D {
  const [batch] = features[0].shape;
  const width = features[0].shape[features[0].rank - 1];
  const rows = features.map(x => tf.reshape(x, [batch, -1, width]));
  if (reduction === 'max') {
    return rows.map(x => tf.max(x, 1)).reduce((a, b) => tf.maximum(a, b)) as tf.Tensor2D;
  }
  const sum = rows.map(x => tf.sum(x, 1)).reduce((a, b) => tf.add(a, b)) as tf.Tensor2D;
  const count = rows.reduce((total, x) => total + x.shape[1]!, 0);
  return reduction === 'sum' ? sum : tf.mul(sum, 1 / count);
}

/** [B, F] -> [B, 1, F] */
const spread = (x: tf.Tensor): tf.Tensor3D => tf.reshape(x, [x.shape[0], 1, -1]);

/** Layer, order and type of every node, as they are. */
const rawNodes = ({ graph }: EdgeSpace): tf.Tensor3D =>
  tf.tensor3d(
    Float32Array.from({ length: NODE_FEATURES * graph.nodeCount }, (_, i) => {
      const node = Math.floor(i / NODE_FEATURES);
      return [graph.nodeLayer, graph.nodeOrder, graph.nodeType][i % NODE_FEATURES][node];
    }),
    [1, graph.nodeCount, NODE_FEATURES],
  );

const rawEdge = ({ graph }: EdgeSpace, e: number): number[] => [
  graph.edgeLayer[e],
  graph.edgeType[e],
  ...graph.position.subarray(3 * e, 3 * e + 3),
];

/** The distinct rows of edge features, [classes, 5]. */
function rawTable(space: EdgeSpace, { index, count }: { index: Int32Array; count: number }): tf.Tensor2D {
  const rows = Array.from({ length: count }, (_, c) => rawEdge(space, index.indexOf(c)));
  return tf.tensor2d(rows, [count, STATIC_EDGE_FEATURES]);
}

/** Product on the last axis as one 2-D product. */
function product<T extends tf.Tensor>(x: T, weight: tf.Tensor2D): T {
  const rows = tf.reshape(x, [-1, weight.shape[0]]) as tf.Tensor2D;
  return tf.reshape(tf.matMul(rows, weight), [...x.shape.slice(0, -1), weight.shape[1]]) as unknown as T;
}

/** A linear layer on several inputs put end to end, as one weight [sum of inputs, outputs] of which each input takes its rows. */
function jointLinear(parameters: Parameters, name: string, inputs: readonly number[], outputs: number) {
  const total = inputs.reduce((a, b) => a + b, 0);
  const scope = parameters.scope(name);
  const weight = scope.normal<tf.Rank.R2>('weight', [total, outputs], 1 / Math.sqrt(3 * total));
  const bias = scope.zeros<tf.Rank.R1>('bias', [outputs]);
  const starts = inputs.map((_, i) => inputs.slice(0, i).reduce((a, b) => a + b, 0));
  const rowsOf = (i: number): tf.Tensor2D =>
    inputs.length === 1 ? weight : tf.slice(weight, [starts[i], 0], [inputs[i], outputs]);
  return {
    bias,
    weight: rowsOf,
    part:
      (i: number) =>
      <T extends tf.Tensor>(x: T): T =>
        product(x, rowsOf(i)),
  };
}

/** x -> scale * x + shift, per feature. */
interface Affine {
  readonly scale: tf.Tensor1D;
  readonly shift: tf.Tensor1D;
}

/**
 * Batch normalisation (Ioffe and Szegedy 2015) over everything but the features: in training by the statistics of what it is given, updating
 * running ones (unbiased variance, momentum 0.1); else by the running ones.
 */
function batchNorm(parameters: Parameters, frozen: Parameters, name: string, width: number) {
  const gain = parameters.scope(name).ones<tf.Rank.R1>('weight', [width]);
  const bias = parameters.scope(name).zeros<tf.Rank.R1>('bias', [width]);
  const runningMean = frozen.scope(name).zeros<tf.Rank.R1>('running_mean', [width]);
  const runningVariance = frozen.scope(name).ones<tf.Rank.R1>('running_var', [width]);
  const affine = (mean: tf.Tensor1D, variance: tf.Tensor1D): Affine => {
    const scale = tf.mul(gain, tf.rsqrt(tf.add(variance, EPSILON))) as tf.Tensor1D;
    return { scale, shift: tf.sub(bias, tf.mul(mean, scale)) };
  };
  return (features: EdgeFeatures, training: boolean): Affine => {
    if (!training) return affine(runningMean, runningVariance);
    const rows = features.reduce((sum, x) => sum + x.size / width, 0);
    const total = (of: (x: tf.Tensor2D) => tf.Tensor): tf.Tensor1D =>
      features
        .map(x => tf.sum(of(tf.reshape(x, [-1, width])), 0))
        .reduce((a, b) => tf.add(a, b)) as tf.Tensor1D;
    const mean = tf.div(
      total(x => x),
      rows,
    ) as tf.Tensor1D;
    // Mean square less squared mean: a pass over all edges less than centring first, and what relu leaves is of the size of its spread.
    const variance = tf.sub(tf.div(total(tf.square), rows), tf.square(mean)) as tf.Tensor1D;
    const blend = (old: tf.Variable<tf.Rank.R1>, now: tf.Tensor1D) =>
      old.assign(tf.add(tf.mul(old, 1 - MOMENTUM), tf.mul(now, MOMENTUM)));
    blend(runningMean, mean);
    blend(runningVariance, tf.mul(variance, rows / Math.max(rows - 1, 1)));
    return affine(mean, variance);
  };
}
