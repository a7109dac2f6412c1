/**
 * `edge-mpnn`: message passing on the parameter graph with states on nodes, edges and the whole graph (Battaglia et al. 2018,
 * "Relational inductive biases, deep learning, and graph networks"; on parameter graphs, Lim et al. 2023, arXiv 2312.04501).
 *
 * Every Linear([source | target | edge | u]) is factored, A source + B target + C edge + D u: the node terms are computed once per node
 * and the global term once per graph. What plain averaging of edge states blurs, namely which neighbour said what, comes back by
 * products: a node hears its neighbours weighted by functions of the edge between them, as the network itself does with its
 * weights; the global state reads the weights through a basis of functions on the edges (`frame.ts`) and writes through it; and
 * the output has an inner product of an edge's two nodes.
 */
import * as t from 'io-ts';
import { natural, whole } from '../../config/index.ts';
import { layerNorm, linear, mlp, Parameters, silu, tf } from '../../tensor/index.ts';
import { type Denoiser, type DenoiserContext, registerDenoiser } from '../denoiser.ts';
import { type EdgeFeatures, type EdgeSpace, mapEdges, zipEdges } from './edges.ts';
import { edgeEmbedding } from './features.ts';
import { frame } from './frame.ts';
import { head, reading } from './global.ts';
import { neighbourMessages } from './messages.ts';
import { ncaGraph, ncaSymmetries } from './nca-graph.ts';
import { type Adapt, Placement, placement } from './placement.ts';
import { ReferenceConfig, referenceMpnn } from './reference.ts';
import { checkHeads } from './sizes.ts';
import { edgeSpace } from './space.ts';

/** Parameters of `edge-mpnn`. */
export const EdgeMpnnConfig = t.strict({
  /** Width of the node states. */
  hidden: natural,
  /** Width of the edge states, of which there is one per weight. */
  edge: natural,
  /** Width of the global state. */
  global: natural,
  layers: whole,
  /** Edge-weighted sums per layer; must divide `hidden`. */
  heads: natural,
  /** Functions on the edges through which the global state reads and writes weights. */
  basis: natural,
  /** Where the condition enters: in the global state, on every node, by scale and shift of the nodes in every layer, or nowhere. */
  condition: Placement,
  /** Whether the anchor is used where the zoo has one. */
  anchor: t.boolean,
  /** Ties outputs to the inputs they become: latent channels may then be permuted too, and have no identity but the anchor's. */
  recurrent: t.boolean,
  /** `dense` is fast, `general` its plain definition; the same numbers. */
  path: t.union([t.literal('dense'), t.literal('general')]),
  /** The published model in this one's place, defects and all; the other options but `path` then have no effect. */
  reference: t.union([ReferenceConfig, t.null]),
});
export type EdgeMpnnConfig = t.TypeOf<typeof EdgeMpnnConfig>;

const DEFAULTS: EdgeMpnnConfig = {
  hidden: 48,
  edge: 8,
  global: 128,
  layers: 2,
  heads: 4,
  basis: 256,
  condition: 'global',
  anchor: true,
  recurrent: false,
  path: 'dense',
  reference: null,
};

/** Width of the frame's nodes. */
const FRAME = 128;

/** Nodes [B, N, hidden], edges, and the whole graph [B, global]. */
interface States {
  readonly nodes: tf.Tensor3D;
  readonly edges: EdgeFeatures;
  readonly global: tf.Tensor2D;
}

/**
 * Builds `edge-mpnn`: equivariant to hidden permutations, with `recurrent` to those of latent channels too (the anchor moved along).
 * @throws UserError when `heads` does not divide `hidden`, or `reference` is asked for without a condition
 */
