import { appendFileSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import * as E from 'fp-ts/lib/Either.js';
import type * as TE from 'fp-ts/lib/TaskEither.js';
import sharp from 'sharp';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { describe, type Failure, settle } from '../config/index.ts';
import { type NcaSpec, SPECS, weightCount } from '../nca/index.ts';
import {
  fileNames,
  groupOf,
  loadWeights,
  readZoo,
  readZooImage,
  shortNames,
  splitIndices,
  splitsOf,
  writeWeights,
  writeZoo,
  type ZooDraft,
  type ZooEntry,
  type ZooImage,
  zooWeights,
} from './index.ts';

const folder = mkdtempSync(join(tmpdir(), 'weightloom-zoo-'));
const test = suite('zoo');
test.after(() => rmSync(folder, { recursive: true }));

async function sentence(task: TE.TaskEither<Failure, unknown>): Promise<string> {
  const result = await task();
  return E.isLeft(result) ? describe(result.left) : 'no failure';
}

const spec: NcaSpec = { ...SPECS.compact, name: 'tiny', channels: 4, hidden: 4 };
const size = weightCount(spec);
const picture = { width: 2, height: 2, data: new Float32Array(12).fill(0.2) };

function draftOf(names: readonly string[]): { draft: ZooDraft; images: ZooImage[] } {
  const entries = names.map<ZooEntry>((name, i) => ({
    name,
    split: i % 3 === 0 ? 'held-out' : 'train',
    group: name,
    image: i % 2 === 0 ? `images/${i}.png` : null,
    rendering: `renderings/${i}.png`,
    ...(i % 2 === 0 ? { seed: i } : {}),
    provenance: { family: 'stripes', parameters: { angle: i } },
  }));
  const weights = new Float32Array(names.length * size).map((_, i) => Math.sin(i));
  const images = entries.flatMap(({ image, rendering }) =>
    [image, rendering].filter(path => path !== null).map(path => ({ path, content: picture })),
  );
  return { draft: { spec, entries, weights, base: new Float32Array(size).fill(0.5) }, images };
}

let zoos = 0;
/** A zoo of three on the disk. */
async function freshZoo() {
  const path = join(folder, `zoo-${zoos++}`);
  const { draft, images } = draftOf(['stripes', 'dots', 'waves']);
  await settle(writeZoo(path, draft, images));
  return path;
}

test('reading gives back what was written', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.uniqueArray(fc.string({ minLength: 1 }), { minLength: 1, maxLength: 6 }),
      async names => {
        const path = join(folder, `any-${zoos++}`);
        const { draft, images } = draftOf(names);
        await settle(writeZoo(path, draft, images));
        const zoo = await settle(readZoo(path));
        assert.equal(zoo.entries, draft.entries);
        assert.equal(zoo.weights, draft.weights);
        assert.equal(zoo.base, draft.base);
        assert.equal(zoo.spec, spec);
        assert.equal(splitIndices(zoo, 'train').length + splitIndices(zoo, 'held-out').length, names.length);
        const last = names.length - 1;
        assert.equal(zooWeights(zoo, last).flat, (draft.weights as Float32Array).subarray(last * size));
        const shown = await settle(readZooImage(zoo, last, 'condition'));
        assert.equal(shown.data, picture.data);
      },
    ),
    { numRuns: 8 },
  );
});

test('weights that come in pieces make the same zoo', async () => {
  const { draft, images } = draftOf(['a', 'b', 'c']);
  const all = draft.weights as Float32Array;
  const pieces = async function* () {
    yield all.subarray(0, 2 * size);
    yield all.subarray(2 * size);
  };
  const [one, two] = [join(folder, 'whole'), join(folder, 'pieces')];
  await settle(writeZoo(one, draft, images));
  await settle(writeZoo(two, { ...draft, weights: pieces() }, images));
  for (const name of ['zoo.json', 'weights.safetensors']) {
    assert.equal(readFileSync(join(one, name)), readFileSync(join(two, name)));
  }
});

test('bad weights, names and paths are refused and nothing is written', async () => {
  const before = readdirSync(folder);
  const target = join(folder, 'refused');
  const { draft, images } = draftOf(['a', 'b']);
  const bad = (draft.weights as Float32Array).slice();
  bad[size + 7] = Number.NaN;
  assert.match(
    await sentence(writeZoo(target, { ...draft, weights: bad }, images)),
    'refused: b: w1[0,7]: expected finite weights, found NaN.',
  );
  const twins = draft.entries.map(entry => ({ ...entry, name: 'a' }));
  assert.match(await sentence(writeZoo(target, { ...draft, entries: twins }, images)), 'found a twice');
  const torn = draft.entries.map(entry => ({ ...entry, group: 'one' }));
  assert.match(
    await sentence(writeZoo(target, { ...draft, entries: torn }, images)),
    'entries[1].split: expected held-out, as the rest of its group one, found train',
  );
  const leaving = [{ path: '../x.png', content: picture }];
  assert.match(await sentence(writeZoo(target, draft, leaving)), 'expected a path inside the folder');
  assert.equal(readdirSync(folder), before);
});

