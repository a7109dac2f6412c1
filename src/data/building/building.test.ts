import { copyFileSync, existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import * as E from 'fp-ts/lib/Either.js';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { decode, describe, settle } from '../../config/index.ts';
import { SPECS } from '../../nca/index.ts';
import { startBackend, tf } from '../../tensor/index.ts';
import { buildConfigOf, readBasePicture, renderingOf } from '../provenance.ts';
import type { Parameters } from '../textures/index.ts';
import { readZoo, readZooImage } from '../zoo.ts';
import { buildZoo, configHash, planTextures, ZooBuildCodec, type ZooBuildConfig } from './index.ts';

await startBackend();
const folder = mkdtempSync(join(tmpdir(), 'weightloom-building-'));

const training = {
  iterations: 3,
  size: 10,
  pool: 3,
  batch: 2,
  seedEvery: 2,
  steps: [2, 4] as [number, number],
  overflow: 10,
  learningRate: 1e-3,
  milestones: [2],
  decay: 0.5,
  loss: { scales: 2, patch: 3, projections: 8, factor: 100 },
};
const config: ZooBuildConfig = {
  spec: { ...SPECS.compact, name: 'tiny', channels: 4, hidden: 8 },
  out: join(folder, 'zoo'),
  seed: 3,
  textures: [
    { family: 'stripes', train: 2, heldOut: 1, ranges: { angle: [0, 10] } },
    { family: 'clouds', train: 2, heldOut: 1 },
  ],
  ranges: { contrast: [0.4, 0.4] },
  picture: { kept: 12, target: 16 },
  base: { textures: [{ family: 'pebbles', count: 2 }], training },
  training,
  together: 2,
  rendering: { steps: 6, seed: 1 },
};
const weightsOf = async (out: string) => (await settle(readZoo(out))).weights;

test('a zoo has every planned texture with its picture, rendering, split and provenance', async () => {
  const before = tf.memory().numTensors;
  const result = await settle(buildZoo(config, { work: join(folder, 'a'), command: 'build it' }));
  assert.is(result.finished, true);
  assert.is(tf.memory().numTensors, before);
  const zoo = await settle(readZoo(config.out));
  assert.is(zoo.entries.length, 6);
  assert.is(zoo.entries.filter(({ split }) => split === 'held-out').length, 2);
  assert.is(zoo.manifest.provenance.command, 'build it');
  const base = await settle(readBasePicture(zoo));
  // A mosaic of two tiles has four places.
  assert.equal([base?.picture.width, base?.loss], [24, result.baseLoss]);
  assert.ok(base!.loss > 0);
  assert.equal(buildConfigOf(zoo)?.training, config.training);
  assert.equal(renderingOf(zoo), config.rendering);
  const planned = await planTextures(config);
  for (const [i, entry] of zoo.entries.entries()) {
    assert.is(entry.name, planned[i].name);
    assert.is(entry.provenance.family, planned[i].provenance.family);
    assert.ok(Number.isFinite(entry.provenance.loss as number));
    const picture = await settle(readZooImage(zoo, i, 'image'));
    const drawn = await planned[i].draw(12);
    // A PNG has 256 levels.
    assert.ok(drawn.every((x, k) => Math.abs(x - picture.data[k]) <= 0.5 / 255 + 1e-6));
    await settle(readZooImage(zoo, i, 'rendering'));
  }
  const drawn = planned.map(({ provenance }) => provenance as { family: string; parameters: Parameters });
  assert.ok(drawn.every(({ family, parameters }) => family !== 'stripes' || parameters.angle <= 10));
  assert.ok(drawn.every(({ parameters }) => parameters.contrast === 0.4));
});

test('weights do not depend on how the work was divided or interrupted', async () => {
  const whole = await weightsOf(config.out);

  const stop = new AbortController();
  const stopped = { ...config, out: join(folder, 'stopped'), together: 3 };
  const work = join(folder, 'b');
  const first = await settle(
    buildZoo(stopped, {
      work,
      signal: stop.signal,
      onProgress: ({ stage, done }) => stage === 'zoo' && done > 3 * 3 + 1 && stop.abort(),
    }),
  );
  assert.equal([first.finished, first.trained], [false, 3]);
  assert.is(existsSync(stopped.out), false);
  const kept = readdirSync(first.workFolder).length;
  assert.is(kept, 4);
  const counts: number[] = [];
  const rest = await settle(buildZoo(stopped, { work, onProgress: ({ done }) => counts.push(done) }));
  assert.is(rest.finished, true);
  assert.is(Math.min(...counts), 3 * 3 + 3);
  assert.equal(await weightsOf(stopped.out), whole);

  const shared = { ...config, out: join(folder, 'shared') };
  const part = (index: number) => ({ work: join(folder, 'c'), part: { index, count: 2 } });
  assert.is((await settle(buildZoo(shared, part(1)))).finished, false);
  assert.is((await settle(buildZoo(shared, part(0)))).finished, true);
  assert.equal(await weightsOf(shared.out), whole);
});

test('without a base every NCA has a start of its own', async () => {
  const none = { ...config, base: 'none' as const, out: join(folder, 'none') };
  await settle(buildZoo(none, { work: join(folder, 'none-work') }));
  const zoo = await settle(readZoo(none.out));
  assert.is(zoo.base, null);
  const size = zoo.weights.length / zoo.entries.length;
  const [first, second] = [zoo.weights.subarray(0, size), zoo.weights.subarray(size, 2 * size)];
  const apart = Math.sqrt(first.reduce((sum, w, i) => sum + (w - second[i]) ** 2, 0) / size);
  // Starts differ by some 0.1 a weight; three updates of 1e-3 do not bring them together.
  assert.ok(apart > 0.03, `${apart}`);
  const torn = await buildZoo({ ...none, adaptation: 'low-rank' }, { work: folder })();
  assert.match(E.isLeft(torn) ? describe(torn.left) : '', 'adaptation: expected full (there is no base');
});

test('a low-rank zoo is one of changes to its base', async () => {
  const low = { ...config, adaptation: 'low-rank' as const, rank: 1, out: join(folder, 'low') };
  await settle(buildZoo(low, { work: join(folder, 'low-work') }));
  const { base, weights } = await settle(readZoo(low.out));
  assert.ok(weights.some((w, i) => w !== base![i % base!.length]));
});

test('trainings that ran away are named, tried once more at a smaller rate, else left out', async () => {
  const { entries } = await settle(readZoo(config.out));
  const losses = entries.map(({ provenance }) => provenance.loss as number).sort((a, b) => a - b);
  const bound = (losses[2] + losses[3]) / 2;
  const strict = (retry: number) => ({
    ...config,
    out: join(folder, `strict-${retry}`),
    runaways: { loss: bound, saturated: 1, retry },
  });
  const notes: string[] = [];
  const options = { work: join(folder, 'strict'), onNote: (note: string) => notes.push(note) };
  const result = await settle(buildZoo(strict(0.5), options));
  assert.ok(result.leftOut.length > 0 && result.leftOut.length < 6);
  assert.ok(result.leftOut.every(({ name }) => notes.some(note => note.startsWith(`${name}: loss`))));
  const zoo = await settle(readZoo(strict(0.5).out));
  assert.is(zoo.entries.length, 6 - result.leftOut.length);
  assert.ok(zoo.entries.every(({ provenance }) => (provenance.loss as number) <= bound));
  assert.equal(zoo.manifest.provenance.leftOut, result.leftOut);
  const none = {
    ...strict(0.5),
    out: join(folder, 'nothing'),
    runaways: { loss: 1e-9, saturated: 1, retry: 1 },
  };
  const nothing = await buildZoo(none, options)();
  assert.match(
    E.isLeft(nothing) ? describe(nothing.left) : '',
    'NCAs that show their textures, found none of 6',
  );
  assert.is(existsSync(none.out), false);
});

test('a damaged part is set aside and made again; one build at a time has the folder', async () => {
  const again = { ...config, out: join(folder, 'again') };
  const work = join(folder, 'a');
  const { workFolder } = await settle(buildZoo(again, { work }));
  const [part] = readdirSync(workFolder).filter(name => name.startsWith('nca-'));
  writeFileSync(join(workFolder, part), 'damaged');
  const notes: string[] = [];
  // Whichever takes the lock first builds; the other is refused.
  const build = () => buildZoo(again, { work, onNote: note => notes.push(note) })();
  const both = await Promise.all([build(), build()]);
  assert.is(both.filter(E.isRight).length, 1);
  assert.match(
    both.map(result => (E.isLeft(result) ? describe(result.left) : '')).join(''),
    new RegExp(`expected the zoo .*again free, found process ${process.pid} at work on it`),
  );
  assert.match(notes.join(), 'It was set aside');
  assert.ok(existsSync(join(workFolder, `${part}.damaged`)));
  assert.equal(await weightsOf(again.out), await weightsOf(config.out));
  const lockPath = join(folder, '.again.build.lock');
  assert.is(existsSync(lockPath), false);
  // A process of that number lives, but started at another time.
  writeFileSync(lockPath, JSON.stringify({ host: hostname(), pid: process.pid, started: '1' }));
  assert.ok(E.isRight(await buildZoo(again, { work })()));
});

test('another base makes every NCA anew', async () => {
  const other: ZooBuildConfig = {
    ...config,
    out: join(folder, 'other-base'),
    base: { textures: ['stripes-000'], training },
  };
  const work = join(folder, 'bases');
  const { workFolder } = await settle(buildZoo(other, { work }));
  const first = await weightsOf(other.out);
  // As if the picture behind the name had changed: the base's part is of another target.
  rmSync(join(workFolder, 'base.safetensors'));
  copyFileSync(
    join(
      (await settle(buildZoo({ ...config, out: join(folder, 'plain') }, { work: join(folder, 'a') })))
        .workFolder,
      'base.safetensors',
    ),
    join(workFolder, 'base.safetensors'),
  );
  await settle(buildZoo(other, { work }));
  assert.equal(await weightsOf(other.out), first);
});

test('the work folder goes by what decides the weights', () => {
  assert.is(configHash({ ...config, together: 5, out: 'x' }), configHash(config));
  assert.not.equal(configHash({ ...config, seed: 4 }), configHash(config));
});

test('a range of a parameter that the family does not have is refused', async () => {
  const textures = [
    { family: 'stripes', train: 1, heldOut: 1, ranges: { dutty: [0, 1] as [number, number] } },
  ];
  const result = await buildZoo({ ...config, textures }, { work: join(folder, 'd') })();
  assert.ok(E.isLeft(result));
  assert.match(describe(result.left), /textures\[0\]\.ranges: .*dutty.*Did you mean duty/);
});

test('a configuration is checked field by field', () => {
  const sentence = (value: unknown) => {
    const result = decode(ZooBuildCodec, value, 'zoo.yaml');
    return E.isLeft(result) ? describe(result.left) : 'fine';
  };
  assert.is(sentence(config), 'fine');
  assert.match(
    sentence({ ...config, textures: [{ family: 'stripe', train: 1, heldOut: 1 }] }),
    /textures\[0\]\.family: .*Did you mean stripes/,
  );
  assert.match(sentence({ ...config, together: 0 }), /together: expected a whole number from 1, found 0/);
  assert.match(sentence({ ...config, colour: 1 }), /the unknown key colour/);
});

test.after(() => rmSync(folder, { recursive: true, force: true }));
test.run();
