import * as fc from 'fast-check';
import { MultiDirectedGraph } from 'graphology';
import { parse } from 'graphology-gexf';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { SPECS, weightCount } from '../../src/nca/index.ts';
import { randomStream } from '../../src/tensor/index.ts';
import { networks } from '../../src/testing/index.ts';
import {
  buildGraph,
  type NetworkSpec,
  ncaNetwork,
  ncaPicture,
  networkParameters,
  type ParameterGraph,
  toGexf,
  toGraphml,
  toJson,
  toSvg,
  weightsOf,
} from '../index.ts';

const graphOf = (network: NetworkSpec): ParameterGraph => {
  const count = networkParameters(network).reduce((sum, { size }) => sum + size, 0);
  return buildGraph(network, randomStream(1, 'weights').normals(count), { global: [0.5, -2] });
};

test('property: JSON gives the graph back', () => {
  fc.assert(
    fc.property(networks, network => {
      const graph = graphOf(network);
      const back = MultiDirectedGraph.from(JSON.parse(toJson(graph))) as ParameterGraph;
      assert.equal(weightsOf(back), weightsOf(graph));
      assert.equal(back.export(), graph.export());
    }),
    { numRuns: 20 },
  );
});

test('property: GEXF gives nodes, edges and their attributes back', () => {
  fc.assert(
    fc.property(networks, network => {
      const graph = graphOf(network);
      const back = parse(MultiDirectedGraph, toGexf(graph), { respectInputGraphType: true });
      assert.is(back.order, graph.order);
      assert.is(back.size, graph.size);
      graph.forEachNode((key, { layer, order, type }) => {
        const found = back.getNodeAttributes(key);
        assert.equal([found.layer, found.order, found.type], [layer, order, type]);
      });
      graph.forEachEdge((key, { weight, type, position }, source, target) => {
        assert.equal(back.extremities(key), [source, target]);
        const found = back.getEdgeAttributes(key);
        assert.equal([found.type, found.position0, found.position1, found.position2], [type, ...position]);
        // Decimal text of a float64: exact.
        assert.is(found.weight, weight);
      });
    }),
    { numRuns: 20 },
  );
});

test('GraphML declares what it uses, and names are escaped', () => {
  const graph = graphOf({ name: 'a<b', layers: [{ kind: 'linear', in: 2, out: 3 }] });
  const text = toGraphml(graph);
  const declared = new Set([...text.matchAll(/<key id="([^"]+)"/g)].map(([, id]) => id));
  const used = new Set([...text.matchAll(/<data key="([^"]+)"/g)].map(([, id]) => id));
  assert.equal([...used].sort(), [...declared].sort());
  assert.is([...text.matchAll(/<node /g)].length, graph.order);
  assert.is([...text.matchAll(/<edge /g)].length, graph.size);
  assert.match(text, 'id="a&lt;b"');
  assert.match(text, '>0.5 -2<');
});

test('a picture has every node, its strong weights and no numbers that are none', () => {
  const weights = randomStream(1, 'weights').normals(weightCount(SPECS.compact));
  const graph = buildGraph(ncaNetwork(SPECS.compact), weights);
  const svg = toSvg(graph, ncaPicture(SPECS.compact));
  assert.is([...svg.matchAll(/<circle cx/g)].length, graph.order);
  assert.ok([...svg.matchAll(/<path d="M/g)].length > graph.size / 4);
  assert.not.match(svg, /NaN|Infinity|undefined/);
});

test('property: any network can be drawn', () => {
  fc.assert(
    fc.property(networks, network => {
      assert.not.match(toSvg(graphOf(network)), /NaN|Infinity|undefined/);
    }),
    { numRuns: 20 },
  );
});

test.run();
