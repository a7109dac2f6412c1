import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { allocate, f32, kernel, parallel, release, setThreadCount, statistics } from './index.ts';

test('a kernel runs every band once, whatever the number of threads', () => {
  const length = 100_003;
  for (const threads of [1, 2, 3]) {
    setThreadCount(threads);
    for (let round = 0; round < 200; round++) {
      const address = allocate(length * 4);
      parallel(kernel('fill'), 26, address, length, 4000, round + 0.5);
      assert.ok(f32(address, length).every(x => x === round + 0.5));
      release(address);
    }
  }
});

test('released blocks are handed out again', () => {
  const before = statistics();
  const first = allocate(1000);
  release(first);
  assert.is(allocate(1000), first);
  release(first);
  assert.equal(statistics().held, before.held);
  assert.throws(() => release(first), /not a held block/);
});

test.run();
