import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
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

test('a full address space is put together again, and only then is it out of memory', () => {
  // Nothing is touched, so these gigabytes are addresses only.
  const gib = 2 ** 30;
  const room = statistics().limit - statistics().reserved;
  const before = statistics().held;
  const blocks: number[] = [];
  while ((blocks.length + 1) * (gib / 4) <= room) blocks.push(allocate(gib / 4));
  const count = blocks.length;
  for (const block of blocks.splice(0, 4)) release(block);
  const joined = allocate(gib);
  assert.throws(() => allocate(gib), /out of memory: asked for 1024.0 MiB, .* MiB held/);
  release(joined);
  const quarters = Array.from({ length: 4 }, () => allocate(gib / 4));
  assert.is(new Set([...quarters, ...blocks]).size, count);
  for (const block of [...quarters, ...blocks]) release(block);
  assert.is(statistics().held, before);
});

test('a smaller team is obeyed by workers that are already there', () => {
  const length = 64;
  const seen = allocate(length * 4);
  for (const threads of [3, 1, 2]) {
    setThreadCount(threads);
    for (let round = 0; round < 50; round++) {
      parallel(kernel('whichThread'), length, seen);
      assert.ok(f32(seen, length).every(thread => thread < threads));
    }
  }
  release(seen);
  setThreadCount(2);
});

test('workers do not keep a process alive', () => {
  const script = `import { allocate, kernel, parallel, setThreadCount } from './src/compute/index.ts';
setThreadCount(3); const x = allocate(400); parallel(kernel('fill'), 10, x, 100, 10, 1);`;
  const { status, stderr } = spawnSync(
    process.execPath,
    ['--import', 'tsx', '--input-type=module', '-e', script],
    {
      cwd: fileURLToPath(new URL('../../', import.meta.url)),
      timeout: 60_000,
      encoding: 'utf8',
    },
  );
  assert.is(status, 0, stderr);
});

test.run();
