/** A zoo built by several processes, as a user asks for it. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { parse } from 'yaml';
import { decode, LAUNCHER, orThrow, settle } from '../config/index.ts';
import { buildZoo, readZoo, ZooBuildCodec } from '../data/index.ts';
import { startBackend } from '../tensor/index.ts';

const test = suite('launchers');
const root = mkdtempSync(join(tmpdir(), 'weightloom-launching-'));
test.after(() => rmSync(root, { recursive: true }));

const training =
  'iterations: 4, size: 12, pool: 4, batch: 2, seedEvery: 4, steps: [2, 4], overflow: 10, learningRate: 0.002, milestones: [400], decay: 0.5, loss: { scales: 1, patch: 5, projections: 8, factor: 100 }';
const config = join(root, 'zoo.yaml');
writeFileSync(
  config,
  `spec: compact
out: ${join(root, 'zoo')}
seed: 1
textures: [{ family: stripes, train: 2, heldOut: 1 }]
picture: { kept: 12, target: 12 }
base: { textures: [{ family: clouds, count: 1 }], training: { ${training} } }
training: { ${training} }
together: 1
rendering: { steps: 4, seed: 1 }
`,
);

const build = (name: string, ...words: string[]) =>
  spawnSync(
    process.execPath,
    [
      LAUNCHER,
      'zoo',
      'build',
      config,
      '--out',
      join(root, name),
      '--work',
      join(root, `work-${name}`),
      ...words,
    ],
    { encoding: 'utf8' },
  );

test('two processes build the zoo that one does, number by number', async () => {
  const two = build('two', '--jobs', '2');
  assert.is(two.status, 0, two.stderr);
  await startBackend();
  const read = orThrow(decode(ZooBuildCodec, parse(readFileSync(config, 'utf8')), config));
  await settle(buildZoo({ ...read, out: join(root, 'one') }, { work: join(root, 'work-one') }));
  assert.match(two.stderr, 'finished part-2-of-2');
  const [a, b] = [await settle(readZoo(join(root, 'two'))), await settle(readZoo(join(root, 'one')))];
  assert.is(a.entries.length, 3);
  assert.equal(a.weights, b.weights);
  assert.equal(a.base, b.base);
});

test('a part ends well when its share is done, though the zoo is not', () => {
  const part = build('parts', '--part', '2/3', '--only', 'part');
  assert.is(part.status, 0, part.stderr);
  assert.match(part.stderr, 'stopped with 1 of 3 NCAs trained');
});

test.run();
