import * as fc from 'fast-check';
import { isLeft } from 'fp-ts/lib/Either.js';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { buildGraph, compileGraph, networkParameters, weightsOf } from '../../../graphs/index.ts';
import { orThrow, UserError } from '../../config/index.ts';
import { actOnWeights, type NcaSpec, SPECS, SYMMETRIES, weightCount } from '../../nca/index.ts';
import { randomStream, startBackend, tf } from '../../tensor/index.ts';
import { networks } from '../../testing/index.ts';
import { difference, inputs, run, scramble } from '../contract.ts';
import { type DenoiserContext, denoiserKind } from '../index.ts';
import { denseEdges, type EdgeFeatures, type EdgeSpace, generalEdges, mapEdges } from './index.ts';

await startBackend();

const spec: NcaSpec = { ...SPECS.compact, name: 'tiny', channels: 5, hidden: 6, outputBias: true };
const context: DenoiserContext = { spec, condition: { tokens: 2, width: 4 }, seed: 1 };

const options = fc.record({
  bias: fc.constantFrom('nodes' as const, 'self-loops' as const),
  reverseEdges: fc.boolean(),
});

/** float32 sums of the same numbers in another order. */
const SAME = 1e-5;

const close = (a: tf.Tensor, b: tf.Tensor, what: string) => {
  assert.equal(a.shape, b.shape, what);
  const error = difference(a, b);
  assert.ok(error < SAME, `${what}: ${error}`);
};

test('property: both paths of message passing agree on every operation, on random networks', () => {
  const before = tf.memory().numTensors;
  fc.assert(
    fc.property(networks, options, fc.integer({ min: 1, max: 2 }), (network, how, batch) => {
      const count = networkParameters(network).reduce((sum, { size }) => sum + size, 0);
      if (count === 0) return;
      const graph = compileGraph(buildGraph(network, new Float32Array(count), how));
      const random = (name: string, shape: number[]) =>
        tf.tensor(randomStream(1, name).normals(shape.reduce((a, b) => a * b, 1)), shape);
      tf.tidy(() => {
        const width = 4;
        const weights = random('weights', [batch, count]) as tf.Tensor2D;
        const table = random('table', [graph.edgeCount, width]) as tf.Tensor2D;
        const [source, target] = ['source', 'target'].map(
          name => random(name, [batch, graph.nodeCount, width]) as tf.Tensor3D,
        );
        const index = Int32Array.from({ length: graph.edgeCount }, (_, e) => (e * 7) % graph.edgeCount);
        const through = (space: EdgeSpace) => {
          const own = space.ofWeights(weights);
          const labelled = space.addNodes(space.lookup(table, index), source, target);
          const edges: EdgeFeatures = mapEdges(labelled, (e: tf.Tensor) => tf.relu(e));
          const one = (e: EdgeFeatures) => mapEdges(e, x => tf.sum(x, x.rank - 1, true));
          return {
            'weights to edges and back': space.toWeights(own),
            'edges to weights': space.toWeights(one(edges)),
            ...Object.fromEntries(
              (['source', 'target'] as const).flatMap(end => [
                ...(['mean', 'sum', 'max'] as const).map(
                  how => [`${how} at ${end}`, space.aggregate(edges, end, how)] as const,
                ),
                [
                  `weighted sum at ${end}`,
                  space.weightedSum(
                    mapEdges(edges, e =>
                      tf.slice(
                        e,
                        e.shape.map(() => 0),
                        [...e.shape.slice(0, -1), 2],
                      ),
                    ),
                    source,
                    end,
                  ),
                ] as const,
              ]),
            ),
            mean: space.mean(edges),
            products: space.toWeights(one(space.products(source, target, 2))),
            ...(batch === 1 && { rows: space.rows(edges) }),
          } as Record<string, tf.Tensor>;
        };
        const dense = through(denseEdges(graph));
        const general = through(generalEdges(graph));
        close(dense['weights to edges and back'], weights, 'round trip');
        for (const [what, found] of Object.entries(dense)) close(found, general[what], what);
      });
    }),
    { numRuns: 40 },
  );
  assert.is(tf.memory().numTensors, before);
});

