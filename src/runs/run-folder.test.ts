import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { refusal } from '../../property-tests/refusal.ts';
import { createRunFolder, lockRun, type RunFolder } from './run-folder.ts';

/** As names of temporary files have it. */
const MACHINE = createHash('sha256').update(hostname()).digest('hex').slice(0, 6);
const scratch = mkdtempSync(join(tmpdir(), 'weightloom-run-'));

test('a run folder holds its configuration and its environment, and is not used twice', async () => {
  const folder = join(scratch, 'a', 'b');
  const run = await createRunFolder('x', { seed: 3 }, { folder, command: 'weightloom run x' });
  assert.is(readFileSync(run.file('config.yaml'), 'utf8'), 'seed: 3\n');
  assert.is(JSON.parse(readFileSync(run.file('environment.json'), 'utf8')).command, 'weightloom run x');
  assert.match(await refusal(() => createRunFolder('x', {}, { folder })), /already holds a run/);
});

test('only a run that left nothing is removed', async () => {
  const run = await createRunFolder('x', {}, { folder: join(scratch, 'used') });
  run.log({ step: 1 });
  run.removeIfUnused();
  assert.is(readFileSync(run.file('metrics.jsonl'), 'utf8'), '{"step":1}\n');
  const other = await createRunFolder('x', {}, { folder: join(scratch, 'unused') });
  other.removeIfUnused();
  assert.not(existsSync(other.path));
});

test('a part that is finished is not done again by a resumed run, and its metrics are logged again', async () => {
  const folder = join(scratch, 'parts');
  const config = { seed: 0, rate: Number.POSITIVE_INFINITY };
  let works = 0;
  const part = (run: RunFolder, key: unknown) =>
    run.once(key, async () => {
      run.log({ works: ++works });
      return { weights: Float32Array.of(works, 0.5), none: undefined, curve: [{ loss: Number.NaN }] };
    });
  const key = { weights: Float32Array.of(1, 2), steps: [1] };
  const run = await createRunFolder('x', config, { folder });
  run.log({ stray: true });
  const first = await part(run, key);
  const broken = run.once('broken', async () => {
    throw new Error('no luck');
  });
  assert.match(await broken.catch(String), 'no luck');
  await run.leave();

  const again = await createRunFolder('x', config, { folder, resume: true });
  assert.is(again.finishedParts, 1);
  assert.equal(await part(again, { weights: Float32Array.of(1, 2), steps: [1] }), first);
  assert.is(works, 1);
  // Another number in the key is another part.
  assert.equal((await part(again, { ...key, weights: Float32Array.of(1, 3) })).weights[0], 2);
  // What was logged outside of finished parts is logged by who does that again.
  assert.is(readFileSync(again.file('metrics.jsonl'), 'utf8'), '{"works":1}\n{"works":2}\n');
  again.finish();
  await again.leave();
  assert.equal(readdirSync(folder).sort(), ['config.yaml', 'environment.json', 'metrics.jsonl']);
});

test('a damaged part is named and set aside, and its work is done again', async () => {
  const folder = join(scratch, 'damaged');
  const run = await createRunFolder('x', {}, { folder });
  let works = 0;
  const part = (of: RunFolder) =>
    of.once('part', async () => ({ weights: Float64Array.of(0.1), works: ++works }));
  await part(run);
  const [name] = readdirSync(run.file('parts'));
  const path = join(run.file('parts'), name);
  const content = readFileSync(path);
  writeFileSync(path, content.subarray(0, content.length - 3));
  await run.leave();
  const again = await createRunFolder('x', {}, { folder, resume: true });
  const { error } = console;
  let said = '';
  console.error = (line: string) => {
    said += line;
  };
  try {
    assert.equal(await part(again), { weights: Float64Array.of(0.1), works: 2 });
  } finally {
    console.error = error;
  }
  assert.match(said, path);
  assert.match(said, 'set aside');
  assert.equal(readdirSync(run.file('parts')).sort(), [name, `${name}.damaged`].sort());
  assert.is((await part(again)).works, 2);
});

test('only the unfinished run of the same configuration is resumed', async () => {
  const folder = join(scratch, 'other');
  assert.match(
    await refusal(() => createRunFolder('x', {}, { folder, resume: true })),
    /expected a run folder/,
  );
  await createRunFolder('x', { seed: 0 }, { folder });
  assert.match(
    await refusal(() => createRunFolder('x', { seed: 1 }, { folder, resume: true })),
    /config\.yaml: expected the configuration the run is resumed with, found another one/,
  );
});

test('a folder is worked in by one process at a time', async () => {
  const folder = join(scratch, 'locked');
  const run = await createRunFolder('x', {}, { folder });
  const refused = new RegExp(`expected the run ${folder} free, found process ${process.pid} at work on it`);
  assert.match(await refusal(() => createRunFolder('x', {}, { folder, resume: true })), refused);
  assert.match(await refusal(() => lockRun(folder)), refused);
  await run.leave();
  assert.equal(readdirSync(folder).sort(), ['config.yaml', 'environment.json']);
  // A number no process has: its lock is taken over, and what it was writing is removed; what a living one writes stays.
  const mark = { host: hostname(), pid: 2 ** 30, started: null };
  writeFileSync(join(folder, 'run.lock'), JSON.stringify(mark));
  const temporary = (pid: number) => join(folder, `.config.yaml.${MACHINE}-${pid}.abc.0.tmp`);
  for (const pid of [mark.pid, process.ppid]) writeFileSync(temporary(pid), '');
  const again = await createRunFolder('x', {}, { folder, resume: true });
  assert.not(existsSync(temporary(mark.pid)));
  assert.ok(existsSync(temporary(process.ppid)));
  await again.leave();
  assert.not(existsSync(join(folder, 'run.lock')));
});

test('of many that begin at once, one has the folder and the others are refused', async () => {
  const folder = join(scratch, 'race');
  const outcomes = await Promise.allSettled(
    Array.from({ length: 8 }, () => createRunFolder('x', {}, { folder })),
  );
  assert.is(outcomes.filter(({ status }) => status === 'fulfilled').length, 1);
  assert.equal(readdirSync(folder).sort(), ['config.yaml', 'environment.json', 'run.lock']);
});

test('a run whose folder was removed says so, whatever it writes next, and makes no other', async () => {
  const folder = join(scratch, 'removed');
  const writes: ((run: RunFolder) => unknown)[] = [
    run => run.log({ step: 1 }),
    run => run.write('results.json', '{}'),
    run => run.once('part', async () => 1),
  ];
  for (const write of writes) {
    const run = await createRunFolder('x', {}, { folder });
    rmSync(folder, { recursive: true });
    assert.is(
      await refusal(async () => write(run)),
      `${folder}: expected the folder of this run, found nothing there: it was removed.`,
    );
    run.removeIfUnused();
    await run.leave();
    assert.not(existsSync(folder));
  }
});

test('a place where no folder can be made is named', async () => {
  writeFileSync(join(scratch, 'file'), '');
  const folder = join(scratch, 'file', 'run');
  assert.match(await refusal(() => createRunFolder('x', {}, { folder })), new RegExp(join(scratch, 'file')));
});

test.run();
