/** The disk is full at some point of a build, or of an addition: one sentence, nothing half-written, nothing lost. */
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { syncNothing, watchCalls } from '../../../property-tests/power-cut/watched-calls.ts';
import { describe, settle, UserError } from '../../config/index.ts';
import { SPECS, weightCount } from '../../nca/index.ts';
import { randomStream, startBackend, tf } from '../../tensor/index.ts';
import { addToZoo } from '../add.ts';
import { renderNcas } from '../render.ts';
import { writeWeights } from '../weights.ts';
import { readZoo, readZooImage, zooWeights } from '../zoo.ts';
import { buildZoo, type ZooBuildConfig } from './index.ts';

const test = suite('a full disk');
const scratch = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'weightloom-full-'));
test.before(async () => {
  await startBackend();
  await syncNothing();
});
test.after(() => rmSync(scratch, { recursive: true, force: true }));

const spec = { ...SPECS.compact, name: 'tiny', channels: 4, hidden: 8 };
const training = {
  iterations: 2,
  size: 10,
  pool: 3,
  batch: 2,
  seedEvery: 2,
  steps: [2, 4] as [number, number],
  overflow: 10,
  learningRate: 1e-3,
  milestones: [],
  decay: 0.5,
  loss: { scales: 2, patch: 3, projections: 8, factor: 100 },
};
const config = (out: string): ZooBuildConfig => ({
  spec,
  out,
  seed: 3,
  textures: [{ family: 'stripes', train: 2, heldOut: 1 }],
  picture: { kept: 12, target: 16 },
  base: { textures: [{ family: 'pebbles', count: 1 }], training },
  training,
  together: 2,
  rendering: { steps: 6, seed: 1 },
});
const build = (root: string) =>
  settle(buildZoo(config(join(root, 'zoo')), { work: join(root, 'work'), command: 'the same' }));
const fresh = (name: string) => {
  const root = join(scratch, name);
  mkdirSync(root);
  return root;
};
/** Everything below a folder, but for what it is called. */
const contentOf = (root: string) =>
  readdirSync(root, { recursive: true, withFileTypes: true })
    .filter(entry => entry.isFile())
    .map(entry => join(entry.parentPath, entry.name))
    .sort()
    .map(path => [path.slice(root.length), readFileSync(path).toString('latin1').replaceAll(root, '')]);

/** Does the work with the call of that number failing for want of room. @returns the sentence it ends with */
async function without(root: string, call: number, work: () => Promise<unknown>): Promise<string> {
  const before = tf.memory().numTensors;
  const { error } = await watchCalls(root, work, { call, code: 'ENOSPC' });
  assert.instance(error, UserError);
  const { message, failure } = error as UserError;
  assert.is(message, failure ? describe(failure) : message);
  assert.match(message, 'expected room on the disk, found a full disk');
  // The user knows no temporary names.
  assert.not.match(message, '.tmp');
  assert.is(tf.memory().numTensors, before);
  return message;
}

test('a build goes on when there is room again, and ends with the same bytes', async () => {
  const whole = fresh('whole');
  const { calls } = await watchCalls(whole, () => build(whole));
  const expected = contentOf(join(whole, 'zoo'));
  // While parts are written, while the zoo is, and shortly before its end.
  for (const share of [0.3, 0.6, 0.97]) {
    const root = fresh(`build-${share}`);
    await without(root, Math.floor(share * calls), () => build(root));
    assert.is(existsSync(join(root, 'zoo')), false);
    await build(root);
    assert.equal(contentOf(join(root, 'zoo')), expected);
    assert.equal(
      readdirSync(root).filter(name => name.startsWith('.')),
      [],
    );
  }
});

test('an addition leaves the zoo as it was', async () => {
  const root = fresh('add');
  await build(root);
  const file = join(root, 'one.safetensors');
  await settle(
    writeWeights(file, { spec, flat: randomStream(1, 'nca').normals(weightCount(spec), 0, 0.02) }),
  );
  const zoo = join(root, 'zoo');
  const before = contentOf(zoo);
  const add = () => settle(addToZoo(zoo, [{ source: file }]));
  for (const call of [2, 6, 12]) {
    await without(root, call, add);
    assert.equal(contentOf(zoo), before);
  }
  assert.equal((await add()).length, 1);
  const after = await settle(readZoo(zoo));
  const last = after.entries.length - 1;
  const [grown] = await renderNcas(spec, zooWeights(after, last).flat, { steps: 6, size: 12, seed: 1 });
  const { data } = await settle(readZooImage(after, last, 'rendering'));
  // Its rendering is made as the zoo's were; a PNG has 256 levels.
  assert.ok(data.every((x, i) => Math.abs(x - grown.data[i]) <= 0.5 / 255 + 1e-6));
  // What is not an entry's, the base's picture, stays.
  assert.ok(existsSync(join(zoo, 'base.png')));
});

test.run();