for (const name of ['edge-mpnn', 'graph-dit']) {
  const kind = orThrow(denoiserKind(name));
  const small = { ...kind.defaults, hidden: 8, heads: 2, edge: 4, global: 12, basis: 16 };

  for (const recurrent of [false, true]) {
    test(`${name}${recurrent ? ', recurrent' : ''}: both paths give the same output and gradients, with anchor and without`, () => {
      const before = tf.memory().numTensors;
      for (const anchor of [undefined, randomStream(3, 'anchor').normals(weightCount(spec))]) {
        const [dense, general] = (['dense', 'general'] as const).map(path =>
          kind.build({ ...small, recurrent, path }, { ...context, anchor }),
        );
        scramble(dense);
        scramble(general);
        tf.tidy(() => {
          const given = inputs(context, 3, [1, 0, 1]);
          close(run(dense, given), run(general, given), 'output');
          const [a, b] = [dense, general].map(denoiser => {
            const list = Object.values(denoiser.variables);
            const { grads } = tf.variableGrads(
              () => tf.mean(tf.square(run(denoiser, given))) as tf.Scalar,
              list,
            );
            return list.map(v => grads[v.name]);
          });
          // A gradient sums over batch and edges: a digit more is lost.
          a.forEach((gradient, i) => {
            assert.ok(difference(gradient, b[i]) < 10 * SAME);
          });
        });
        dense.dispose();
        general.dispose();
      }
      assert.is(tf.memory().numTensors, before);
    });
  }

  test(`${name}, recurrent: latent channels may be permuted, with the anchor`, () => {
    const { sample } = SYMMETRIES['channel-permutation'];
    const element = sample({ ...spec, channels: 7 }, randomStream(4, 'element'));
    const wide = { ...context, spec: { ...spec, channels: 7 } };
    const anchor = randomStream(3, 'anchor').normals(weightCount(wide.spec));
    const act = (w: Float32Array) => Float32Array.from(actOnWeights(wide.spec, element, w));
    const [plain, moved] = [anchor, act(anchor)].map(a =>
      kind.build({ ...small, recurrent: true }, { ...wide, anchor: a }),
    );
    assert.ok(plain.symmetries.includes('channel-permutation'));
    for (const denoiser of [plain, moved]) scramble(denoiser);
    tf.tidy(() => {
      const given = inputs(wide, 1, [1]);
      const actOn = (x: tf.Tensor2D) => tf.tensor2d(act(x.dataSync() as Float32Array), x.shape);
      const wanted = run(plain, given);
      close(run(moved, { ...given, weights: actOn(given.weights) }), actOn(wanted), 'output');
      assert.ok(difference(actOn(wanted), wanted) > 0.01, 'the element moves the output');
    });
    plain.dispose();
    moved.dispose();
  });

  test(`${name}: untrained it gives 0`, () => {
    tf.tidy(() => {
      const denoiser = kind.build(small, context);
      assert.is(tf.max(tf.abs(run(denoiser, inputs(context, 2, [1, 0])))).dataSync()[0], 0);
      denoiser.dispose();
    });
  });

  test(`${name}: what stands in an absent condition's place does not matter, even NaN`, () => {
    tf.tidy(() => {
      const denoiser = kind.build(small, context);
      scramble(denoiser);
      const given = inputs(context, 1, [0]);
      const tokens = tf.fill(given.condition!.tokens.shape, Number.NaN) as tf.Tensor3D;
      const poisoned = { ...given, condition: { ...given.condition!, tokens } };
      close(run(denoiser, given), run(denoiser, poisoned), 'output');
      denoiser.dispose();
    });
  });

  test(`${name}: a condition of another shape is refused in a sentence`, () => {
    tf.tidy(() => {
      const denoiser = kind.build(small, context);
      const other = inputs({ ...context, condition: { tokens: 3, width: 4 } }, 1, [1]);
      assert.throws(
        () => run(denoiser, other),
        (error: Error) =>
          error instanceof UserError && /expected 2 tokens of 4 numbers, found 3 of 4/.test(error.message),
      );
      denoiser.dispose();
    });
  });
}

test('edge-mpnn: places of the condition are told apart by nothing where there is no condition', () => {
  const kind = orThrow(denoiserKind('edge-mpnn'));
  const small = { ...kind.defaults, hidden: 8, heads: 2, edge: 4, global: 12, basis: 16 };
  tf.tidy(() => {
    const unconditional = { ...context, condition: null };
    const [first, ...others] = ['global', 'nodes', 'scale', 'none'].map(condition => {
      const denoiser = kind.build({ ...small, condition }, unconditional);
      scramble(denoiser);
      const out = run(denoiser, inputs(unconditional, 2, null));
      denoiser.dispose();
      return out;
    });
    for (const other of others) assert.equal(other.arraySync(), first.arraySync());
  });
  assert.ok(isLeft(kind.config.decode({ ...kind.defaults, condition: 'edges' })));
});

test('sizes that do not fit are refused', () => {
  for (const name of ['edge-mpnn', 'graph-dit']) {
    const kind = orThrow(denoiserKind(name));
    for (const wrong of [{ hidden: 0 }, { edge: 2.5 }, { basis: -1 }, { path: 'sparse' }]) {
      assert.ok(isLeft(kind.config.decode({ ...kind.defaults, ...wrong })), JSON.stringify(wrong));
    }
    assert.throws(
      () => kind.build({ ...kind.defaults, heads: 5 }, context),
      /heads: expected a divisor of hidden/,
    );
  }
});

test('a graph read back from a batch of its own weights', () => {
  const weights = randomStream(1, 'w').normals(7 * 3 + 3);
  const network = { name: 'n', layers: [{ kind: 'linear' as const, in: 7, out: 3 }] };
  assert.equal(weightsOf(buildGraph(network, weights)), weights);
});

test.run();
