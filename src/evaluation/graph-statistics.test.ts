import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { buildGraph, ncaNetwork } from '../../graphs/index.ts';
import {
  actOnWeights,
  elementSize,
  hiddenPermutation,
  type NcaSpec,
  SPECS,
  weightBlocks,
  weightCount,
} from '../nca/index.ts';
import { randomStream } from '../tensor/index.ts';
import {
  GRAPH_FIGURES,
  type GraphFigure,
  graphFigures,
  nodeStrengths,
  typeCounts,
} from './graph-statistics.ts';

const spec: NcaSpec = { ...SPECS.compact, channels: 5, hidden: 6, outputBias: true };
const graphOf = (flat: ArrayLike<number>) => buildGraph(ncaNetwork(spec), Float32Array.from(flat));
const names = Object.keys(GRAPH_FIGURES) as GraphFigure[];

test('nodes and edges are those of the network', () => {
  const { nodes, edges } = typeCounts(graphOf(new Float32Array(weightCount(spec))));
  assert.equal(nodes, { neuron: 20 + 6 + 5, bias: 2 });
  assert.equal(edges, { lin_weight: 20 * 6 + 6 * 5, lin_bias: 6 + 5 });
});

test('strengths are sums of absolute weights, and what leaves arrives', () => {
  const flat = randomStream(1, 'weights').normals(weightCount(spec));
  const { incoming, outgoing } = nodeStrengths(graphOf(flat));
  const [w1, b1] = weightBlocks(spec);
  let unit = Math.abs(flat[b1.offset + 2]);
  for (let i = 0; i < 20; i++) unit += Math.abs(flat[w1.offset + 2 * 20 + i]);
  // float32 weights, float64 sums of 21.
  assert.ok(Math.abs(incoming[20 + 2] - unit) < 1e-5);
  const total = (values: Float64Array) => values.reduce((a, b) => a + b, 0);
  assert.ok(Math.abs(total(incoming) - total(outgoing)) < 1e-9);
});

test('equal weights: every unit works alike and every share is the share of edges', () => {
  const figures = graphFigures(spec, graphOf(new Float32Array(weightCount(spec)).fill(-0.5)));
  const expected: Record<GraphFigure, number> = {
    'hidden units in use': 6,
    'participation ratio': 6,
    'identity share': 1 / 4,
    'sobel share': 1 / 2,
    'laplacian share': 1 / 4,
    'colour input share': 3 / 5,
    'colour update share': 3 / 5,
    'bias share': 1 / 21,
    'mean weight': 0.5,
  };
  for (const name of names) assert.ok(Math.abs(figures[name] - expected[name]) < 1e-9, name);
});

test('the order of hidden units changes no figure; one unit alone is one unit in use', () => {
  const flat = randomStream(2, 'weights').normals(weightCount(spec));
  const turned = actOnWeights(
    spec,
    hiddenPermutation(elementSize(spec), Uint32Array.from([5, 3, 0, 1, 4, 2])),
    Float64Array.from(flat),
  );
  const [a, b] = [graphFigures(spec, graphOf(flat)), graphFigures(spec, graphOf(turned))];
  // float64 sums in another order.
  for (const name of names) assert.ok(Math.abs(a[name] - b[name]) < 1e-9, name);
  const [w1, b1, w2] = weightBlocks(spec);
  const alone = flat.map((w, i) => {
    const unit =
      i < b1.offset
        ? Math.floor((i - w1.offset) / 20)
        : i < w2.offset
          ? i - b1.offset
          : (i - w2.offset) % spec.hidden;
    return unit === 4 ? w : 0;
  });
  const figures = graphFigures(spec, graphOf(alone));
  assert.ok(Math.abs(figures['hidden units in use'] - 1) < 1e-9);
  assert.ok(Math.abs(figures['participation ratio'] - 1) < 1e-9);
});

test.run();