test('a folder that is there is kept, unless it holds a zoo that may be replaced', async () => {
  const path = await freshZoo();
  const { draft, images } = draftOf(['other']);
  assert.match(await sentence(writeZoo(path, draft, images)), 'expected a new folder');
  assert.is((await settle(readZoo(path))).entries.length, 3);
  await settle(writeZoo(path, draft, images, { replace: true }));
  assert.is((await settle(readZoo(path))).entries.length, 1);
  const plain = mkdtempSync(join(folder, 'plain-'));
  writeFileSync(join(plain, 'thesis.txt'), 'x');
  assert.match(await sentence(writeZoo(plain, draft, images, { replace: true })), 'expected a new folder');
});

test('a zoo that was tampered with or damaged is refused', async () => {
  const change = async (edit: (manifest: { entries: ZooEntry[]; [key: string]: unknown }) => void) => {
    const path = await freshZoo();
    const manifest = JSON.parse(readFileSync(join(path, 'zoo.json'), 'utf8'));
    edit(manifest);
    writeFileSync(join(path, 'zoo.json'), JSON.stringify(manifest));
    return sentence(readZoo(path));
  };
  const set = (entry: Partial<ZooEntry>) => (manifest: { entries: ZooEntry[] }) => {
    Object.assign(manifest.entries[1], entry);
  };
  assert.match(
    await change(set({ rendering: '../../secret.png' })),
    'entries[1].rendering: expected a path inside',
  );
  assert.match(await change(set({ image: '/etc/passwd' })), 'entries[1].image: expected a path inside');
  assert.match(await change(set({ name: 'stripes' })), 'entries[1].name: expected names that differ');
  assert.match(
    await change(set({ split: 'heldout' as 'held-out' })),
    'entries[1].split: expected one of train, validation, held-out, found "heldout". Did you mean held-out?',
  );
  assert.match(
    await change(manifest => {
      manifest.sepc = manifest.spec;
    }),
    'found the unknown key sepc. Did you mean spec?',
  );
  assert.match(await change(manifest => manifest.entries.pop()), 'weights: expected float32 of shape 2x84');

  const path = await freshZoo();
  appendFileSync(join(path, 'weights.safetensors'), 'x');
  assert.match(
    await sentence(readZoo(path)),
    'weights.safetensors: expected the file that zoo.json was written for',
  );
  const other = await freshZoo();
  const zoo = await settle(readZoo(other));
  appendFileSync(join(other, 'renderings/1.png'), 'x');
  assert.match(
    await sentence(readZooImage(zoo, 1, 'rendering')),
    'expected the picture that zoo.json was written for',
  );
  assert.match(await sentence(readZooImage(zoo, 1, 'image')), 'dots: expected a picture (image), found none');
  assert.match(await sentence(readZoo(folder)), 'expected a zoo (a folder with zoo.json), found none');
});

test('weight arguments: zoo#name and safetensors, with the nearest name', async () => {
  const path = await freshZoo();
  const { flat } = await settle(loadWeights(`${path}#dots`));
  assert.is(flat[0], Math.fround(Math.sin(size)));
  assert.match(await sentence(loadWeights(`${path}#dotz`)), 'found "dotz". Did you mean dots?');
  assert.match(await sentence(loadWeights(path)), 'expected the name of one of its 3 NCAs');

  const file = join(folder, 'some.safetensors');
  const one = { spec, flat };
  await settle(writeWeights(file, one));
  assert.equal(await settle(loadWeights(file)), one);
  await settle(writeWeights(file, [one, { spec, flat: flat.map(x => -x) }]));
  assert.equal(
    (await settle(loadWeights(`${file}#1`))).flat,
    flat.map(x => -x),
  );
  assert.match(await sentence(loadWeights(`${file}#2`)), 'found "2"');
  await settle(writeWeights(file, { spec, flat: flat.map((x, i) => (i === 5 ? Number.NaN : x)) }));
  assert.match(await sentence(loadWeights(file)), 'w1[0,5]: expected finite weights, found NaN');
  assert.match(
    await sentence(loadWeights(join(folder, 'none.pt'))),
    'none.pt: expected a file or folder that exists',
  );
});

