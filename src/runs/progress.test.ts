import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { interruption, progressBar } from './progress.ts';

test('a line of progress counts whole units and knows no rate of no time', () => {
  const { error } = console;
  const { now } = Date;
  const lines: string[] = [];
  console.error = (line: string) => {
    lines.push(line);
  };
  let time = 1e6;
  Date.now = () => time;
  const { isTTY } = process.stderr;
  process.stderr.isTTY = false;
  try {
    const bar = progressBar('sampling', 2);
    bar.update(1 / 9);
    time += 1000;
    bar.update(2);
    bar.stop();
  } finally {
    console.error = error;
    Date.now = now;
    process.stderr.isTTY = isTTY;
  }
  assert.equal(lines, ['sampling: 0/2 ?/s ? left', 'sampling: 2/2 2.0/s in 1s']);
});

for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  test(`${name} asks work to stop, and the process lives on to save`, () => {
    const { error } = console;
    console.error = () => {};
    const { signal, release } = interruption();
    try {
      assert.ok(process.emit(name));
      assert.ok(signal.aborted);
    } finally {
      release();
      console.error = error;
    }
    assert.is(process.listenerCount(name), 0);
  });
}

test.run();
