import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { statistics } from '../compute/index.ts';
import { randomStream, startBackend, tf } from '../tensor/index.ts';
import { actOnWeights, Growth, type NcaSpec, rollout, SPECS, seedState, weightCount } from './index.ts';
import { SYMMETRIES } from './symmetries/index.ts';

test.before(async () => {
  await startBackend();
});

const weightsOf = (spec: NcaSpec, count: number, seed: number) =>
  randomStream(seed, 'growth').normals(count * weightCount(spec), 0, 0.1);
const specs = fc.constantFrom<NcaSpec>(SPECS.compact, SPECS['self-organising-textures'], {
  ...SPECS.compact,
  name: 'odd',
  channels: 5,
  hidden: 11,
});

test('grows what a rollout grows, number for number, however the steps are divided', () => {
  fc.assert(
    fc.property(
      specs,
      fc.nat(99),
      fc.array(fc.integer({ min: 0, max: 5 }), { maxLength: 4 }),
      (spec, seed, parts) => {
        const weights = weightsOf(spec, 2, seed);
        const growth = new Growth(spec, weights, { size: 9, seeds: [seed, 7] });
        const steps = parts.reduce((a, b) => a + b, 0);
        for (const part of parts) growth.step(part);
        const state = tf.tidy(() =>
          rollout(spec, tf.tensor2d(weights, [2, weightCount(spec)]), seedState(spec, 2, 9, 9), {
            steps,
            seeds: [seed, 7],
          }),
        );
        const expected = state.dataSync();
        state.dispose();
        assert.is(growth.steps, steps);
        const padded = growth.state(0).length / 81;
        for (let nca = 0; nca < 2; nca++) {
          const found = growth.state(nca);
          for (let i = 0; i < 81 * spec.channels; i++) {
            const [cell, c] = [Math.floor(i / spec.channels), i % spec.channels];
            assert.is(found[cell * padded + c], expected[nca * 81 * spec.channels + i]);
          }
        }
        growth.dispose();
      },
    ),
    { numRuns: 12 },
  );
});

test('under turned masks the turned NCA grows the turned picture', () => {
  const spec = SPECS.compact;
  const { d4 } = SYMMETRIES;
  fc.assert(
    fc.property(fc.nat(99), fc.nat(99), (seed, which) => {
      const g = d4.sample(spec, randomStream(which, 'd4'));
      const weights = weightsOf(spec, 1, seed);
      const options = { size: 12, seeds: [seed] };
      const [plain, moved] = [
        new Growth(spec, weights, options),
        new Growth(spec, actOnWeights(spec, g, weights), { ...options, turn: g }),
      ];
      for (const growth of [plain, moved]) growth.step(6);
      const expected = d4.actOnState(spec, g, { height: 12, width: 12, data: plain.state(0).slice() }).data;
      // float32 sums in another order, over six steps of numbers around 1.
      moved.state(0).forEach((x, i) => {
        assert.ok(Math.abs(x - expected[i]) < 1e-4 * (1 + Math.abs(expected[i])), `${x} ${expected[i]}`);
      });
      for (const growth of [plain, moved]) growth.dispose();
    }),
    { numRuns: 10 },
  );
});

test('the brush erases a disc on the torus and nothing else, and nothing is held afterwards', () => {
  const { blocks } = statistics();
  const growth = new Growth(SPECS.compact, weightsOf(SPECS.compact, 1, 3), { size: 16, seeds: [1] });
  growth.step(20);
  const before = growth.state(0).slice();
  growth.erase(0.5, 15.5, 2);
  const apart = (a: number, b: number) => Math.min(Math.abs(a - b), 16 - Math.abs(a - b));
  growth.state(0).forEach((x, i) => {
    const cell = Math.floor(i / 8);
    const inside = apart(cell % 16, 0) ** 2 + apart(Math.floor(cell / 16), 15) ** 2 <= 4;
    assert.is(x, inside ? 0 : before[i]);
  });
  growth.reset();
  assert.is(growth.steps, 0);
  assert.ok(growth.state(0).every(x => x === 0));
  growth.dispose();
  assert.is(statistics().blocks, blocks);
});

test.run();
