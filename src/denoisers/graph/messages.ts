/** What a node hears along its edges. */
import { linear, type Parameters, tf } from '../../tensor/index.ts';
import { degrees, type EdgeFeatures, type EdgeSpace, type End, mapEdges } from './edges.ts';
import { inverseRootDegree } from './features.ts';

export interface MessageSizes {
  readonly hidden: number;
  readonly edge: number;
  readonly heads: number;
}

/**
 * At each end: the neighbours' states weighted per head by a function of the edge between, over the root of the degree; and the mean
 * state of the edges. Both directions, so that a hidden unit hears of the weights behind it as of those before it.
 */
export function neighbourMessages(
  parameters: Parameters,
  space: EdgeSpace,
  { hidden, edge, heads }: MessageSizes,
) {
  const ends = (['target', 'source'] as const).map(end => ({
    end,
    weigh: linear(parameters, `${end}/heads`, edge, heads),
    values: linear(parameters, `${end}/values`, hidden, hidden, { bias: false }),
    degree: degrees(space.graph, end),
  }));
  const gatherAt = (
    { end, weigh, values, degree }: (typeof ends)[number] & { end: End },
    edges: EdgeFeatures,
    nodes: tf.Tensor3D,
  ): tf.Tensor3D[] => [
    tf.mul(space.weightedSum(mapEdges(edges, weigh), values(nodes), end), inverseRootDegree(degree)),
    space.aggregate(edges, end, 'mean'),
  ];
  return {
    /** Features per node that `gather` gives in all. */
    width: 2 * (hidden + edge),
    /** @param nodes [B, N, hidden] */
    gather: (edges: EdgeFeatures, nodes: tf.Tensor3D): tf.Tensor3D[] =>
      ends.flatMap(at => gatherAt(at, edges, nodes)),
  };
}
