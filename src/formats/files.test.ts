import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { refusal, sentence } from '../../property-tests/refusal.ts';
import { settle } from '../config/index.ts';
import {
  inside,
  readJson,
  readNpy,
  readSafetensors,
  writeAtomically,
  writeAtomicallyNow,
  writeFolderAtomically,
} from './index.ts';

const folder = mkdtempSync(join(tmpdir(), 'weightloom-files-'));
const file = (name: string) => join(folder, name);
const test = suite('files');
test.after(() => rmSync(folder, { recursive: true }));

test('json: deep nesting, too many values and other files than regular ones are refused', async () => {
  const says = async (text: string, expected: string) => {
    writeFileSync(file('x.json'), text);
    assert.match(await sentence(readJson(file('x.json'))), expected);
  };
  await says('['.repeat(1_000_000), 'found deeper nesting');
  await says(`[${'[],'.repeat(3_000_000)}[]]`, 'expected JSON of at most 1000000 values');
  await says('{"a": "[[[[\\"[[[", "b": [1, ]}', 'expected JSON, found text that is not');
  writeFileSync(file('x.json'), JSON.stringify({ text: `${'['.repeat(1000)}"\\`, list: [1, { a: null }] }));
  assert.is(await sentence(readJson(file('x.json'))), 'no failure');
  assert.match(await sentence(readJson('/dev/zero')), 'expected a file, found a device or pipe');
  assert.match(await sentence(readNpy('/dev/zero')), 'expected a file, found a device or pipe');
  assert.match(await sentence(readSafetensors('/dev/zero')), 'expected a file, found a device or pipe');
});

test('a failed write leaves the old file and no traces', async () => {
  const path = file('kept.txt');
  await settle(writeAtomically(path, 'old'));
  const before = readdirSync(folder).length;
  const task = writeAtomically(path, async out => {
    await out.write('half');
    throw new Error('a bug');
  });
  await task().then(
    () => assert.unreachable(),
    error => assert.is(error.message, 'a bug'),
  );
  assert.is(readFileSync(path, 'utf8'), 'old');
  assert.is(readdirSync(folder).length, before);
});

test('what cannot be written is one sentence', async () => {
  writeFileSync(file('plain'), '');
  for (const path of [join(file('plain'), 'x.png'), join(file('plain'), 'deeper', 'x.png')]) {
    assert.match(
      await sentence(writeAtomically(path, '')),
      /plain.(x\.png|deeper): expected a folder, found a file/,
    );
  }
  assert.match(await sentence(writeAtomically('/proc/none/x', '')), /expected .*, found/);
  // Renaming would do it, and for root even where it harms.
  for (const write of [
    (path: string) => sentence(writeAtomically(path, '')),
    (path: string) => refusal(async () => writeAtomicallyNow(path, '')),
  ]) {
    assert.match(
      await write('/dev/null'),
      '/dev/null: expected a file or a free name, found a device or pipe.',
    );
    assert.match(await write(folder), 'expected a file or a free name, found a folder.');
  }
});

test('a folder appears whole or not at all', async () => {
  const target = file('tree');
  const write = (text: string) => async (temporary: string) => writeFileSync(join(temporary, 'a'), text);
  const failing = writeFolderAtomically(target, async temporary => {
    await write('half')(temporary);
    throw new Error('a bug');
  });
  const before = readdirSync(folder);
  await failing().then(
    () => assert.unreachable(),
    error => assert.is(error.message, 'a bug'),
  );
  assert.equal(readdirSync(folder), before);
  await settle(writeFolderAtomically(target, write('one')));
  assert.match(await sentence(writeFolderAtomically(target, write('two'))), 'expected a new folder');
  assert.is(readFileSync(join(target, 'a'), 'utf8'), 'one');
  await settle(writeFolderAtomically(target, write('two'), { replace: () => true }));
  assert.is(readFileSync(join(target, 'a'), 'utf8'), 'two');
  assert.equal(readdirSync(folder).sort(), [...before, 'tree'].sort());
});

test('a path from a file never leaves its folder', () => {
  assert.is(inside('/zoo', 'images/a.png', 'zoo.json', 'image'), '/zoo/images/a.png');
  for (const name of ['../a', '/etc/passwd', 'a/../../b', '', '.', 'a\0b', '..']) {
    assert.throws(
      () => inside('/zoo', name, 'zoo.json', 'image'),
      'zoo.json: image: expected a path inside the folder',
    );
  }
});

test.run();
