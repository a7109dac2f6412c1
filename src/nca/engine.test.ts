import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { deviation, golden } from '../../property-tests/golden.ts';
import { setThreadCount, statistics, threadCount } from '../compute/index.ts';
import { randomStream, startBackend, tf } from '../tensor/index.ts';
import {
  maskBit,
  maskSeed,
  type NcaSpec,
  plainPerception,
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
        assert.ok(deviation(numbers.subarray(sample * size, (sample + 1) * size), expected) < 2e-5);
      }
      tf.dispose([weights, state, found]);
    }),
    { numRuns: 40 },
  );
});

/**
 * d <final state, direction> / d (weights or state) along `along`, by central differences of the plain version in float64; and how far the
 * slopes on both sides are apart a little farther out, which tells of hidden units and clips that switch there.
 */
function slope(one: Case, seeds: number[], direction: ArrayLike<number>, along: Along) {
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
  // As far as float32 rounding moves what a unit switches on.
  const reach = 2e-6;
  const here = value(0);
  const kink = Math.abs(value(reach) - 2 * here + value(-reach)) / reach;
  return { expected: (value(h) - value(-h)) / (2 * h), kink };
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
  const count = { all: 0, compared: 0 };
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
          const { expected, kink } = slope(one, seeds, direction, along);
          const size = Math.hypot(...(part === 'weights' ? ofWeights : ofState));
          // There is no slope to compare with where one unit that decides much switches.
          count.all++;
          if (kink > 1e-3 * size) continue;
          count.compared++;
          // Float32 sums give 1e-6; units that switch between float32 and float64, none of which decides much, give the rest.
          assert.ok(Math.abs(found - expected) <= 5e-3 * size + 1e-6);
        }
      }
      assert.is(tf.memory().numTensors, before);
      tf.dispose([weights, state]);
    }),
    { numRuns: 40 },
  );
  assert.ok(count.compared > 0.8 * count.all, `${count.compared} of ${count.all} have a slope`);
});

const reference = await golden('01_nca_step');
/** [..., C, H, W] to [..., H, W, C] */
const channelsLast = (name: string): Float32Array => {
  const { shape, data } = reference[name];
  const [c, h, w] = shape.slice(-3);
  return Float32Array.from(data, (_, i) => {
    const inner = i % c;
    const cell = Math.floor(i / c) % (h * w);
    return Number(data[(Math.floor(i / (c * h * w)) * c + inner) * h * w + cell]);
  });
};
const expected = (name: string, data: Float32Array) => ({ ...reference[name], data });

test('states, picture and gradients are those of the reference', () => {
  const spec = SPECS.hypernca;
  const [batch, , height, width] = reference.x0.shape;
  const flat = ['w1', 'b1', 'w2'].flatMap(name => Array.from(reference[name].data, Number));
  const weights = tf.tensor2d(flat, [1, flat.length]);
  const state = tf.tensor4d(channelsLast('x0'), [batch, height, width, 12]);
  const masks = Array.from(reference.masks.data, Number);
  const seeds = [0, 0];
  const perStep = batch * height * width;
  const first = rollout(spec, weights, state, { steps: 1, seeds, masks: masks.slice(0, perStep) });
  const last = rollout(spec, weights, state, { steps: 8, seeds, masks });
  // Measured between two PyTorch builds: 3.4e-7. The sums here run in another order again.
  assert.ok(deviation(first.dataSync(), expected('state1', channelsLast('state1'))) < 1e-6);
  assert.ok(deviation(last.dataSync(), expected('state8', channelsLast('state8'))) < 1e-6);
  const rgb = toRgb(spec, last);
  assert.ok(deviation(rgb.dataSync(), expected('rgb8', channelsLast('rgb8'))) < 1e-6);
  const gradients = tf.grads((w, x) =>
    tf.sum(tf.square(rollout(spec, w as tf.Tensor2D, x as tf.Tensor4D, { steps: 8, seeds, masks }))),
  )([weights, state]);
  const [ofWeights, ofState] = gradients.map(gradient => gradient.dataSync());
  // Against float64; PyTorch's own float32 gradients are 1e-7 to 4e-7 away from it.
  assert.ok(deviation(ofState, expected('grad_x0', channelsLast('grad_x0'))) < 2e-6);
  let offset = 0;
  for (const name of ['w1', 'b1', 'w2']) {
    const size = reference[name].data.length;
    assert.ok(deviation(ofWeights.subarray(offset, offset + size), reference[`grad_${name}`]) < 2e-6, name);
    offset += size;
  }
  tf.dispose([weights, state, first, last, rgb, ...gradients]);
});

