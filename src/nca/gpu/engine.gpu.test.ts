// Runs with `npm run test:gpu`: on a card, or on software Vulkan.
import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { deviation } from '../../../property-tests/golden.ts';
import { watchPrograms } from '../../../property-tests/gpu-programs.ts';
import { startGpu } from '../../compute/index.ts';
import { randomStream } from '../../tensor/index.ts';
import {
  CpuEngine,
  GpuEngine,
  maskBit,
  type NcaSpec,
  type NcaTask,
  plainRollout,
  SPECS,
  seedsFor,
  weightCount,
} from '../index.ts';

const gpu = await startGpu();
const unused = watchPrograms(gpu);
const engine = new GpuEngine(gpu);
const cpu = new CpuEngine();
const bytes = (numbers: Float32Array) => Buffer.from(numbers.buffer, numbers.byteOffset, numbers.byteLength);

/** Numbers that fit no vector, with every clip. */
const odd: NcaSpec = {
  name: 'odd',
  channels: 5,
  hidden: 11,
  filterScale: 0.25,
  outputBias: true,
  clip: { perception: 0.7, hidden: 0.5, update: 0.1, state: 0.8 },
  rgb: { scale: 2, offset: 0.25 },
};
const specs: NcaSpec[] = [...Object.values(SPECS), odd];

const cases = fc.record({
  spec: fc.constantFrom(...specs),
  batch: fc.integer({ min: 1, max: 4 }),
  height: fc.integer({ min: 1, max: 20 }),
  width: fc.integer({ min: 1, max: 37 }),
  steps: fc.integer({ min: 0, max: 5 }),
  shared: fc.boolean(),
  seed: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
  memory: fc.constantFrom(undefined, 0),
});
type Case = typeof cases extends fc.Arbitrary<infer A> ? A : never;

function taskOf({ spec, batch, height, width, steps, shared, seed, memory }: Case): NcaTask {
  const rows = shared ? 1 : batch;
  return {
    ...{ spec, batch, height, width, steps, memory, differentiable: true, firstStep: 3 },
    seeds: seedsFor(seed, batch),
    // Weights that make hidden units and every clip do something.
    weights: randomStream(seed, 'weights').normals(rows * weightCount(spec), 0, 0.15),
    state: randomStream(seed, 'state').normals(batch * height * width * spec.channels, 0, 0.5),
  };
}

test('values are those of the plain version, masks bit for bit', async () => {
  await fc.assert(
    fc.asyncProperty(cases, async one => {
      const { spec, batch, height, width, steps, shared } = one;
      const task = taskOf(one);
      const run = await engine.run(task);
      run.dispose();
      const size = height * width * spec.channels;
      const count = weightCount(spec);
      for (let b = 0; b < batch; b++) {
        const weights = shared ? task.weights : task.weights.subarray(b * count, (b + 1) * count);
        const expected = plainRollout(
          spec,
          weights,
          Float64Array.from(task.state.subarray(b * size, (b + 1) * size)),
          { height, width },
          steps,
          (step, y, x) => maskBit(task.seeds[b], 3 + step, y, x),
        );
        // Sums of some hundred products in float32 over 5 steps that amplify little; a wrong mask bit would be off by 0.1.
        assert.ok(deviation(run.last.subarray(b * size, (b + 1) * size), expected) < 1e-5);
      }
    }),
    { numRuns: 40 },
  );
});

test('gradients are those of the processor, and come out the same bit for bit', async () => {
  await fc.assert(
    fc.asyncProperty(cases, async one => {
      const task = taskOf(one);
      const direction = randomStream(one.seed, 'direction').normals(task.state.length);
      const held = gpu.statistics().held;
      const results = [];
      for (const each of [engine, engine, cpu]) {
        const run = await each.run(task);
        results.push(await run.backward(direction));
        run.dispose();
      }
      const [first, second, expected] = results;
      for (const part of ['weights', 'state'] as const) {
        assert.is(Buffer.compare(bytes(first[part]), bytes(second[part])), 0);
        // Float32 sums give 1e-6; hidden units and clips that switch between two orders of a sum give the rest, seldom.
        assert.ok(deviation(first[part], expected[part]) < 1e-4, part);
      }
      // The sizes of a torus stay on the device: 256 bytes for each.
      assert.ok(gpu.statistics().held <= held + 256);
    }),
    { numRuns: 40 },
  );
});

test('given masks are followed', async () => {
  const one: Case = {
    spec: odd,
    batch: 2,
    height: 5,
    width: 33,
    steps: 3,
    shared: true,
    seed: 4,
    memory: undefined,
  };
  const masks = Array.from(randomStream(1, 'masks').uniforms(3 * 2 * 5 * 33), x => (x < 0.5 ? 0 : 1));
  const [found, expected] = await Promise.all([engine, cpu].map(each => each.run({ ...taskOf(one), masks })));
  assert.ok(deviation(found.last, expected.last) < 1e-5);
  found.dispose();
  expected.dispose();
});

test('weights that are not finite give states that are not finite, in their own sample alone', async () => {
  for (const spec of specs) {
    for (const bad of [Number.NaN, Number.POSITIVE_INFINITY]) {
      const one: Case = {
        spec,
        batch: 2,
        height: 8,
        width: 8,
        steps: 3,
        shared: false,
        seed: 2,
        memory: undefined,
      };
      const task = taskOf(one);
      task.weights.fill(bad, 0, weightCount(spec));
      const run = await engine.run(task);
      const half = run.last.length / 2;
      const onCpu = await cpu.run(task);
      const lost = (numbers: Float32Array) => numbers.subarray(0, half).some(Number.isNaN);
      assert.is(lost(run.last), lost(onCpu.last), `${spec.name} ${bad}`);
      assert.ok(run.last.subarray(half).every(Number.isFinite));
      const { weights } = await run.backward(new Float32Array(run.last.length).fill(1));
      assert.ok(weights.subarray(weightCount(spec)).every(Number.isFinite));
      run.dispose();
      onCpu.dispose();
    }
  }
});

test('an NCA too large for a workgroup is refused in a sentence', async () => {
  const spec = { ...odd, channels: 900, hidden: 8 };
  const one: Case = {
    spec,
    batch: 1,
    height: 2,
    width: 2,
    steps: 1,
    shared: true,
    seed: 1,
    memory: undefined,
  };
  try {
    await engine.run(taskOf(one));
    assert.unreachable();
  } catch (error) {
    assert.match((error as Error).message, /an NCA of 900 channels and 8 hidden units .* is too large/);
  }
});

test('every program of the engine was run by the tests above', () => assert.equal(unused(), []));

// Dawn's own threads would keep the process.
test.run();
