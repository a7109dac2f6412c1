/** Values and gradients of the edge operations, on both paths, beside float64 definitions edge by edge. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import {
  at,
  build,
  checkGradients as check,
  type Doubles,
  spread,
} from '../../../property-tests/differences.ts';
import { type NcaSpec, SPECS } from '../../nca/index.ts';
import { startBackend, tf } from '../../tensor/index.ts';
import { denseEdges, generalEdges } from './index.ts';
import { ncaGraph } from './nca-graph.ts';

await startBackend({ prefer: 'loom' });

const spec: NcaSpec = { ...SPECS.compact, name: 'tiny', channels: 2, hidden: 3, outputBias: true };
const graph = ncaGraph(spec);
const paths = [denseEdges(graph), generalEdges(graph)];
const weights = spread([2, graph.parameterCount]);
const N = graph.nodeCount;

/** The first edge that carries each weight. */
const carrier = Array.from({ length: graph.parameterCount }, (_, p) => graph.parameter.indexOf(p));
const weight = (w: Doubles, b: number, e: number) =>
  graph.parameter[e] < 0 ? 1 : at(w, b, graph.parameter[e]);
const sum = (values: number[]) => values.reduce((a, b) => a + b, 0);
const edgesOf = Array.from({ length: graph.edgeCount }, (_, e) => e);

for (const [i, space] of paths.entries()) {
  const name = ['dense', 'general'][i];

  test(`${name}: messages`, () => {
    const matrix = spread([1, 3], 2);
    const read = spread([3, 1], 3);
    const ends = [spread([2, N, 3], 2), spread([1, N, 3], 3)];
    for (const [source, target] of [
      [0, 1],
      [1, 0],
      [0, -1],
      [-1, 1],
    ]) {
      const given = [source, target].filter(end => end >= 0);
      check(
        `${name} message ${source} ${target}`,
        (w: tf.Tensor2D, m: tf.Tensor2D, r: tf.Tensor2D, ...x: tf.Tensor3D[]) => {
          const pick = (end: number) => (end < 0 ? null : x[given.indexOf(end)]);
          const heard = space.message(space.ofWeights(w), m, pick(source), pick(target));
          return space.toWeights(
            heard.map(e => tf.reshape(tf.matMul(tf.reshape(e, [-1, 3]), r), [...e.shape.slice(0, -1), 1])),
          );
        },
        (w, m, r, ...x) =>
          build([2, graph.parameterCount], ([b, p]) => {
            const e = carrier[p];
            const end = (which: number, node: number, f: number) => {
              if (which < 0) return 0;
              const states = x[given.indexOf(which)];
              return at(states, states.shape[0] === 1 ? 0 : b, node, f);
            };
            return sum(
              [0, 1, 2].map(f => {
                const own = weight(w, b, e) * at(m, 0, f);
                const heard = own + end(source, graph.source[e], f) + end(target, graph.target[e], f);
                return Math.max(heard, 0) * at(r, f, 0);
              }),
            );
          }),
        [weights, matrix, read, ...given.map(end => ends[end])],
      );
    }
  });

  for (const end of ['source', 'target'] as const) {
    const here = graph[end];
    const there = graph[end === 'source' ? 'target' : 'source'];
    test(`${name}: sums at the ${end}`, () => {
      check(
        `${name} weightedSum`,
        (w: tf.Tensor2D, x: tf.Tensor3D) => space.weightedSum(space.ofWeights(w), x, end),
        (w, x) =>
          build([2, N, 3], ([b, n, f]) =>
            sum(edgesOf.filter(e => here[e] === n).map(e => weight(w, b, e) * at(x, b, there[e], f))),
          ),
        [weights, spread([2, N, 3], 2)],
      );
      const reductions = {
        sum,
        mean: (values: number[]) => sum(values) / Math.max(values.length, 1),
        max: (values: number[]) => (values.length ? Math.max(...values) : 0),
      };
      for (const [reduction, definition] of Object.entries(reductions))
        check(
          `${name} aggregate, ${reduction}`,
          (w: tf.Tensor2D) => space.aggregate(space.ofWeights(w), end, reduction as 'sum'),
          w =>
            build([2, N, 1], ([b, n]) =>
              definition(edgesOf.filter(e => here[e] === n).map(e => weight(w, b, e))),
            ),
          [weights],
        );
    });
  }

  test(`${name}: products and means`, () => {
    check(
      `${name} products`,
      (s: tf.Tensor3D, t: tf.Tensor3D) => space.toWeights(space.products(s, t, 1)),
      (s, t) =>
        build([2, graph.parameterCount], ([b, p]) => {
          const e = carrier[p];
          return sum([0, 1].map(f => at(s, b, graph.source[e], f) * at(t, b, graph.target[e], f)));
        }),
      [spread([2, N, 2]), spread([2, N, 2], 2)],
    );
    check(
      `${name} mean`,
      (w: tf.Tensor2D) => space.mean(space.ofWeights(w)),
      w => build([2, 1], ([b]) => sum(edgesOf.map(e => weight(w, b, e))) / graph.edgeCount),
      [weights],
    );
  });
}

test('a message whose parts do not fit says so', () => {
  tf.tidy(() => {
    const edges = paths[0].ofWeights(tf.ones([2, graph.parameterCount]));
    assert.throws(() => paths[0].message(edges, tf.ones([2, 3]), null, null), /do not fit/);
    assert.throws(() => paths[0].message(edges, tf.ones([1, 3]), tf.ones([3, N, 3]), null), /do not fit/);
  });
});

test.run();