test('the plain version is that of the reference', () => {
  const spec = SPECS.hypernca;
  const tiny = plainPerception(spec, channelsLast('tiny_x').slice(0, 144), { height: 3, width: 4 });
  const cells = expected('tiny_perception', channelsLast('tiny_perception').slice(0, tiny.length));
  assert.ok(deviation(tiny, cells) < 1e-6);
  const [, , height, width] = reference.x0.shape;
  const flat = ['w1', 'b1', 'w2'].flatMap(name => Array.from(reference[name].data, Number));
  const size = height * width * 12;
  const start = Float64Array.from(channelsLast('x0').subarray(0, size));
  const active = (step: number, y: number, x: number) =>
    Number(reference.masks.data[(step * 2 * height + y) * width + x]) === 1;
  const last = plainRollout(spec, flat, start, { height, width }, 8, active);
  assert.ok(deviation(last, expected('state8', channelsLast('state8').subarray(0, size))) < 1e-6);
});

/** Final states and gradients, as numbers. */
function everything(one: Case, seeds: number[]): Float32Array[] {
  const { spec, steps } = one;
  const { weights, state } = tensors(one);
  return tf.tidy(() => {
    const run = (w: tf.Tensor, x: tf.Tensor) =>
      rollout(spec, w as tf.Tensor2D, x as tf.Tensor4D, { steps, seeds });
    const gradients = tf.grads((w, x) => tf.sum(tf.square(run(w, x))))([weights, state]);
    const numbers = [run(weights, state), ...gradients].map(tensor => tensor.dataSync() as Float32Array);
    tf.dispose([weights, state]);
    return numbers;
  });
}

test('results are bit-identical for 1, 2 and 3 threads', () => {
  const threads = threadCount();
  for (const spec of [SPECS.hypernca, SPECS['self-organising-textures'], odd]) {
    for (const [batch, shared] of [
      [1, true],
      [4, true],
      [5, false],
    ] as const) {
      const one = { spec, batch, height: 37, width: 35, steps: 3, shared, seed: 5 };
      const results = [1, 2, 3].map(count => {
        setThreadCount(count);
        return everything(one, seedsFor(9, batch));
      });
      assert.equal(results[1], results[0]);
      assert.equal(results[2], results[0]);
    }
  }
  setThreadCount(threads);
});

test('a sample does not depend on the batch it is in', () => {
  const spec = SPECS.compact;
  const one: Case = { spec, batch: 5, height: 24, width: 24, steps: 6, shared: false, seed: 2 };
  const seeds = seedsFor(4, 5);
  assert.equal(seedsFor(4, 9).slice(0, 5), seeds);
  const together = everything(one, seeds);
  // The first two samples draw the same weights and states in a batch of two.
  const alone = everything({ ...one, batch: 2 }, seeds.slice(0, 2));
  // The states are drawn in one go, the weights row after row: both are prefixes.
  alone.forEach((numbers, i) => {
    assert.equal(numbers, together[i].slice(0, numbers.length));
  });
});

test('a rollout can be continued', () => {
  const spec = SPECS.compact;
  const weights = tf.tensor2d(someWeights(spec, 1), [1, weightCount(spec)]);
  const seeds = seedsFor(1, 2);
  const seed = seedState(spec, 2, 10, 12);
  const half = rollout(spec, weights, seed, { steps: 3, seeds });
  const whole = rollout(spec, weights, half, { steps: 4, seeds, firstStep: 3 });
  const once = rollout(spec, weights, seed, { steps: 7, seeds });
  assert.equal(whole.dataSync(), once.dataSync());
  tf.dispose([weights, seed, half, whole, once]);
});

