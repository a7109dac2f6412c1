import * as fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { golden } from '../property-tests/golden.ts';
import { networks } from '../src/testing/index.ts';
import {
  buildGraph,
  type CompiledGraph,
  compileGraph,
  edgeCode,
  type GraphOptions,
  type Layer,
  type NetworkSpec,
  networkParameters,
  nodeCode,
  type ParameterGraph,
  weightsOf,
} from './index.ts';

const ramp = (length: number) => Float32Array.from({ length }, (_, i) => i + 1);
const countOf = (network: NetworkSpec) => networkParameters(network).reduce((sum, { size }) => sum + size, 0);

const linear = (from: number, to: number, bias = true): Layer => ({
  kind: 'linear',
  in: from,
  out: to,
  bias,
});
const conv = (from: number, to: number, kernel: number[], bias = true): Layer => ({
  kind: 'conv',
  in: from,
  out: to,
  kernel,
  bias,
});
const norm = (kind: 'batch' | 'layer' | 'group' | 'instance', features: number): Layer => ({
  kind: 'norm',
  norm: kind,
  features,
});

/** The networks of the reference's golden graphs. */
const REFERENCE: Record<string, Layer[]> = {
  mlp_8_6_2: [linear(8, 6), linear(6, 2, false)],
  mlp_5_4_3_2_allbias: [linear(5, 4), linear(4, 3), linear(3, 2)],
  conv_bn_linear: [conv(3, 4, [3, 3]), norm('batch', 4), linear(4, 2)],
  conv_conv: [conv(3, 4, [3, 3]), conv(4, 5, [3, 2], false)],
  conv_bn_conv_bn_linear: [
    conv(2, 3, [3, 3], false),
    norm('batch', 3),
    conv(3, 4, [1, 1]),
    norm('batch', 4),
    linear(4, 2),
  ],
  conv1d_gn: [conv(2, 4, [3]), norm('group', 4), linear(4, 2)],
  conv_in_affine: [conv(2, 4, [3, 3]), norm('instance', 4), linear(4, 2)],
  linear_ln_linear: [linear(4, 5), norm('layer', 5), linear(5, 2)],
  linear_ln_last: [linear(4, 5), norm('layer', 5)],
  linear_attn_linear: [linear(3, 4), { kind: 'attention', width: 4, heads: 2 }, linear(4, 2)],
  ffn_first: [{ kind: 'feed-forward', width: 3, hidden: 5 }, linear(3, 2)],
  linear_ln_attn_ln_ffn_linear: [
    linear(3, 4),
    norm('layer', 4),
    { kind: 'attention', width: 4, heads: 2 },
    norm('layer', 4),
    { kind: 'feed-forward', width: 4, hidden: 6 },
    linear(4, 2),
  ],
  basicblock: [
    conv(3, 4, [3, 3], false),
    norm('batch', 4),
    { kind: 'basic-block', in: 4, out: 4 },
    linear(4, 2),
  ],
  basicblock_down: [
    conv(3, 4, [3, 3], false),
    norm('batch', 4),
    { kind: 'basic-block', in: 4, out: 6 },
    linear(6, 2),
  ],
  deepsets: [
    { kind: 'deep-sets', in: 3, out: 4 },
    { kind: 'deep-sets', in: 4, out: 2 },
  ],
  triplanar: [{ kind: 'triplanar', features: 2, resolution: 3 }, linear(5, 2)],
};

const PARAMETER_ENDS = ['weight', 'bias', 'tgrid'];

/** The graph's arrays as the reference lays them out. */
function arrays(graph: ParameterGraph) {
  return {
    x: graph.mapNodes((_, { layer, order, type }) => [layer, order, nodeCode(type)]).flat(),
    edgeIndex: [
      ...graph.mapEdges((_e, _a, source) => Number(source)),
      ...graph.mapEdges((_e, _a, _s, target) => Number(target)),
    ],
    edgeAttributes: graph
      .mapEdges((_, { weight, layer, type, position }) => [weight, layer, edgeCode(type), ...position])
      .flat(),
  };
}

test('graphs of every network the reference can build equal its own, bias nodes and loops', async () => {
  const data = await golden('08_param_graph');
  let compared = 0;
  for (const [name, layers] of Object.entries(REFERENCE)) {
    const weights = Object.entries(data)
      .filter(([key]) => key.startsWith(`${name}.param.`) && PARAMETER_ENDS.some(end => key.includes(end)))
      .flatMap(([, array]) => Array.from(array.data as Float32Array));
    for (const loops of [false, true]) {
      const prefix = loops ? `${name}.selfloops` : name;
      if (!data[`${prefix}.x`]) continue;
      const options: GraphOptions = { reference: true, bias: loops ? 'self-loops' : 'nodes' };
      const found = arrays(buildGraph({ name, layers }, weights, options));
      // Tolerance 0: integers, and weights carried over unchanged.
      assert.equal(found.x, Array.from(data[`${prefix}.x`].data as Int32Array), `${prefix}.x`);
      assert.equal(
        found.edgeIndex,
        Array.from(data[`${prefix}.edge_index`].data as Int32Array),
        `${prefix}.edge_index`,
      );
      assert.equal(
        found.edgeAttributes,
        Array.from(data[`${prefix}.edge_attr`].data as Float32Array),
        `${prefix}.edge_attr`,
      );
      compared++;
    }
  }
  assert.is(compared, 28);
});

