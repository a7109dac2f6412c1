import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type CraftedLayer, modelsLayer, torchNcaFile, zipOf } from '../../property-tests/crafted.ts';
import { sentence } from '../../property-tests/refusal.ts';
import { settle, UserError } from '../config/index.ts';
import { bytesOf, encodeNpy, encodePng, type Picture, readImage } from '../formats/index.ts';
import { blockOf, SPECS, weightBlocks, weightCount } from '../nca/index.ts';
import { startBackend, tf } from '../tensor/index.ts';
import {
  importZoo,
  loadWeights,
  readTorchNca,
  readZoo,
  readZooImage,
  renderFrames,
  renderNcas,
} from './index.ts';

const folder = mkdtempSync(join(tmpdir(), 'weightloom-import-'));
const file = (name: string) => join(folder, name);
const test = suite('import');
test.before(async () => {
  await startBackend();
});
test.after(() => rmSync(folder, { recursive: true }));

const spec = SPECS.hypernca;
const blocks = Object.fromEntries(weightBlocks(spec).map(block => [block.name, block]));
const values = (length: number, seed: number) =>
  new Float32Array(length).map((_, i) => 0.02 * Math.sin(i * 1.7 + seed));
const size = weightCount(spec);

test('.pt: truncated, not a zip, other shapes, not finite', async () => {
  torchNcaFile(file('one.pt'), spec, values(size, 0));
  assert.equal((await settle(loadWeights(file('one.pt')))).flat, values(size, 0));
  const path = file('bad.pt');
  const says = async (pattern: string | RegExp) => assert.match(await sentence(readTorchNca(path)), pattern);
  writeFileSync(path, readFileSync(file('one.pt')).subarray(0, 20_000));
  await says('bad.pt: expected a .pt file of torch.save, found one that cannot be read as zip');
  writeFileSync(path, 'PK and then nothing');
  await says('expected a .pt file of torch.save, found one that cannot be read as zip');
  writeFileSync(path, zipOf({ 'a.txt': Buffer.from('x') }));
  await says('found a zip archive without data.pkl');
  writeFileSync(path, zipOf({ 'a/data.pkl': Buffer.from('N.'), 'b/data.pkl': Buffer.from('N.') }));
  await says('found 2 of data.pkl');
  writeFileSync(path, zipOf({ 'a/data.pkl': Buffer.from('N.N.') }));
  await says('expected one pickle in data.pkl, found 2 bytes behind it');
  const bad = values(size, 0);
  bad[blocks.b1.offset + 3] = Number.POSITIVE_INFINITY;
  torchNcaFile(path, spec, bad);
  await says('b1[3]: expected finite weights, found Infinity');
  const flipped = readFileSync(file('one.pt'));
  flipped[9000] ^= 1;
  writeFileSync(path, flipped);
  await says('found a damaged one (checksum)');
  const big = zipOf({
    'archive/data.pkl': Buffer.from(''),
    'archive/byteorder': Buffer.from('big'),
    'archive/data/0': Buffer.from(''),
  });
  writeFileSync(path, big);
  await says('expected little-endian numbers, found big-endian ones');
});

/** A models.json of four models; every byte says where it lies. */
async function models(edit: (layers: [CraftedLayer, CraftedLayer], names: string[]) => void = () => {}) {
  const byte = (model: number, row: number, column: number) => (model * 31 + row * 7 + column * 3) % 256;
  const layers: [CraftedLayer, CraftedLayer] = [
    await modelsLayer([49, 96], [3, 2], 1.5, byte),
    await modelsLayer([97, 12], [4, 1], 0.25, byte),
  ];
  const names = ['texture/models/dots', 'texture/models/mondrian', 'texture/models/a', 'texture/models/b'];
  edit(layers, names);
  writeFileSync(file('models.json'), JSON.stringify({ model_names: names, layers }));
  return { path: file('models.json'), byte };
}

test('models.json: every weight comes from its byte', async () => {
  const { path, byte } = await models();
  const sot = SPECS['self-organising-textures'];
  const { flat } = await settle(loadWeights(`${path}#b`));
  const value = (raw: number, scale: number) => Math.fround((raw / 255 - 127 / 255) * scale);
  const at = (name: 'w1' | 'b1' | 'w2' | 'b2', index: number) => blockOf(sot, flat, name)[index];
  for (const [h, c, f] of [
    [0, 0, 0],
    [95, 11, 3],
    [17, 5, 2],
  ]) {
    // Rows of the file are filter-major, columns of w1 are channel-major.
    assert.is(at('w1', h * 48 + 4 * c + f), value(byte(3, f * 12 + c, h), 1.5));
    assert.is(at('b1', h), value(byte(3, 48, h), 1.5));
    assert.is(at('w2', c * 96 + h), value(byte(3, h, c), 0.25));
    assert.is(at('b2', c), value(byte(3, 96, c), 0.25));
  }
});

