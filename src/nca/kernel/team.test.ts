import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { allocate, f32, release, setThreadCount, threadCount } from '../../compute/index.ts';
import { randomStream, startBackend } from '../../tensor/index.ts';
import { SPECS, seedsFor, weightCount } from '../index.ts';
import {
  keptHiddenLength,
  keptStates,
  type RolloutRequest,
  rollBackward,
  rollForward,
  stateLength,
} from './index.ts';

await startBackend();

/** Last state and gradients of one request, straight from the kernels. */
function compute(request: RolloutRequest): Float32Array[] {
  const { spec, shared, batch } = request;
  const blocks: number[] = [];
  const hold = (length: number, numbers?: Float32Array) => {
    const address = allocate(4 * Math.max(length, 1));
    blocks.push(address);
    if (numbers) f32(address, length).set(numbers);
    return address;
  };
  const length = stateLength(request);
  const weights = (shared ? 1 : batch) * weightCount(spec);
  const flat = hold(weights, randomStream(1, 'weights').normals(weights, 0, 0.15));
  const first = hold(length, randomStream(1, 'state').normals(length, 0, 0.5));
  const lastGradient = hold(length, randomStream(1, 'gradient').normals(length));
  const [last, flatGradient, firstGradient] = [length, weights, length].map(size => hold(size));
  const kept = {
    states: hold(keptStates(request) * length),
    hidden: request.keepHidden ? hold(keptHiddenLength(request)) : 0,
  };
  rollForward(request, flat, first, last, kept);
  rollBackward(request, flat, first, kept, lastGradient, flatGradient, firstGradient);
  const results = [f32(last, length), f32(flatGradient, weights), f32(firstGradient, length)];
  const copies = results.map(numbers => numbers.slice());
  blocks.forEach(release);
  return copies;
}

test('threads that share the bands of few samples get the bits that one thread gets', () => {
  const threads = threadCount();
  const spec = SPECS.hypernca;
  // Pictures of 16, 5 and 1 bands; three samples are more than two threads and fewer than five.
  for (const [height, width, batch, steps, keepEvery] of [
    [64, 64, 1, 7, 1],
    [64, 64, 3, 4, 1],
    [40, 37, 1, 9, 4],
    [8, 8, 1, 5, 1],
  ] as const) {
    const seeds = seedsFor(3, batch);
    const common = { spec, height, width, batch, steps, keepEvery, seeds, firstStep: 0 };
    const request = { ...common, shared: batch === 1, keepHidden: keepEvery === 1 };
    setThreadCount(1);
    const expected = compute(request);
    for (const count of [2, 3, 5]) {
      setThreadCount(count);
      for (let round = 0; round < 3; round++) assert.equal(compute(request), expected);
    }
  }
  setThreadCount(threads);
});

test.run();