test('format 1 is read as format 2: validation and groups from the provenance, copies by name', async () => {
  const path = await freshZoo();
  const manifest = JSON.parse(readFileSync(join(path, 'zoo.json'), 'utf8'));
  manifest.version = 1;
  const told = [{ group: 'bricks' }, { validation: true }, {}];
  manifest.entries.forEach((entry: Record<string, unknown>, i: number) => {
    delete entry.group;
    entry.split = 'train';
    entry.provenance = told[i];
  });
  manifest.entries[2].name = 'waves~2';
  writeFileSync(join(path, 'zoo.json'), JSON.stringify(manifest));
  const { entries, manifest: read } = await settle(readZoo(path));
  assert.is(read.version, 2);
  assert.equal(
    entries.map(({ group, split }) => [group, split]),
    [
      ['bricks', 'train'],
      ['dots', 'validation'],
      ['waves', 'train'],
    ],
  );
});

test('copies stay on one side of the split, whatever the shares', () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.constantFrom('a', 'b', 'c', 'd', 'e'), fc.nat(3)), { minLength: 3 }),
      fc.double({ min: 0, max: 0.5, noNaN: true }),
      fc.double({ min: 0, max: 0.5, noNaN: true }),
      (copies, heldOut, validation) => {
        const groups = copies.map(([name, n]) => groupOf(n > 1 ? `${name}~${n}` : name));
        const splits = splitsOf(groups, heldOut, validation);
        groups.forEach((group, i) => {
          assert.is(splits[i], splits[groups.indexOf(group)]);
        });
        const kinds = new Set(groups).size;
        if (kinds > 1 && heldOut > 0) assert.ok(splits.includes('held-out'));
        if (kinds > 2 && validation > 0) assert.ok(splits.includes('validation'));
        if (kinds > 2) assert.ok(splits.includes('train'));
      },
    ),
  );
});

test('pictures are kept in the format of their names', async () => {
  const path = join(folder, `formats-${zoos++}`);
  const { draft } = draftOf(['a', 'b', 'c']);
  const data = Float32Array.from(
    { length: 24 * 24 * 3 },
    (_, i) => 0.5 + 0.3 * Math.sin(Math.floor(i / 3) / 5),
  );
  const endings = ['jpg', 'webp', 'png'];
  const entries = draft.entries.map((entry, i) => ({
    ...entry,
    image: `${i}.${endings[i]}`,
    rendering: null,
  }));
  const images = entries.map(({ image }) => ({ path: image, content: { width: 24, height: 24, data } }));
  await settle(writeZoo(path, { ...draft, entries }, images));
  const zoo = await settle(readZoo(path));
  for (let i = 0; i < 3; i++) {
    const shown = await settle(readZooImage(zoo, i, 'image'));
    const error = Math.sqrt(shown.data.reduce((sum, x, k) => sum + (x - data[k]) ** 2, 0) / data.length);
    // 256 levels, or what a quality of 92 leaves of a smooth picture.
    assert.ok(error < (i === 2 ? 0.003 : 0.02), `${endings[i]}: ${error}`);
    assert.is(
      (await sharp(readFileSync(join(path, entries[i].image))).metadata()).format,
      ['jpeg', 'webp', 'png'][i],
    );
  }
});

test('the split depends on names alone and holds out about the share asked for', () => {
  const names = Array.from({ length: 2000 }, (_, i) => `texture-${i}`);
  const splits = splitsOf(names);
  const held = splits.filter(split => split === 'held-out').length;
  // Binomial(2000, 0.15): 300 with standard deviation 16; five of them.
  assert.ok(Math.abs(held - 300) < 80);
  assert.equal(splitsOf([...names].reverse()).reverse(), splits);
  assert.equal(new Set(splitsOf(['a', 'b'])), new Set(['train', 'held-out']));
  assert.equal(splitsOf(['a', 'b', 'c'], 0), ['train', 'train', 'train']);
});

test('file names are safe and all different; short names are unique', () => {
  fc.assert(
    fc.property(fc.array(fc.string({ unit: 'grapheme' })), names => {
      const files = fileNames(names);
      assert.is(new Set(files.map(name => name.toLowerCase())).size, names.length);
      assert.ok(files.every(name => /^[A-Za-z0-9_~-][A-Za-z0-9._~-]*$/.test(name)));
    }),
  );
  assert.equal(shortNames(['a/x', 'b/y']), ['x', 'y']);
  assert.equal(shortNames(['a/x', 'b/x']), ['a/x', 'b/x']);
  assert.equal(shortNames(['x', 'x']), ['x', 'x~2']);
});

test.run();