test('models.json: a grid that does not fit, other shapes, no PNG, unknown names', async () => {
  const says = async (edit: Parameters<typeof models>[0], pattern: string | RegExp) => {
    const { path } = await models(edit);
    assert.match(await sentence(loadWeights(`${path}#dots`)), pattern);
  };
  await says(([first]) => {
    first.layout = [4, 2];
  }, 'models.json: layers[0].data: expected an RGBA picture of 96x98 for a grid of 4 by 2 tiles of 24x49, found 72x98 with 4 channels.');
  await says(([first]) => {
    first.layout = [1, 2];
  }, 'layers[0].layout: expected a grid with room for 4 tiles, found 1 by 2');
  await says(([, second]) => {
    second.shape = [97, 16];
  }, 'layers[1].shape: expected 97x12, found 97x16');
  await says(([first]) => {
    first.data = 'https://example.org/x.png';
  }, 'layers[0].data: expected a PNG as a base64 data URL');
  await says(([first]) => {
    first.data = 'data:image/png;base64,AAAA';
  }, 'layers[0].data: expected a PNG, found data that is not one');
  await says(([first]) => {
    first.scale = 'x' as unknown as number;
  }, 'layers[0].scale: expected a number, found "x"');
  const { path } = await models();
  assert.match(await sentence(loadWeights(`${path}#mondrain`)), 'found "mondrain". Did you mean mondrian?');
  assert.match(await sentence(loadWeights(path)), 'expected the name of one of its 4 NCAs, as in');
});

/** A set in the reference's layout. */
async function referenceSet(name: string, count: number, edit: Record<string, Uint8Array> = {}) {
  const root = file(name);
  mkdirSync(join(root, 'images', 'flickr+dtd_128'), { recursive: true });
  mkdirSync(join(root, 'images', 'nca_flickr+dtd_128'), { recursive: true });
  const names = Array.from({ length: count }, (_, i) => `banded_${i}`);
  const codes = new Uint32Array(count * 9);
  names.forEach((text, i) => {
    codes.set(
      [...text].map(c => c.codePointAt(0)!),
      i * 9,
    );
  });
  const header = Buffer.from(encodeNpy({ shape: [count], data: new Float32Array(0) }));
  header.write("<U9'", header.indexOf('<f4'));
  const write = (key: string, bytes: Uint8Array) =>
    writeFileSync(join(root, `${key}.npy`), edit[key] ?? bytes);
  write('texture_names', Buffer.concat([header, bytesOf(codes)]));
  const all = Array.from({ length: count }, (_, i) => values(weightCount(spec), i));
  for (const { name: key, shape, size, offset } of weightBlocks(spec)) {
    const data = new Float32Array(count * size);
    all.forEach((flat, i) => {
      data.set(flat.subarray(offset, offset + size), i * size);
    });
    write(key, encodeNpy({ shape: [count, ...shape], data }));
  }
  for (const [i, texture] of names.entries()) {
    const picture: Picture = { width: 6, height: 6, data: new Float32Array(108).fill(i / 5) };
    const png = await encodePng(picture);
    writeFileSync(join(root, 'images', 'flickr+dtd_128', `${texture}.png`), edit[texture] ?? png);
    if (i > 0) writeFileSync(join(root, 'images', 'nca_flickr+dtd_128', `${texture}.png`), png);
  }
  return { root, names, all };
}

test('the reference layout: weights, textures and renderings arrive; a missing rendering is made', async () => {
  const { root, names, all } = await referenceSet('set', 4);
  const out = file('set-zoo');
  const before = tf.memory().numTensors;
  const summary = await settle(importZoo([root], out, { render: { steps: 2, size: 8 } }));
  assert.is(tf.memory().numTensors, before);
  const { count, images, renderings, rendered } = summary;
  assert.equal([count, images, renderings, rendered], [4, 4, 3, 1]);
  const zoo = await settle(readZoo(out));
  assert.equal(
    zoo.entries.map(entry => entry.name),
    names,
  );
  all.forEach((flat, i) => {
    assert.equal(zoo.weights.slice(i * flat.length, (i + 1) * flat.length), flat);
  });
  assert.is((await settle(readZooImage(zoo, 2, 'image'))).data[0], Math.fround(102 / 255));
  assert.is((await settle(readZooImage(zoo, 0, 'rendering'))).width, 8);
});