export function edgeMpnn(config: EdgeMpnnConfig, context: DenoiserContext): Denoiser {
  if (config.reference) return referenceMpnn(config.reference, context, config.path);
  checkHeads('edge-mpnn', config);
  const space = edgeSpace(ncaGraph(context.spec, { recurrent: config.recurrent }), config.path);
  const parameters = new Parameters({ seed: context.seed });
  const anchor = config.anchor ? context.anchor : undefined;
  const makeFrame = frame(parameters.scope('frame'), space, { width: FRAME, basis: config.basis }, anchor);
  const embedNodes = linear(parameters, 'nodes', FRAME, config.hidden);
  const embedEdges = edgeEmbedding(parameters, space, config.edge, anchor);
  const place = placement(parameters, config, context.condition);
  const read = reading(parameters.scope('read'), space, config);
  const layers = Array.from({ length: config.layers }, (_, i) =>
    layer(parameters.scope(`layer/${i}`), space, config),
  );
  const norm = layerNorm(parameters, 'head/norm', config.hidden);
  const write = head(parameters.scope('head'), space, config);

  return {
    name: 'edge-mpnn',
    spec: context.spec,
    variables: parameters.variables,
    symmetries: ncaSymmetries(config.recurrent),
    apply: (weights, noiseLabel, condition) =>
      tf.tidy(() => {
        const batch = weights.shape[0];
        const still = makeFrame();
        const { global, onNodes, adapt } = place(noiseLabel, condition);
        let states: States = {
          nodes: onNodes(tf.tile(embedNodes(still.nodes), [batch, 1, 1])),
          edges: embedEdges(weights),
          global: read(weights, still, global),
        };
        layers.forEach((step, i) => {
          states = step(states, nodes => adapt(nodes, i));
        });
        return write(weights, still, { ...states, nodes: adapt(norm(states.nodes), layers.length) });
      }),
    dispose: () => parameters.dispose(),
  };
}

/** Edges, then nodes, then the global state, each with what the ones before it have become; all residual. */
function layer(parameters: Parameters, space: EdgeSpace, { hidden, edge, global, heads }: EdgeMpnnConfig) {
  const norm = layerNorm(parameters, 'norm', hidden);
  const globalNorm = layerNorm(parameters, 'global-norm', global);
  const fromEdge = linear(parameters, 'edge/edge', edge, edge);
  const fromSource = linear(parameters, 'edge/source', hidden, edge, { bias: false });
  const fromTarget = linear(parameters, 'edge/target', hidden, edge, { bias: false });
  const fromGlobal = linear(parameters, 'edge/global', global, edge, { bias: false });
  const messages = neighbourMessages(parameters.scope('message'), space, { hidden, edge, heads });
  const nodeIn = linear(parameters, 'node/in', messages.width + hidden, 2 * hidden);
  const nodeGlobal = linear(parameters, 'node/global', global, 2 * hidden, { bias: false });
  const nodeOut = linear(parameters, 'node/out', 2 * hidden, hidden);
  const updateGlobal = mlp(parameters, 'global', [hidden + edge + global, global, global], {
    activation: silu,
  });

  return ({ nodes, edges, global: before }: States, adapt: Adapt): States => {
    const batch = nodes.shape[0];
    const u = globalNorm(before);
    const x = adapt(norm(nodes));
    const atTarget = tf.add(fromTarget(x), tf.reshape(fromGlobal(u), [batch, 1, edge])) as tf.Tensor3D;
    const change = space.addNodes(mapEdges(edges, fromEdge), fromSource(x), atTarget);
    const next = zipEdges(edges, change, (old, sum) => tf.add(old, tf.relu(sum)));
    const heard = nodeIn(tf.concat([x, ...messages.gather(next, x)], 2));
    const inner = tf.add(heard, tf.reshape(nodeGlobal(u), [batch, 1, 2 * hidden]));
    const nodesNext = tf.add(nodes, nodeOut(silu(inner))) as tf.Tensor3D;
    const pooled = tf.concat([tf.mean(nodesNext, 1), space.mean(next), u], 1) as tf.Tensor2D;
    return { nodes: nodesNext, edges: next, global: tf.add(before, updateGlobal(pooled)) };
  };
}

/** `edge-mpnn` as the registry has it, with its defaults. */
export const edgeMpnnKind = registerDenoiser<EdgeMpnnConfig>({
  name: 'edge-mpnn',
  summary: 'message passing on the parameter graph, with states on nodes, edges and the whole graph',
  config: EdgeMpnnConfig,
  defaults: DEFAULTS,
  build: edgeMpnn,
});
