/** From a list of layers to a graphology graph, and from the graph back to the weights. */
import { GraphBuilder, type GraphOptions, type Nodes, type Parameter } from './builder.ts';
import { type LinearLayer, linear } from './layers/linear.ts';
import type { ParameterGraph } from './types.ts';

export type Layer = LinearLayer;

export interface NetworkSpec {
  readonly name: string;
  readonly layers: readonly Layer[];
  /** In a recurrent network: lists with, for every output, an input it becomes in the next step. */
  readonly recurrence?: readonly (readonly number[])[];
  /** Orders of the inputs and outputs where they are not simply 0, 1, 2, ...: the same order says the same place. */
  readonly inputOrder?: readonly number[];
  readonly outputOrder?: readonly number[];
}

export interface BuildOptions extends GraphOptions {
  /** The graph's global feature vector; default empty. */
  readonly global?: readonly number[];
}

/** Lays out nodes, edges and parameters of a network; weights come later. */
export function layOut(network: NetworkSpec, options: GraphOptions = {}): GraphBuilder {
  const builder = new GraphBuilder(options);
  const first = network.layers[0];
  const inputs = builder.nodes(first.in, 'neuron', 0);
  builder.order(inputs, network.inputOrder);
  let current: Nodes = inputs;
  network.layers.forEach((layer, i) => {
    builder.enter(String(i));
    current = linear(builder, layer, current);
  });
  builder.order(current, network.outputOrder);
  for (const becomes of network.recurrence ?? []) {
    builder.pairs(
      current,
      becomes.map(input => inputs[input]),
      null,
      { type: 'recurrent' },
    );
  }
  if (options.reverseEdges) builder.reverse();
  return builder;
}

/** The tensors of parameters of a network in the order of its flat weight vector. */
export const networkParameters = (network: NetworkSpec): readonly Parameter[] => layOut(network).parameters;

/**
 * @param weights flat vector, the network's parameters one after the other
 * @throws when its length is wrong
 */
export function buildGraph(
  network: NetworkSpec,
  weights: ArrayLike<number>,
  options: BuildOptions = {},
): ParameterGraph {
  const builder = layOut(network, options);
  if (weights.length !== builder.parameterCount) {
    throw new RangeError(`${network.name} has ${builder.parameterCount} weights, not ${weights.length}`);
  }
  return builder.graph(network.name, weights, options.global ?? []);
}

/** The flat weight vector of a graph. */
export function weightsOf(graph: ParameterGraph): Float32Array {
  const weights = new Float32Array(graph.getAttribute('parameters'));
  graph.forEachEdge((_, { parameter, weight }) => {
    if (parameter >= 0) weights[parameter] = weight;
  });
  return weights;
}
