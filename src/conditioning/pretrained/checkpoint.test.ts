import { mkdtemp, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as E from 'fp-ts/lib/Either.js';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type TorchTensor, torchLegacy, torchPickled } from '../../../property-tests/crafted.ts';
import { describe, settle } from '../../config/index.ts';
import { type NdArray, writeSafetensors } from '../../formats/index.ts';
import { madeUp } from '../encoders-for-tests.ts';
import { filtersLast, readCheckpoint, transposed } from './checkpoint.ts';
import { CLIP, CLIP_VIT_B_32, TORCHVISION, VIT_B_16, vitWanted } from './vit-checkpoints.ts';

const folder = await mkdtemp(join(tmpdir(), 'weightloom-checkpoint-'));
const size = { image: 16, patch: 8, width: 8, layers: 2, heads: 2, mlp: 12 };

for (const [name, wanted] of [
  ['torchvision', vitWanted({ ...VIT_B_16, ...size }, TORCHVISION)],
  ['clip', vitWanted({ ...CLIP_VIT_B_32, ...size, projection: 4 }, CLIP)],
] as const) {
  const path = join(folder, `${name}.safetensors`);
  const whole = madeUp(wanted);
  const names = Object.keys(whole);
  const sentence = async (tensors: Record<string, NdArray>) => {
    await settle(writeSafetensors(path, tensors));
    const result = await readCheckpoint(path, wanted)();
    assert.ok(E.isLeft(result));
    return describe((result as E.Left<never>).left);
  };

  test(`${name}: every tensor by its name; others are left alone`, async () => {
    await settle(writeSafetensors(path, { ...whole, 'heads.head.weight': madeUp(wanted)[names[0]] }));
    const { tensors, hash } = await settle(readCheckpoint(path, wanted));
    assert.equal(Object.keys(tensors).sort(), [...names].sort());
    for (const key of names) assert.equal(tensors[key], whole[key].data);
    const other = {
      ...whole,
      [names[1]]: { ...whole[names[1]], data: whole[names[1]].data.map(x => x + 1) },
    };
    await settle(writeSafetensors(path, other as Record<string, NdArray>));
    assert.is.not((await settle(readCheckpoint(path, wanted))).hash, hash);
  });

  test(`${name}: a missing tensor, a wrong shape, bad numbers and a truncated file are named`, async () => {
    const key = names[5];
    const { [key]: gone, ...rest } = whole;
    assert.match(
      await sentence(rest),
      new RegExp(`${name}.*expected a tensor ${key.replaceAll('.', '\\.')}, found none`),
    );
    const flat = { shape: [gone.data.length, 1, 1], data: gone.data };
    assert.match(
      await sentence({ ...rest, [key]: flat }),
      new RegExp(`${key}: expected shape .*, found ${gone.data.length}x1x1`),
    );
    const bad = Float32Array.from(gone.data);
    bad[3] = Number.NaN;
    assert.match(
      await sentence({ ...rest, [key]: { ...gone, data: bad } }),
      /\[3\]: expected finite weights, found NaN/,
    );
    await settle(writeSafetensors(path, whole));
    await truncate(path, (await readFile(path)).length - 4);
    const cut = await readCheckpoint(path, wanted)();
    assert.ok(E.isLeft(cut));
    assert.match(describe((cut as E.Left<never>).left), /truncated/);
    await writeFile(path, 'PK');
    assert.ok(E.isLeft(await readCheckpoint(path, wanted)()));
    assert.ok(E.isLeft(await readCheckpoint(join(folder, 'nothing'), wanted)()));
  });
}

test('a legacy file of torch.save is read like any other', async () => {
  const wanted = vitWanted({ ...VIT_B_16, ...size }, TORCHVISION);
  const whole = madeUp(wanted);
  const { state, storages } = torchPickled(whole as Record<string, TorchTensor>);
  const path = join(folder, 'old.pth');
  await writeFile(path, torchLegacy(state, storages));
  const { tensors } = await settle(readCheckpoint(path, wanted));
  for (const key of Object.keys(whole)) assert.equal(tensors[key], whole[key].data);
});

test('transpositions', () => {
  assert.equal([...transposed(Float32Array.from([1, 2, 3, 4, 5, 6]), [2, 3])], [1, 4, 2, 5, 3, 6]);
  // [out 2, in 1, 1, 2] -> [1, 2, in 1, out 2]
  assert.equal([...filtersLast(Float32Array.from([1, 2, 3, 4]), [2, 1, 1, 2])], [1, 3, 2, 4]);
});

test.after(() => rm(folder, { recursive: true, force: true }));
test.run();
