/** The compiled parameter graph of an NCA, made once per spec and options. */
import {
  buildGraph,
  type CompiledGraph,
  compileGraph,
  type GraphOptions,
  type NcaNetworkOptions,
  ncaNetwork,
} from '../../../graphs/index.ts';
import { type NcaSpec, type SymmetryName, weightCount } from '../../nca/index.ts';

const made = new Map<string, CompiledGraph>();

/** The compiled parameter graph of NCAs of this spec, without weights. It is made once: equal specs and options give the same object. */
export function ncaGraph(spec: NcaSpec, options: GraphOptions & NcaNetworkOptions = {}): CompiledGraph {
  const { channels, hidden, outputBias } = spec;
  const key = JSON.stringify([channels, hidden, outputBias, options]);
  const known = made.get(key);
  if (known) return known;
  const graph = compileGraph(
    buildGraph(ncaNetwork(spec, options), new Float32Array(weightCount(spec)), options),
  );
  made.set(key, graph);
  return graph;
}

/** What a function of the graph alone is equivariant to (permuting the anchor, if it has one, with the weights). */
export const ncaSymmetries = (recurrent: boolean): SymmetryName[] =>
  recurrent ? ['hidden-permutation', 'channel-permutation'] : ['hidden-permutation'];
