/** From a list of layers to a graphology graph, and from the graph back to the weights. */
import { GraphBuilder, type GraphOptions, type Parameter } from './builder.ts';
import { inputsOf, type Layer, stack } from './layers/index.ts';
import type { ParameterGraph } from './types.ts';

/** A network by its layers, without weights. */
export interface NetworkSpec {
  readonly name: string;
  /** One behind the other. */
  readonly layers: readonly Layer[];
  /** In a recurrent network: lists with, for every output, an input it becomes in the next step. */
  readonly recurrence?: readonly (readonly number[])[];
  /** Orders of the inputs and outputs where they are not simply 0, 1, 2, ...: the same order says the same place. */
  readonly inputOrder?: readonly number[];
  readonly outputOrder?: readonly number[];
}

/** How the graph is built, and its global features. */
export interface BuildOptions extends GraphOptions {
  /** The graph's global feature vector; default empty. */
  readonly global?: readonly number[];
}

/** Lays out nodes, edges and parameters of a network; weights come later. */
export function layOut(network: NetworkSpec, options: GraphOptions = {}): GraphBuilder {
  const builder = new GraphBuilder(options);
  const first = inputsOf(network.layers[0]);
  const inputs = builder.nodes(first.count, first.type, 0);
  builder.order(inputs, network.inputOrder);
  const outputs = stack(builder, network.layers, inputs);
  // The reference numbers the two nodes of a norm that comes last instead of the units behind it.
  if (options.reference && network.layers.at(-1)?.kind === 'norm') markNorm(builder);
  else builder.order(outputs, network.outputOrder);
  builder.finish();
  for (const becomes of network.recurrence ?? []) {
    builder.pairs(
      outputs,
      becomes.map(input => inputs[input]),
      null,
      { type: 'recurrent' },
    );
  }
  if (options.reverseEdges) builder.reverse();
  return builder;
}

function markNorm(builder: GraphBuilder): void {
  if (builder.options.bias === 'self-loops') return;
  for (const node of builder.nodeList.slice(-2)) node.order = 0;
}

/** The tensors of parameters of a network in the order of its flat weight vector. */
export const networkParameters = (network: NetworkSpec): readonly Parameter[] => layOut(network).parameters;

/**
 * The parameter graph of a network with these weights.
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
