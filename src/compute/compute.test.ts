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

test('no number of bytes that is none is allocated, and nothing is harmed', () => {
  const before = statistics();
  for (const bytes of [Number.NaN, Number.POSITIVE_INFINITY, -1, -1e9, 2 ** 60, undefined as never]) {
    assert.throws(() => allocate(bytes), /not a number of bytes/);
  }
  assert.equal(statistics(), before);
  const address = allocate(100);
  assert.is(address % 64, 0);
  release(address);
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

/** Runs a script in the project's folder, in a process of its own. */
const runScript = (script: string) =>
  spawnSync(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', script], {
    cwd: fileURLToPath(new URL('../../', import.meta.url)),
    timeout: 60_000,
    encoding: 'utf8',
  });

/** A pool whose workers run `body` instead: it sees control (the control block), team (its functions) and thread. */
const withWorkers = (body: string, main: string) => `
import threads from 'node:worker_threads';
import { syncBuiltinESMExports } from 'node:module';
const team = new URL('src/compute/team.mjs', 'file://' + process.cwd() + '/').href;
const source = \`
  import { workerData } from 'node:worker_threads';
  import { readlinkSync } from 'node:fs';
  const team = await import('\${team}');
  const { memory, thread } = workerData;
  const control = new Int32Array(memory.buffer, team.CONTROL, team.SLOTS);
  ${body}\`;
const { Worker } = threads;
threads.Worker = class extends Worker {
  constructor(_, options) {
    super(new URL('data:text/javascript,' + encodeURIComponent(source)), options);
  }
};
syncBuiltinESMExports();
const { allocate, kernel, parallel, setThreadCount } = await import('./src/compute/index.ts');
setThreadCount(2);
const x = allocate(4_000_000);
const run = () => parallel(kernel('fill'), 1000, x, 1_000_000, 1000, 1);
${main}`;

test('a worker that dies with its work undone ends the call, and the pool with it', () => {
  const dying = `
    control[team.SYSTEM_THREADS + thread] = Number(readlinkSync('/proc/thread-self').split('/').at(-1));
    for (;;) {
      const word = Atomics.load(control, team.REMAINING);
      if (team.hasWork(word, thread) && Atomics.compareExchange(control, team.REMAINING, word, word - 1) === word) process.exit();
    }`;
  const main = `
    for (let i = 0; i < 1e6; i++) try { run(); } catch (error) {
      console.log(error.name, error.message);
      try { run(); } catch (again) { console.log(again.message === error.message); }
      process.exit(0);
    }`;
  const { status, stdout, stderr } = runScript(withWorkers(dying, main));
  assert.is(status, 0, stderr);
  assert.match(
    stdout,
    'UserError a thread of the kernels ended (it is no longer there); start again, with fewer of them (WEIGHTLOOM_THREADS)\ntrue',
  );
});

/** The pool's own workers, on a system that gives no thread a number, which do `die` when they have claimed a band. */
const claimingWorkers = (die: string, main: string) =>
  withWorkers(
    `
    const fs = await import('node:fs');
    const { syncBuiltinESMExports } = await import('node:module');
    fs.default.readlinkSync = () => { throw new Error('no such thing here'); };
    syncBuiltinESMExports();
    const exchange = Atomics.compareExchange;
    Atomics.compareExchange = (...given) => {
      const found = exchange(...given);
      if (found === given[2]) ${die};
      return found;
    };
    await import(new URL('worker.mjs', '\${team}'));`,
    main,
  );
const untilLost = `
    for (let i = 0; i < 1e6; i++) try { run(); } catch (error) {
      console.log(error.message);
      process.exit(0);
    }`;

test('a worker that ends by an error or an exit says so on any system', () => {
  for (const die of ['process.exit(3)', `throw new Error('x')`]) {
    const { status, stdout, stderr } = runScript(claimingWorkers(die, untilLost));
    assert.is(status, 0, stderr);
    assert.match(stdout, 'a thread of the kernels ended (it has ended); start again');
  }
});

test('a worker that never answers again ends the call, after a bounded wait', () => {
  // Seconds pass at once for the main thread.
  const main = `Atomics.wait = () => 'timed-out';\n${untilLost}`;
  const asleep = 'for (;;) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)';
  const { status, stdout, stderr } = runScript(claimingWorkers(asleep, main));
  assert.is(status, 0, stderr);
  assert.match(stdout, 'a thread of the kernels ended (it has not answered for 600 seconds)');
});

test('a worker that cannot start is told of at the next call, and nobody waits for it', () => {
  const main = `
    run();
    await new Promise(done => setTimeout(done, 1500));
    try { run(); } catch (error) { console.log(error.name, error.message); }`;
  const { status, stdout, stderr } = runScript(withWorkers(`throw new Error('no memory');`, main));
  assert.is(status, 0, stderr);
  assert.match(stdout, 'UserError a thread of the kernels ended (no memory)');
});

test('workers do not keep a process alive', () => {
  const script = `import { allocate, kernel, parallel, setThreadCount } from './src/compute/index.ts';
setThreadCount(3); const x = allocate(400); parallel(kernel('fill'), 10, x, 100, 10, 1);`;
  const { status, stderr } = runScript(script);
  assert.is(status, 0, stderr);
});

test.run();