test('rollouts and gradients hold no tensor and no memory', () => {
  const one: Case = { spec: odd, batch: 2, height: 9, width: 8, steps: 4, shared: false, seed: 3 };
  everything(one, [1, 2]);
  const tensorsBefore = tf.memory().numTensors;
  const held = statistics().held;
  for (let i = 0; i < 3; i++) everything(one, [1, 2]);
  // A rollout whose gradient is never taken gives its states back too.
  const x = tf.scalar(2);
  tf.grad(y => {
    const { weights, state } = tensors(one);
    rollout(odd, weights, state, { steps: 4, seeds: [1, 2] });
    return tf.square(y);
  })(x).dispose();
  x.dispose();
  assert.is(tf.memory().numTensors, tensorsBefore);
  assert.is(statistics().held, held);
});

test('weights that are not finite give states that are not finite', () => {
  for (const spec of specs) {
    for (const bad of [Number.NaN, Number.POSITIVE_INFINITY]) {
      const numbers = someWeights(spec, 2);
      // All of the first NCA: an infinity alone can vanish in a clip or a ReLU.
      numbers.fill(bad, 0, weightCount(spec));
      tf.tidy(() => {
        const weights = tf.tensor2d(numbers, [2, weightCount(spec)]);
        const state = tf.tensor4d(someState(2 * 64 * spec.channels), [2, 8, 8, spec.channels]);
        const run = (w: tf.Tensor, x: tf.Tensor) =>
          rollout(spec, w as tf.Tensor2D, x as tf.Tensor4D, { steps: 3, seeds: [1, 2] });
        const [first, second] = tf.unstack(run(weights, state)).map(one => one.dataSync());
        if (Number.isNaN(bad)) assert.ok(first.some(Number.isNaN));
        assert.ok(second.every(Number.isFinite));
        const [ofWeights] = tf.grads((w, x) => tf.sum(run(w, x)))([weights, state]);
        assert.ok(tf.unstack(ofWeights)[1].dataSync().every(Number.isFinite));
      });
    }
  }
});

test('half of the cells are updated, each step others', () => {
  const bits = (seed: number, step: number) =>
    Array.from({ length: 64 * 64 }, (_, i) => (maskBit(seed, step, i >> 6, i & 63) ? 1 : -1));
  const [a, b, c] = [bits(1, 0), bits(1, 1), bits(2, 0)];
  const shifted = [...a.slice(1), a[0]];
  // Sums of 4096 fair signs: 64 is one standard deviation.
  for (const other of [b, c, shifted]) assert.ok(Math.abs(dot(a, other)) < 300);
  for (const one of [a, b, c]) assert.ok(Math.abs(one.reduce((x: number, y) => x + y, 0)) < 300);
});

test('what does not fit is refused', () => {
  const spec = SPECS.compact;
  const weights = tf.zeros([2, weightCount(spec)]) as tf.Tensor2D;
  const state = seedState(spec, 2, 4, 4);
  const narrow = tf.zeros([2, 4, 4, 3]) as tf.Tensor4D;
  const seeds = [1, 2];
  assert.throws(() => rollout(spec, weights, narrow, { steps: 1, seeds }), /state: expected/);
  assert.throws(() => rollout(SPECS.hypernca, weights, state, { steps: 1, seeds }), /state: expected/);
  const three = tf.zeros([3, weightCount(spec)]) as tf.Tensor2D;
  assert.throws(() => rollout(spec, three, state, { steps: 1, seeds }), /weights: expected/);
  assert.throws(() => rollout(spec, weights, state, { steps: 1.5, seeds }), /steps: expected/);
  assert.throws(() => rollout(spec, weights, state, { steps: 1, seeds: [1] }), /seeds: expected/);
  assert.throws(
    () => rollout(spec, weights, state, { steps: 1, seeds: [1, 2 ** 32] }),
    /seeds: expected whole numbers below/,
  );
  assert.is(maskSeed(7), 7);
  assert.is.not(maskSeed(2 ** 32 + 7), 7);
  assert.is.not(maskSeed(2 ** 32 + 7), maskSeed(2 ** 33 + 7));
  assert.throws(() => rollout(spec, weights, state, { steps: 1, seeds, masks: [1] }), /masks: expected/);
  tf.dispose([weights, state, narrow, three]);
});

test.run();
