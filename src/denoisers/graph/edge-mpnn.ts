/**
 * `edge-mpnn`: message passing on the parameter graph with states on nodes, edges and the whole graph (Battaglia et al. 2018,
 * "Relational inductive biases, deep learning, and graph networks"; on parameter graphs, Lim et al. 2023, arXiv 2312.04501).
 *
 * Every Linear([source | target | edge | u]) is factored, A source + B target + C edge + D u: the node terms are computed once per node
 * and the global term once per graph. Beside the mean of its edges, a node receives the states of its neighbours weighted by learned
 * functions of the edge between them (as the network itself does with its weights), and the output adds to a function of the
 * edge an inner product of its two nodes. Both are what an edge of few features needs to tell neighbours apart.
 */
import * as t from 'io-ts';
import { buildGraph, type CompiledGraph, compileGraph, ncaNetwork } from '../../../graphs/index.ts';
import { type NcaSpec, weightCount } from '../../nca/index.ts';
import { layerNorm, linear, mlp, Parameters, silu, tf } from '../../tensor/index.ts';
import { type Denoiser, type DenoiserContext, registerDenoiser } from '../denoiser.ts';
import { globalContext } from './context.ts';
import { denseEdges } from './dense.ts';
import { degrees, type EdgeFeatures, type EdgeSpace, mapEdges, zipEdges } from './edges.ts';
import { edgeEmbedding, inverseRootDegree, nodeEmbedding } from './features.ts';

export const EdgeMpnnConfig = t.strict({
  /** Width of the node and global states. */
  hidden: t.number,
  /** Width of the edge states, of which there is one per weight. */
  edge: t.number,
  layers: t.number,
  /** Edge-weighted sums per layer; must divide `hidden`. */
  heads: t.number,
  /** Whether the anchor is used where the zoo has one. */
  anchor: t.boolean,
});
export type EdgeMpnnConfig = t.TypeOf<typeof EdgeMpnnConfig>;

const DEFAULTS: EdgeMpnnConfig = { hidden: 96, edge: 24, layers: 3, heads: 4, anchor: true };

/** The compiled parameter graph of an NCA. */
export function ncaGraph(spec: NcaSpec): CompiledGraph {
  return compileGraph(buildGraph(ncaNetwork(spec), new Float32Array(weightCount(spec))));
}

/** Nodes, edges and the whole graph. */
interface States {
  readonly nodes: tf.Tensor3D;
  readonly edges: EdgeFeatures;
  readonly global: tf.Tensor2D;
}

export function edgeMpnn(config: EdgeMpnnConfig, context: DenoiserContext): Denoiser {
  const { hidden, edge, layers } = config;
  const graph = ncaGraph(context.spec);
  const space = denseEdges(graph);
  const parameters = new Parameters({ seed: context.seed });
  const anchor = config.anchor ? context.anchor : undefined;
  const embedNodes = nodeEmbedding(parameters, graph, hidden);
  const embedEdges = edgeEmbedding(parameters, space, edge, anchor);
  const embedGlobal = globalContext(parameters, hidden, context.condition);
  const blocks = Array.from({ length: layers }, (_, i) =>
    messagePassing(parameters.scope(`layer/${i}`), space, config, i === layers - 1),
  );
  const norm = layerNorm(parameters, 'head/norm', hidden);
  const perEdge = linear(parameters, 'head/edge', edge, 1, { std: 0 });
  const query = linear(parameters, 'head/source', hidden, hidden);
  const key = linear(parameters, 'head/target', hidden, hidden, { std: 0, bias: false });

  return {
    name: 'edge-mpnn',
    spec: context.spec,
    variables: parameters.variables,
    symmetries: ['hidden-permutation'],
    apply: (weights, noiseLabel, condition) =>
      tf.tidy(() => {
        const batch = weights.shape[0];
        let states: States = {
          nodes: tf.tile(embedNodes(), [batch, 1, 1]),
          edges: embedEdges(weights),
          global: embedGlobal(noiseLabel, condition),
        };
        for (const block of blocks) states = block(states);
        const nodes = norm(states.nodes);
        const products = space.products(query(nodes), key(nodes), 1);
        const out = zipEdges(mapEdges(states.edges, perEdge), products, (a, b) =>
          tf.add(a, tf.mul(b, 1 / Math.sqrt(hidden))),
        );
        return space.toWeights(out);
      }),
    dispose: () => parameters.dispose(),
  };
}