test('the graph of an NCA equals the reference, edges in the order of the flat weights', async () => {
  const data = await golden('08_param_graph');
  const flat = data['nca_48_96_12.flat'].data as Float32Array;
  const layers = [linear(48, 96), linear(96, 12, false)];
  const found = arrays(buildGraph({ name: 'nca', layers }, flat));
  assert.equal(found.x, Array.from(data['nca_48_96_12.x'].data as Int32Array));
  assert.equal(found.edgeIndex, Array.from(data['nca_48_96_12.edge_index'].data as Int32Array));
  const others = Array.from(data['nca_48_96_12.edge_attr_1to5'].data as Int32Array);
  const expected = Array.from(flat).flatMap((weight, e) => [weight, ...others.slice(5 * e, 5 * e + 5)]);
  assert.equal(found.edgeAttributes, expected);
});

test('what the reference cannot build: attention or a norm first, flattened pixels, norms without scale, loops everywhere', () => {
  const pictures: Layer[] = [
    conv(2, 3, [3, 3]),
    { kind: 'norm', norm: 'instance', features: 3, affine: false },
    { kind: 'flatten', pixels: [2, 2] },
    linear(12, 5),
  ];
  const flattened = buildGraph(
    { name: 'flattened', layers: pictures },
    ramp(countOf({ name: '', layers: pictures })),
  );
  // 12 weights for each of 5 units, between 3 channels and the unit: 4 parallel edges, one per pixel.
  assert.is(flattened.filterEdges((_, { type }) => type === 'lin_weight').length, 60);
  assert.is(flattened.edges(2, 6).length, 4);
  for (const layers of [
    [{ kind: 'attention', width: 4 }, linear(4, 2)],
    [norm('layer', 4), linear(4, 2)],
    REFERENCE.basicblock_down,
    REFERENCE.linear_attn_linear,
  ] as Layer[][]) {
    const network = { name: 'n', layers };
    const weights = ramp(countOf(network));
    const graph = buildGraph(network, weights, { bias: 'self-loops' });
    assert.equal(weightsOf(graph), weights);
  }
});

test('layers that do not fit are named', () => {
  const network: NetworkSpec = { name: 'n', layers: [linear(3, 4), linear(5, 2)] };
  assert.throws(() => networkParameters(network), /layer 1 \(linear\): expected 5 inputs, found 4/);
  const block: NetworkSpec = {
    name: 'n',
    layers: [linear(3, 4), { kind: 'residual', layers: [linear(4, 3)] }],
  };
  assert.throws(() => networkParameters(block), /layer 1 \(residual\): expected 4 inputs, found 3/);
});

/** Every edge of a compiled graph as its blocks describe it. */
function* edgesOfBlocks({ blocks }: CompiledGraph) {
  for (const block of blocks) {
    const [outer, inner] = block.reverse ? [block.sources, block.targets] : [block.targets, block.sources];
    for (let i = 0; i < block.size; i++) {
      const ends =
        block.kind === 'pairs'
          ? { source: block.sources[i], target: block.targets[i] }
          : (() => {
              const there = inner[Math.floor(i / block.kernel) % inner.length];
              const here = outer[Math.floor(i / (block.kernel * inner.length))];
              return block.reverse ? { source: here, target: there } : { source: there, target: here };
            })();
      yield {
        ...ends,
        edge: block.firstEdge + i,
        parameter: block.parameter < 0 ? -1 : block.parameter + i,
        type: block.type,
        layer: block.layer,
        reverse: Number(block.reverse),
      };
    }
  }
}

const options = fc.record({
  bias: fc.constantFrom('nodes' as const, 'self-loops' as const),
  reverseEdges: fc.boolean(),
});

test('property: the compiled form and its blocks say what the graph says', () => {
  fc.assert(
    fc.property(networks, options, (network, how) => {
      const graph = buildGraph(network, ramp(countOf(network)), how);
      const compiled = compileGraph(graph);
      graph.forEachEdge((key, attributes, source, target) => {
        const e = Number(key);
        assert.is(compiled.source[e], Number(source));
        assert.is(compiled.target[e], Number(target));
        assert.is(compiled.parameter[e], attributes.parameter);
        assert.is(compiled.edgeType[e], edgeCode(attributes.type));
        assert.equal([...compiled.position.slice(3 * e, 3 * e + 3)], [...attributes.position]);
        assert.is(attributes.weight, attributes.parameter < 0 ? 1 : attributes.parameter + 1);
      });
      graph.forEachNode((key, { layer, order, type }) => {
        const n = Number(key);
        assert.equal(
          [compiled.nodeLayer[n], compiled.nodeOrder[n], compiled.nodeType[n]],
          [layer, order, nodeCode(type)],
        );
      });
      let next = 0;
      for (const { edge, source, target, parameter, type, layer, reverse } of edgesOfBlocks(compiled)) {
        assert.is(edge, next++);
        assert.equal(
          [source, target, parameter, type, layer, reverse],
          [
            compiled.source[edge],
            compiled.target[edge],
            compiled.parameter[edge],
            compiled.edgeType[edge],
            compiled.edgeLayer[edge],
            compiled.reverse[edge],
          ],
        );
      }
      assert.is(next, compiled.edgeCount);
    }),
    { numRuns: 60 },
  );
});

test('property: weights survive the way into a graph and back', () => {
  fc.assert(
    fc.property(networks, options, (network, how) => {
      const weights = ramp(countOf(network));
      assert.equal(weightsOf(buildGraph(network, weights, how)), weights);
    }),
    { numRuns: 60 },
  );
});

test.run();
