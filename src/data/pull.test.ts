import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { sentence } from '../../property-tests/refusal.ts';
import { type StandInFile, StandInHub } from '../../property-tests/stand-in-hub.ts';
import { writeTinyZoo } from '../../property-tests/tiny-zoo.ts';
import { settle } from '../config/index.ts';
import { writeSafetensors } from '../formats/index.ts';
import { pullRun, pullZoo, readZoo } from './index.ts';

const hub = new StandInHub();
const folder = mkdtempSync(join(tmpdir(), 'weightloom-pull-'));
const test = suite('pull');
const files = new Map<string, StandInFile>();
test.before(async () => {
  await hub.start();
  const zoo = await writeTinyZoo(join(folder, 'zoo'), { train: 3, heldOut: 1 });
  for (const name of readdirSync(zoo, { recursive: true }).map(String)) {
    const path = join(zoo, name);
    if (!statSync(path).isFile()) continue;
    files.set(`zoos/tiny/${relative(zoo, path)}`, {
      bytes: readFileSync(path),
      lfs: name.endsWith('.safetensors'),
    });
  }
  // What a repository has besides is left there.
  files.set('zoos/tiny/README.md', { bytes: Buffer.from('# tiny') });
  files.set('zoos/tiny/train.py', { bytes: Buffer.from('import os') });
  hub.repos.set('me/zoo', { commits: { main: 'a'.repeat(40) }, files });
});
test.after(() => {
  hub.stop();
  rmSync(folder, { recursive: true });
});

const options = (source: string, target: string) => ({
  source,
  target: join(folder, target),
  hubUrl: hub.url,
  pause: async () => {},
});

test('a zoo comes as it was written, and nothing else of its repository', async () => {
  const wanted = options('hf://me/zoo/zoos/tiny', 'pulled');
  const { files: count } = await settle(pullZoo(wanted));
  assert.is(count, files.size - 2);
  const [mine, theirs] = [await settle(readZoo(wanted.target)), await settle(readZoo(join(folder, 'zoo')))];
  assert.equal({ ...mine, folder: '' }, { ...theirs, folder: '' });
  assert.equal(
    readdirSync(wanted.target, { recursive: true }).sort(),
    readdirSync(join(folder, 'zoo'), { recursive: true }).sort(),
  );
});

test('weights that are not those of the manifest are refused, whatever hash the hub states', async () => {
  const other = new Map(files);
  const changed = Buffer.from(files.get('zoos/tiny/weights.safetensors')!.bytes);
  changed[changed.length - 1] ^= 1;
  other.set('zoos/tiny/weights.safetensors', { bytes: changed, lfs: true });
  hub.repos.set('me/other', { commits: { main: 'a'.repeat(40) }, files: other });
  const wanted = options('hf://me/other/zoos/tiny', 'other');
  assert.match(
    await sentence(pullZoo(wanted)),
    'expected the file that zoo.json was written for, found another one',
  );
  assert.match(
    await sentence(pullZoo(options('hf://me/zoo', 'none'))),
    'expected a zoo (a folder with zoo.json)',
  );
});

test('a trained model comes with its data and pictures, without programs', async () => {
  const path = join(folder, 'model.safetensors');
  await settle(writeSafetensors(path, { w: { shape: [1], data: new Float32Array(1) } }));
  const run = new Map<string, StandInFile>([
    ['model.safetensors', { bytes: readFileSync(path), lfs: true }],
    ['config.yaml', { bytes: Buffer.from('seed: 0') }],
    ['my-denoiser.ts', { bytes: Buffer.from('throw 1') }],
    ['.gitattributes', { bytes: Buffer.from('*') }],
  ]);
  hub.repos.set('me/model', { commits: { main: 'a'.repeat(40) }, files: run });
  const wanted = options('hf://me/model', 'model');
  await settle(pullRun(wanted));
  assert.equal(readdirSync(wanted.target).sort(), ['config.yaml', 'model.safetensors']);
  assert.match(await sentence(pullRun(options('hf://me/zoo', 'no-model'))), 'expected a trained model');
});

test.run();