test('the reference layout: arrays that disagree in N, weights not finite, a picture that is none', async () => {
  const before = readdirSync(folder).length;
  const out = file('none');
  const three = encodeNpy({ shape: [3, 96], data: new Float32Array(3 * 96) });
  const disagree = await referenceSet('disagree', 4, { b1: three });
  assert.match(
    await sentence(importZoo([disagree.root], out)),
    'b1.npy: expected shape 4x96 (N of texture_names.npy first), found 3x96.',
  );
  const bad = new Float32Array(4 * 96);
  bad[2 * 96 + 5] = Number.NaN;
  const notFinite = await referenceSet('nan', 4, { b1: encodeNpy({ shape: [4, 96], data: bad }) });
  assert.match(
    await sentence(importZoo([notFinite.root], out)),
    'nan: banded_2: b1[5]: expected finite weights, found NaN.',
  );
  const noPicture = await referenceSet('text', 2, { banded_1: Buffer.from('text') });
  assert.match(
    await sentence(importZoo([noPicture.root], out)),
    'banded_1.png: expected an image, found something else',
  );
  assert.match(await sentence(importZoo([folder], out)), 'found a folder without w1.npy');
  assert.match(
    await sentence(importZoo([file('nowhere')], out)),
    'nowhere: expected a file or folder that exists',
  );
  // Three sets were made; nothing else is left.
  assert.is(readdirSync(folder).length, before + 3);
});

test('.pt files become a zoo with pictures; stopping leaves nothing', async () => {
  torchNcaFile(file('two.pt'), spec, values(size, 9));
  const out = file('pt-zoo');
  const paths = [file('one.pt'), file('two.pt')];
  await settle(importZoo(paths, out, { render: { steps: 3, size: 8, seed: 4 } }));
  const zoo = await settle(readZoo(out));
  assert.equal(new Set(zoo.entries.map(entry => entry.split)), new Set(['train', 'held-out']));
  assert.match(
    await sentence(importZoo(paths, out)),
    'expected a new folder, found one that has files in it',
  );

  const before = readdirSync(folder);
  const stopper = new AbortController();
  const stopped = importZoo(paths, file('stopped'), {
    render: { steps: 1, size: 8 },
    signal: stopper.signal,
    onProgress: () => stopper.abort(),
  });
  await stopped().then(
    () => assert.unreachable(),
    error => assert.instance(error, UserError),
  );
  assert.equal(readdirSync(folder), before);
});

test('one of the NCAs may be the base of the others: it is kept as such and never held out', async () => {
  const paths = [file('one.pt'), file('two.pt')];
  for (const base of ['one', 'two']) {
    await settle(importZoo(paths, file(`based-${base}`), { base, render: { steps: 1, size: 8 } }));
    const zoo = await settle(readZoo(file(`based-${base}`)));
    const at = zoo.entries.findIndex(({ name }) => name === base);
    assert.equal(zoo.base, zoo.weights.slice(at * weightCount(spec), (at + 1) * weightCount(spec)));
    assert.is(zoo.entries[at].split, 'train');
  }
  assert.match(
    await sentence(importZoo(paths, file('no-base'), { base: 'tow' })),
    'option --base: expected the name of one of the NCAs, found "tow". Did you mean two?',
  );
});

test('frames of a growing NCA end in its picture, and nothing leaks', async () => {
  const nca = await settle(loadWeights(file('one.pt')));
  const before = tf.memory().numTensors;
  const frames: Picture[] = [];
  for await (const frame of renderFrames(nca, { steps: 7, size: 8, seed: 3, frames: 3 })) frames.push(frame);
  const [picture] = await renderNcas(spec, nca.flat, { steps: 7, size: 8, seed: 3 });
  assert.is(frames.length, 3);
  assert.equal(frames[2].data, picture.data);
  const two = new Float32Array([...nca.flat.map(x => -x), ...nca.flat]);
  const [, again] = await renderNcas(spec, two, { steps: 7, size: 8, seed: 3 });
  assert.equal(again.data, picture.data);
  assert.is(tf.memory().numTensors, before);
  assert.is((await settle(readImage(join(file('pt-zoo'), 'renderings', 'one.png')))).width, 8);
});

test.run();
