import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as E from 'fp-ts/lib/Either.js';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { decode, describe, settle } from '../../config/index.ts';
import { SPECS } from '../../nca/index.ts';
import { startBackend, tf } from '../../tensor/index.ts';
import { readZoo, readZooImage } from '../zoo.ts';
import {
  buildZoo,
  configHash,
  drawPlanned,
  planTextures,
  ZooBuildCodec,
  type ZooBuildConfig,
} from './index.ts';

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
  const planned = planTextures(config);
  for (const [i, entry] of zoo.entries.entries()) {
    assert.is(entry.name, planned[i].name);
    assert.is(entry.provenance.family, planned[i].family);
    assert.ok(Number.isFinite(entry.provenance.loss as number));
    const picture = await settle(readZooImage(zoo, i, 'image'));
    const drawn = drawPlanned(planned[i], 12);
    // A PNG has 256 levels.
    assert.ok(drawn.every((x, k) => Math.abs(x - picture.data[k]) <= 0.5 / 255 + 1e-6));
    await settle(readZooImage(zoo, i, 'rendering'));
  }
  assert.ok(planned.every(({ family, parameters }) => family !== 'stripes' || parameters.angle <= 10));
  assert.ok(planned.every(({ parameters }) => parameters.contrast === 0.4));
});

test('weights do not depend on how the work was divided or interrupted', async () => {
  const whole = await weightsOf(config.out);
  const near = (out: Float32Array) =>
    // Batches of another size sum gradients in another order.
    assert.ok(out.every((w, i) => Math.abs(w - whole[i]) < 1e-6));

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
  near(await weightsOf(stopped.out));

  const shared = { ...config, out: join(folder, 'shared') };
  const part = (index: number) => ({ work: join(folder, 'c'), part: { index, count: 2 } });
  assert.is((await settle(buildZoo(shared, part(1)))).finished, false);
  assert.is((await settle(buildZoo(shared, part(0)))).finished, true);
  near(await weightsOf(shared.out));
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