function messagePassing(
  parameters: Parameters,
  space: EdgeSpace,
  { hidden, edge, heads }: EdgeMpnnConfig,
  last: boolean,
): (states: States) => States {
  const norm = layerNorm(parameters, 'norm', hidden);
  const edgeFrom = {
    edge: linear(parameters, 'edge/edge', edge, edge),
    source: linear(parameters, 'edge/source', hidden, edge, { bias: false }),
    target: linear(parameters, 'edge/target', hidden, edge, { bias: false }),
    global: linear(parameters, 'edge/global', hidden, edge, { bias: false }),
  };
  const head = linear(parameters, 'message/heads', edge, 2 * heads);
  const values = linear(parameters, 'message/values', hidden, hidden, { bias: false });
  const toHidden = linear(parameters, 'node/in', 3 * hidden + 2 * edge, 2 * hidden);
  const globalToHidden = linear(parameters, 'node/global', hidden, 2 * hidden, { bias: false });
  const fromHidden = linear(parameters, 'node/out', 2 * hidden, hidden);
  const update = last
    ? null
    : mlp(parameters, 'global', [2 * hidden + edge, hidden, hidden], { activation: silu });
  const rootDegree = { source: degrees(space.graph, 'source'), target: degrees(space.graph, 'target') };

  return ({ nodes, edges, global }) => {
    const [batch, , width] = nodes.shape;
    const x = norm(nodes);
    const target = tf.add(edgeFrom.target(x), tf.reshape(edgeFrom.global(global), [batch, 1, edge]));
    const raw = space.addNodes(mapEdges(edges, edgeFrom.edge), edgeFrom.source(x), target as tf.Tensor3D);
    const next = zipEdges(edges, raw, (before, change) => tf.add(before, tf.relu(change)));

    const weighted = mapEdges(next, head);
    const part = (from: number) =>
      mapEdges(weighted, w =>
        tf.slice(w, [...w.shape.slice(0, -1).fill(0), from], [...w.shape.slice(0, -1), heads]),
      );
    const v = values(x);
    const incoming = tf.mul(space.weightedSum(part(0), v, 'target'), inverseRootDegree(rootDegree.target));
    const outgoing = tf.mul(
      space.weightedSum(part(heads), v, 'source'),
      inverseRootDegree(rootDegree.source),
    );
    const inputs = tf.concat(
      [
        x,
        incoming,
        outgoing,
        space.aggregate(next, 'target', 'mean'),
        space.aggregate(next, 'source', 'mean'),
      ],
      2,
    );
    const inner = tf.add(toHidden(inputs), tf.reshape(globalToHidden(global), [batch, 1, 2 * width]));
    const nodesNext = tf.add(nodes, fromHidden(silu(inner))) as tf.Tensor3D;
    if (!update) return { nodes: nodesNext, edges: next, global };
    const pooled = tf.concat([tf.mean(nodesNext, 1), space.mean(next), global], 1);
    return { nodes: nodesNext, edges: next, global: tf.add(global, update(pooled as tf.Tensor2D)) };
  };
}

export const edgeMpnnKind = registerDenoiser<EdgeMpnnConfig>({
  name: 'edge-mpnn',
  summary: 'message passing on the parameter graph, with states on nodes, edges and the whole graph',
  config: EdgeMpnnConfig,
  defaults: DEFAULTS,
  build: edgeMpnn,
});
