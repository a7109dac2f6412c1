import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { setThreadCount, statistics } from '../compute/index.ts';
import { randomStream, startBackend, tf } from '../tensor/index.ts';
import {
  maskBit,
  type NcaSpec,
  plainRollout,
  rollout,
  SPECS,
  seedState,
  seedsFor,
  toRgb,
  weightCount,
} from './index.ts';

await startBackend();

/** Specs of every kind: the three known ones, and one with numbers that fit no vector. */
const odd: NcaSpec = {
  name: 'odd',
  channels: 5,
  hidden: 11,
  filterScale: 0.25,
  outputBias: true,
  clip: { perception: 0.7, hidden: 0.5, update: 0.1, state: 0.8 },
  rgb: { scale: 2, offset: 0.25 },
};
const specs: NcaSpec[] = [...Object.values(SPECS), odd, { ...odd, name: 'single', channels: 4, hidden: 3 }];

/** Weights that make hidden units and every clip of the spec do something. */
const someWeights = (spec: NcaSpec, batch: number, seed = 1) =>
  randomStream(seed, 'weights').normals(batch * weightCount(spec), 0, 0.15);
const someState = (size: number, seed = 1) => randomStream(seed, 'state').normals(size, 0, 0.5);

interface Case {
  spec: NcaSpec;
  batch: number;
  height: number;
  width: number;
  steps: number;
  shared: boolean;
  seed: number;
}
const cases = fc.record({
  spec: fc.constantFrom(...specs),
  batch: fc.integer({ min: 1, max: 5 }),
  height: fc.integer({ min: 1, max: 40 }),
  width: fc.integer({ min: 1, max: 37 }),
  steps: fc.integer({ min: 0, max: 4 }),
  shared: fc.boolean(),
  seed: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
});

function tensors({ spec, batch, height, width, shared, seed }: Case) {
  const shape: [number, number, number, number] = [batch, height, width, spec.channels];
  const rows = shared ? 1 : batch;
  return {
    weights: tf.tensor2d(someWeights(spec, rows, seed), [rows, weightCount(spec)]),
    state: tf.tensor4d(someState(batch * height * width * spec.channels, seed), shape),
  };
}

/** Largest difference, relative to the largest number. */
function difference(found: ArrayLike<number>, expected: ArrayLike<number>): number {
  assert.is(found.length, expected.length);
  let worst = 0;
  let largest = 1e-30;
  for (let i = 0; i < found.length; i++) {
    worst = Math.max(worst, Math.abs(found[i] - expected[i]));
    largest = Math.max(largest, Math.abs(expected[i]));
  }
  return worst / largest;
}

test('the engine computes what the plain version computes', () => {
  fc.assert(
    fc.property(cases, one => {
      const { spec, batch, height, width, steps, shared, seed } = one;
      const seeds = seedsFor(seed, batch);
      const { weights, state } = tensors(one);
      const found = rollout(spec, weights, state, { steps, seeds, firstStep: 3 });
      const numbers = found.dataSync();
      const size = height * width * spec.channels;
      const weight = weights.dataSync();
      const start = state.dataSync();
      for (let sample = 0; sample < batch; sample++) {
        const own = shared
          ? weight
          : weight.subarray(sample * weightCount(spec), (sample + 1) * weightCount(spec));
        const expected = plainRollout(
          spec,
          own,
          Float64Array.from(start.subarray(sample * size, (sample + 1) * size)),
          { height, width },
          steps,
          (step, y, x) => maskBit(seeds[sample], 3 + step, y, x),
        );
        // Sums of 48 and 96 products in float32, over at most 4 steps that amplify little.
        assert.ok(difference(numbers.subarray(sample * size, (sample + 1) * size), expected) < 2e-5);
      }
      tf.dispose([weights, state, found]);
    }),
    { numRuns: 60 },
  );
});

/** d <final state, direction> / d (weights or state) along `along`, by central differences of the plain version in float64. */
function slope(one: Case, seeds: number[], direction: ArrayLike<number>, along: Along): number {
  const { spec, batch, height, width, steps, shared, seed } = one;
  const rows = shared ? 1 : batch;
  const count = weightCount(spec);
  const size = height * width * spec.channels;
  const weights = Float64Array.from(someWeights(spec, rows, seed));
  const state = Float64Array.from(someState(batch * size, seed));
  const value = (h: number) => {
    const w = weights.map((x, i) => x + h * along.weights[i]);
    const s = state.map((x, i) => x + h * along.state[i]);
    let sum = 0;
    for (let sample = 0; sample < batch; sample++) {
      const own = shared ? w : w.subarray(sample * count, (sample + 1) * count);
      const start = s.slice(sample * size, (sample + 1) * size);
      const active = (step: number, y: number, x: number) => maskBit(seeds[sample], step, y, x);
      const last = plainRollout(spec, own, start, { height, width }, steps, active);
      for (let i = 0; i < size; i++) sum += last[i] * direction[sample * size + i];
    }
    return sum;
  };
  // Small enough that next to no hidden unit or clip switches inside the interval, large enough for float64.
  const h = 1e-7;
  return (value(h) - value(-h)) / (2 * h);
}
interface Along {
  weights: ArrayLike<number>;
  state: ArrayLike<number>;
}

const dot = (a: ArrayLike<number>, b: ArrayLike<number>) => {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i] * b[i];
  return sum;
};

test('gradients are the slopes of the plain version', () => {
  fc.assert(
    fc.property(cases, one => {
      const { spec, batch, height, width, steps, seed } = one;
      const seeds = seedsFor(seed, batch);
      const { weights, state } = tensors(one);
      const random = randomStream(seed, 'directions');
      const direction = random.normals(batch * height * width * spec.channels);
      const before = tf.memory().numTensors;
      // With no memory to spare the states are computed again: the same gradient.
      for (const memory of [undefined, 0]) {
        const [ofWeights, ofState] = tf.tidy(() =>
          tf
            .grads((w, x) =>
              tf.sum(
                tf.mul(
                  rollout(spec, w as tf.Tensor2D, x as tf.Tensor4D, { steps, seeds, memory }),
                  tf.tensor4d(direction, state.shape),
                ),
              ),
            )([weights, state])
            .map(gradient => gradient.dataSync()),
        );
        for (const part of ['weights', 'state'] as const) {
          const along = {
            weights: part === 'weights' ? random.normals(weights.size) : new Float32Array(weights.size),
            state: part === 'state' ? random.normals(state.size) : new Float32Array(state.size),
          };
          const found = part === 'weights' ? dot(ofWeights, along.weights) : dot(ofState, along.state);
          const expected = slope(one, seeds, direction, along);
          const size = Math.hypot(...(part === 'weights' ? ofWeights : ofState));
          // Float32 sums give 1e-6; a unit that switches between float32 and float64 gives the rest.
          assert.ok(Math.abs(found - expected) <= 5e-3 * size + 1e-6);
        }
      }
      assert.is(tf.memory().numTensors, before);
      tf.dispose([weights, state]);
    }),
    { numRuns: 40 },
  );
});

test.run();
