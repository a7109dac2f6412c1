/**
 * `graph-dit`: a diffusion transformer (Peebles and Xie 2023) whose attention is the network itself. Nodes are the tokens; what one hears
 * of another is weighted by functions of the edge between them, in both directions along the data flow, so that no attention map is computed
 * and a node hears its neighbours only. Noise level, condition and a summary of the weights enter every block by scale, shift and
 * gate (adaLN-Zero): each block starts as the identity. No batch statistics.
 */
import * as t from 'io-ts';
import { natural, whole } from '../../config/index.ts';
import { layerNorm, linear, mlp, normalise, Parameters, silu, tf } from '../../tensor/index.ts';
import { type Denoiser, type DenoiserContext, registerDenoiser } from '../denoiser.ts';
import { globalContext } from './context.ts';
import { type EdgeFeatures, type EdgeSpace, mapEdges, zipEdges } from './edges.ts';
import { edgeEmbedding } from './features.ts';
import { frame } from './frame.ts';
import { head, reading } from './global.ts';
import { neighbourMessages } from './messages.ts';
import { ncaGraph, ncaSymmetries } from './nca-graph.ts';
import { checkHeads } from './sizes.ts';
import { edgeSpace } from './space.ts';

/** Parameters of `graph-dit`. */
export const GraphDitConfig = t.strict({
  /** Width of the node tokens. */
  hidden: natural,
  /** Width of the edge states, of which there is one per weight. */
  edge: natural,
  /** Width of the global vector. */
  global: natural,
  blocks: whole,
  /** Edge-weighted sums per block and direction; must divide `hidden`. */
  heads: natural,
  /** Functions on the edges through which the global vector reads and writes weights. */
  basis: natural,
  /** Whether the anchor is used where the zoo has one. */
  anchor: t.boolean,
  /** Ties outputs to the inputs they become: latent channels may then be permuted too, and have no identity but the anchor's. */
  recurrent: t.boolean,
  /** `dense` is fast, `general` its plain definition; the same numbers. */
  path: t.union([t.literal('dense'), t.literal('general')]),
});
export type GraphDitConfig = t.TypeOf<typeof GraphDitConfig>;

const DEFAULTS: GraphDitConfig = {
  hidden: 64,
  edge: 8,
  global: 128,
  blocks: 2,
  heads: 4,
  basis: 256,
  anchor: true,
  recurrent: false,
  path: 'dense',
};

/** Width of the frame's nodes. */
const FRAME = 128;
const EPSILON = 1e-6;

/**
 * Builds `graph-dit`: equivariant to hidden permutations, with `recurrent` to those of latent channels too (the anchor moved along).
 * @throws UserError when `heads` does not divide `hidden`
 */
export function graphDit(config: GraphDitConfig, context: DenoiserContext): Denoiser {
  const { hidden, recurrent } = config;
  checkHeads('graph-dit', config);
  const space = edgeSpace(ncaGraph(context.spec, { recurrent }), config.path);
  const parameters = new Parameters({ seed: context.seed });
  const anchor = config.anchor ? context.anchor : undefined;
  const makeFrame = frame(parameters.scope('frame'), space, { width: FRAME, basis: config.basis }, anchor);
  const embedNodes = linear(parameters, 'nodes', FRAME, hidden);
  const embedEdges = edgeEmbedding(parameters, space, config.edge, anchor);
  const embedGlobal = globalContext(parameters, config.global, context.condition);
  const read = reading(parameters.scope('read'), space, config);
  const globalNorm = layerNorm(parameters, 'global-norm', config.global);
  const blocks = Array.from({ length: config.blocks }, (_, i) =>
    block(parameters.scope(`block/${i}`), space, config),
  );
  const modulateLast = linear(parameters, 'head/modulation', config.global, 2 * hidden, { std: 0 });
  const write = head(parameters.scope('head'), space, config);

  return {
    name: 'graph-dit',
    spec: context.spec,
    variables: parameters.variables,
    symmetries: ncaSymmetries(recurrent),
    apply: (weights, noiseLabel, condition) =>
      tf.tidy(() => {
        const batch = weights.shape[0];
        const still = makeFrame();
        const global = read(weights, still, embedGlobal(noiseLabel, condition));
        const u = silu(globalNorm(global)) as tf.Tensor2D;
        let nodes = tf.tile(embedNodes(still.nodes), [batch, 1, 1]) as tf.Tensor3D;
        let edges = embedEdges(weights);
        for (const run of blocks) ({ nodes, edges } = run(nodes, edges, u));
        const [scale, shift] = tf.split(spread(modulateLast(u)), 2, 2) as tf.Tensor3D[];
        return write(weights, still, { nodes: modulate(nodes, scale, shift), edges, global });
      }),
    dispose: () => parameters.dispose(),
  };
}

/** [B, F] -> [B, 1, F] */
const spread = (x: tf.Tensor): tf.Tensor3D => tf.reshape(x, [x.shape[0], 1, -1]);

/** Layer norm whose gain and bias come from the global vector. */
const modulate = (x: tf.Tensor3D, scale: tf.Tensor3D, shift: tf.Tensor3D): tf.Tensor3D =>
  tf.add(tf.mul(normalise(x, EPSILON), tf.add(scale, 1)), shift);

/** edges += gate relu(edge, source, target, u);  nodes += gate W [neighbours];  nodes += gate MLP(nodes). */
function block(parameters: Parameters, space: EdgeSpace, { hidden, edge, global, heads }: GraphDitConfig) {
  const modulation = linear(parameters, 'modulation', global, 6 * hidden, { std: 0 });
  const edgeModulation = linear(parameters, 'edge/modulation', global, edge);
  const fromEdge = linear(parameters, 'edge/edge', edge, edge);
  const fromSource = linear(parameters, 'edge/source', hidden, edge, { bias: false });
  const fromTarget = linear(parameters, 'edge/target', hidden, edge, { bias: false });
  const messages = neighbourMessages(parameters.scope('message'), space, { hidden, edge, heads });
  const combine = linear(parameters, 'message/out', messages.width, hidden);
  const perceptron = mlp(parameters, 'mlp', [hidden, 2 * hidden, hidden], { activation: silu });

  return (nodes: tf.Tensor3D, edges: EdgeFeatures, u: tf.Tensor2D) => {
    const [scale, shift, gate, scale2, shift2, gate2] = tf.split(
      spread(modulation(u)),
      6,
      2,
    ) as tf.Tensor3D[];
    const x = modulate(nodes, scale, shift);
    const atTarget = tf.add(fromTarget(x), spread(edgeModulation(u))) as tf.Tensor3D;
    const change = space.addNodes(mapEdges(edges, fromEdge), fromSource(x), atTarget);
    const next = zipEdges(edges, change, (old, sum) => tf.add(old, tf.relu(sum)));
    const heard = combine(tf.concat(messages.gather(next, x), 2) as tf.Tensor3D);
    const after = tf.add(nodes, tf.mul(gate, heard)) as tf.Tensor3D;
    const nodesNext = tf.add(
      after,
      tf.mul(gate2, perceptron(modulate(after, scale2, shift2))),
    ) as tf.Tensor3D;
    return { nodes: nodesNext, edges: next };
  };
}

/** `graph-dit` as the registry has it, with its defaults. */
export const graphDitKind = registerDenoiser<GraphDitConfig>({
  name: 'graph-dit',
  summary:
    'a diffusion transformer over the parameter graph: nodes hear neighbours by their edges, adaptive norm, no batch statistics',
  config: GraphDitConfig,
  defaults: DEFAULTS,
  build: graphDit,
});
