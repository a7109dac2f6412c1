import { existsSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { UserError } from '../config/index.ts';
import { createRunFolder } from './run-folder.ts';

const scratch = mkdtempSync(join(tmpdir(), 'weightloom-run-'));

/** The sentence an operation is refused with. */
async function refusal(work: () => Promise<unknown>): Promise<string> {
  try {
    await work();
  } catch (error) {
    assert.instance(error, UserError);
    return (error as Error).message;
  }
  throw new Error('nothing was refused');
}

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

test('a place where no folder can be made is named', async () => {
  writeFileSync(join(scratch, 'file'), '');
  const folder = join(scratch, 'file', 'run');
  assert.match(await refusal(() => createRunFolder('x', {}, { folder })), new RegExp(join(scratch, 'file')));
});

test.run();
