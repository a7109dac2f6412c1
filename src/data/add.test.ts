import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as E from 'fp-ts/lib/Either.js';
import type * as TE from 'fp-ts/lib/TaskEither.js';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { writeTinyZoo } from '../../property-tests/tiny-zoo.ts';
import { describe, type Failure, settle } from '../config/index.ts';
import { writePng } from '../formats/index.ts';
import { SPECS, weightCount } from '../nca/index.ts';
import { randomStream, startBackend } from '../tensor/index.ts';
import { addToZoo, alikeEntries, readZoo, readZooImage, writeWeights, zooWeights } from './index.ts';

await startBackend();
const folder = mkdtempSync(join(tmpdir(), 'weightloom-add-'));
const test = suite('zoo add');
test.after(() => rmSync(folder, { recursive: true }));

const spec = SPECS.compact;
const nca = (seed: number) => ({ spec, flat: randomStream(seed, 'nca').normals(weightCount(spec), 0, 0.02) });
const noise = (seed: number, side: number) => ({
  width: side,
  height: side,
  data: randomStream(seed, 'picture').uniforms(side * side * 3),
});
async function sentence(task: TE.TaskEither<Failure, unknown>): Promise<string> {
  const result = await task();
  return E.isLeft(result) ? describe(result.left) : 'no failure';
}
/** A folder as `nca train` leaves it. */
async function trained(name: string, seed: number, picture = noise(seed, 24)) {
  const path = join(folder, name);
  mkdirSync(path);
  await settle(writeWeights(join(path, 'weights.safetensors'), nca(seed)));
  await settle(writePng(join(path, 'target.png'), picture));
  return path;
}

test('NCAs of nca train and of files join a zoo; what was there stays as it was', async () => {
  const zoo = await writeTinyZoo(join(folder, 'zoo'));
  const before = await settle(readZoo(zoo));
  const bubbles = await trained('bubbles', 1);
  const file = join(folder, 'dots.safetensors');
  await settle(writeWeights(file, nca(2)));
  const added = await settle(addToZoo(zoo, [{ source: bubbles }, { source: file }], { split: 'validation' }));
  assert.equal(
    added.map(({ name, split, like }) => [name, split, like]),
    [
      ['bubbles', 'validation', null],
      ['dots', 'validation', null],
    ],
  );
  const after = await settle(readZoo(zoo));
  assert.equal(after.entries.slice(0, before.entries.length), before.entries);
  assert.equal(after.weights.subarray(0, before.weights.length), before.weights);
  assert.equal(after.base, before.base);
  const last = after.entries.length - 1;
  assert.equal(zooWeights(after, last).flat, nca(2).flat);
  assert.is(after.entries[last].image, null);
  for (let i = 0; i <= last; i++) await settle(readZooImage(after, i, 'rendering'));
  // Cut to the zoo's 16 pixels, not scaled.
  const shown = await settle(readZooImage(after, last - 1, 'image'));
  assert.is(shown.width, 16);
  assert.ok(Math.abs(shown.data[0] - noise(1, 24).data[3 * (24 * 4 + 4)]) < 0.5 / 255 + 1e-6);
});

test('copies and recolours join the group and side of what they are like', async () => {
  const zoo = join(folder, 'fresh');
  const one = await trained('one', 10, noise(10, 64));
  const data = noise(10, 64).data.map(x => 0.9 - 0.8 * x);
  const recoloured = await trained('other', 11, { width: 64, height: 64, data });
  await settle(addToZoo(zoo, [{ source: one }], { split: 'held-out' }));
  const [added] = await settle(addToZoo(zoo, [{ source: recoloured }]));
  assert.equal([added.split, added.like], ['held-out', 'one']);
  const third = await trained('third', 12, noise(12, 64));
  const [copy] = await settle(addToZoo(zoo, [{ source: third, name: 'one' }]));
  assert.equal([copy.name, copy.split, copy.like], ['one~2', 'held-out', 'one']);
  const { entries } = await settle(readZoo(zoo));
  assert.equal(
    entries.map(({ group }) => group),
    ['one', 'one', 'one'],
  );
  assert.equal(await settle(alikeEntries(await settle(readZoo(zoo)))), [[0, 1]]);
});

test('what does not fit is refused and nothing changes', async () => {
  const zoo = await writeTinyZoo(join(folder, 'strict'));
  const before = await settle(readZoo(zoo));
  const wide = join(folder, 'wide.safetensors');
  const flat = new Float32Array(weightCount(SPECS.hypernca));
  await settle(writeWeights(wide, { spec: SPECS.hypernca, flat }));
  assert.match(
    await sentence(addToZoo(zoo, [{ source: wide }])),
    "expected weights of the zoo's spec compact",
  );
  const good = join(folder, 'good.safetensors');
  await settle(writeWeights(good, nca(20)));
  assert.match(
    await sentence(addToZoo(zoo, [{ source: good }, { source: good }])),
    'expected an NCA that is not in',
  );
  assert.match(await sentence(addToZoo(zoo, [{ source: join(folder, 'none.pt') }])), 'found nothing there');
  writeFileSync(join(folder, 'text.png'), 'text');
  assert.match(
    await sentence(addToZoo(zoo, [{ source: good, image: join(folder, 'text.png') }])),
    'text.png: expected an image',
  );
  assert.equal((await settle(readZoo(zoo))).entries, before.entries);
  assert.is(existsSync(join(folder, '.strict.build.lock')), false);
});

test.run();
