import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import sharp from 'sharp';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { UserError } from '../../config/index.ts';
import { encodePng } from '../../formats/index.ts';
import { randomStream } from '../../tensor/index.ts';
import { layoutOf, similarGroups, similarity } from '../similarity.ts';
import type { PicturesConfig } from './config.ts';
import { planPictures } from './pictures.ts';
import { drawPicture, surveyPictures } from './survey.ts';

const folder = mkdtempSync(join(tmpdir(), 'weightloom-pictures-'));
const test = suite('pictures');
test.after(() => rmSync(folder, { recursive: true }));

const SIDE = 40;
/** Blotches of a few pixels around a colour: a texture that is like itself everywhere. */
function blotches(seed: number, side = SIDE, colour = [0.6, 0.4, 0.3]): Float32Array {
  const random = randomStream(seed, 'blotches');
  const cells = random.uniforms((side / 4) ** 2, -0.3, 0.3);
  return Float32Array.from({ length: side * side * 3 }, (_, i) => {
    const [x, y, c] = [Math.floor(i / 3) % side, Math.floor(i / 3 / side), i % 3];
    return colour[c] + cells[Math.floor(y / 4) * (side / 4) + Math.floor(x / 4)] * (1 - 0.2 * c);
  });
}
const pngOf = (data: Float32Array, side = SIDE) => encodePng({ width: side, height: side, data });

let folders = 0;
async function folderOf(files: Record<string, Uint8Array | string>): Promise<string> {
  const path = join(folder, `set-${folders++}`);
  mkdirSync(path);
  for (const [name, content] of Object.entries(files)) writeFileSync(join(path, name), content);
  return path;
}
/** So many different pictures a.png, b.png, ... */
async function some(count: number) {
  const names = Array.from({ length: count }, (_, i) => String.fromCharCode(97 + i));
  return Object.fromEntries(
    await Promise.all(names.map(async (name, i) => [`${name}.png`, await pngOf(blotches(i))])),
  );
}
const survey = (images: string, more: Partial<PicturesConfig> = {}, target = 20) =>
  surveyPictures({ images, pixelsPerTexel: 2, ...more }, target);
async function refusal(task: Promise<unknown>): Promise<string> {
  try {
    await task;
    return 'no refusal';
  } catch (error) {
    if (error instanceof UserError) return error.message;
    throw error;
  }
}

test('every kind of picture file shows the same texels', async () => {
  const data = blotches(1);
  const png = await pngOf(data);
  const turned = await sharp(png).rotate(270).withMetadata({ orientation: 6 }).png().toBuffer();
  const alpha = await sharp(png).ensureAlpha().png().toBuffer();
  const deep = await sharp(png).toColourspace('rgb16').png().toBuffer();
  const tiff = await sharp(png).tiff({ compression: 'lzw' }).toBuffer();
  const webp = await sharp(png).webp({ lossless: true }).toBuffer();
  const jpeg = await sharp(png).jpeg({ quality: 100, chromaSubsampling: '4:4:4' }).toBuffer();
  assert.is((await sharp(deep).metadata()).depth, 'ushort');
  const draw = async (bytes: Buffer) => {
    const drawn = await drawPicture('x', bytes, 20, 2);
    if (drawn._tag === 'Left') throw new Error(JSON.stringify(drawn.left));
    return drawn.right.data;
  };
  const expected = await draw(png);
  for (const [name, bytes, tolerance] of [
    ['turned', turned, 1e-6],
    ['alpha', alpha, 1e-6],
    // Rounded from 16 bits rather than cut.
    ['16 bits', deep, 1.01 / 255],
    ['tiff', tiff, 1e-6],
    ['webp', webp, 1e-6],
    // What quality 100 rounds.
    ['jpeg', jpeg, 4 / 255],
  ] as const) {
    const drawn = await draw(bytes);
    const worst = drawn.reduce((most, x, i) => Math.max(most, Math.abs(x - expected[i])), 0);
    assert.ok(worst <= tolerance, `${name}: ${worst}`);
  }
  const grey = await draw(await sharp(png).greyscale().png().toBuffer());
  assert.ok(grey.every((x, i) => x === grey[i - (i % 3)]));
  // Inks have fewer colours; a picture of mild ones comes back near.
  const cmyk = await draw(await sharp(png).toColourspace('cmyk').jpeg({ quality: 100 }).toBuffer());
  const mean = cmyk.reduce((sum, x, i) => sum + Math.abs(x - expected[i]), 0) / cmyk.length;
  assert.ok(mean < 0.06, `cmyk: ${mean}`);
});

test('texels are so many pixels of the centre, and a smaller picture is the centre of a larger one', async () => {
  const path = await folderOf(await some(3));
  const config = { picture: { kept: 8, target: 16 }, base: 'none' } as Parameters<typeof planPictures>[0];
  const seen = await survey(path, { pixelsPerTexel: 1 }, 16);
  const { textures } = planPictures(config, seen);
  const { name } = textures[0];
  const whole = blotches(name.charCodeAt(0) - 97);
  const large = await textures[0].draw(16);
  const small = await textures[0].draw(8);
  const at = (y: number, x: number) => whole[3 * ((y + 12) * SIDE + x + 12)];
  for (let y = 0; y < 16; y++) {
    for (let x = 0; x < 16; x++) {
      assert.ok(Math.abs(large[3 * (16 * y + x)] - at(y, x)) <= 0.5 / 255 + 1e-6);
      if (x >= 4 && x < 12 && y >= 4 && y < 12) {
        assert.is(small[3 * (8 * (y - 4) + x - 4)], large[3 * (16 * y + x)]);
      }
    }
  }
  writeFileSync(join(path, `${name}.png`), await pngOf(blotches(77)));
  assert.match(
    await refusal(textures[0].draw(8)),
    'expected the picture that was surveyed, found another one',
  );
});

test('doubtful pictures are told apart, left out or kept; copies and recolours are one group', async () => {
  const ramp = Float32Array.from({ length: SIDE * SIDE * 3 }, (_, i) => (Math.floor(i / 3) % SIDE) / SIDE);
  const recoloured = blotches(0).map((x, i) => 1 - 0.8 * x + 0.05 * (i % 3));
  const path = await folderOf({
    ...(await some(4)),
    'flat.png': await pngOf(new Float32Array(SIDE * SIDE * 3).fill(0.5)),
    'ramp.png': await pngOf(ramp),
    'small.png': await pngOf(blotches(9, 20), 20),
    'twin.png': await pngOf(recoloured),
    'broken.jpg': 'no picture',
    'notes.txt': 'not a picture, and not taken for one',
  });
  symlinkSync('/etc/hostname', join(path, 'link.png'));
  const { taken, leftOut } = await survey(path);
  assert.equal(
    taken.map(({ name, group }) => [name, group]),
    [...['a', 'b', 'c', 'd'].map(name => [name, name]), ['twin', 'a']],
  );
  assert.is(taken[0].split, taken[4].split);
  const reasons = Object.fromEntries(leftOut.map(({ name, reason }) => [name, reason]));
  assert.equal(Object.keys(reasons).sort(), ['broken', 'flat', 'ramp', 'small']);
  assert.match(reasons.broken, /^unreadable: /);
  assert.match(reasons.flat, 'nearly flat');
  assert.match(reasons.ramp, 'not even');
  assert.match(reasons.small, 'too small: 20 x 20');
  const kept = await survey(path, { doubtful: 'keep' });
  assert.equal(
    kept.leftOut.map(({ name }) => name),
    ['broken'],
  );
  assert.match(kept.notes.join(' '), '1 pictures are too small and were enlarged');
});

test('the table beside the pictures says which are taken, their sets and licences', async () => {
  const table = [
    'name\tlicence\tset',
    'a\tCC0-1.0\ttrain',
    'b.png\tCC0-1.0\theld-out',
    'c\tCC-BY-4.0\ttrain',
    'd\tCC0-1.0\tdropped',
    'z\tCC0-1.0\ttrain',
  ];
  const path = await folderOf({ ...(await some(5)), 'manifest.tsv': table.join('\n') });
  const { taken, leftOut, notes } = await survey(path, { only: { licence: 'cc0*' } });
  assert.equal(
    taken.map(({ name, split, row }) => [name, split, row?.licence]),
    [
      ['a', 'train', 'CC0-1.0'],
      ['b', 'held-out', 'CC0-1.0'],
    ],
  );
  assert.equal(leftOut, [{ name: 'd', reason: 'set dropped' }]);
  assert.match(notes.join(' '), 'manifest.tsv: 1 rows have no picture, such as z');
  assert.match(notes.join(' '), 'no column source');
  const all = await survey(path);
  assert.equal(
    all.leftOut.map(({ reason }) => reason),
    ['set dropped', 'not in the manifest'],
  );
  const shares = await survey(path, { split: { heldOut: 0.3, validation: 0.3 } });
  assert.is(shares.taken.length, 5);
  assert.equal(new Set(shares.taken.map(({ split }) => split)), new Set(['train', 'validation', 'held-out']));
});

test('a near-duplicate on the other side of the table is left out, or joins the stricter side', async () => {
  const table = 'name\tset\na\ttrain\nb\ttrain\nc\ttrain\ntwin\theld-out\n';
  const twin = await pngOf(blotches(0).map(x => 0.9 - 0.7 * x));
  const path = await folderOf({ ...(await some(3)), 'twin.png': twin, 'manifest.tsv': table });
  const strict = await survey(path);
  assert.match(
    strict.leftOut.find(({ name }) => name === 'a')!.reason,
    'of which there is a held-out picture',
  );
  const kept = await survey(path, { doubtful: 'keep' });
  assert.is(kept.taken.find(({ name }) => name === 'a')!.split, 'held-out');
});

test('what cannot become a zoo is refused in one sentence', async () => {
  const empty = await folderOf({ 'notes.txt': 'x' });
  assert.match(await refusal(survey(empty)), 'expected pictures (.jpg');
  assert.match(await refusal(survey(join(empty, '*.tif'))), 'found no file that fits');
  assert.match(
    await refusal(survey(join(folder, 'nowhere'))),
    'expected a folder with pictures, found nothing there',
  );
  const path = await folderOf(await some(3));
  assert.match(await refusal(survey(path, {}, 64)), /found none of 3, such as a: too small: 40 x 40/);
  assert.match(
    await refusal(survey(path, { split: 'manifest' })),
    'expected a manifest.tsv beside the pictures',
  );
  const first = await pngOf(blotches(0));
  const copies = await folderOf({
    'a.png': first,
    'b.png': first,
    'c.png': await pngOf(blotches(0).map(x => 1 - x)),
  });
  assert.match(await refusal(survey(copies)), 'pictures of more than one group, found 3 that are all copies');
  const strangers = await folderOf({ ...(await some(2)), 'manifest.tsv': 'name\tset\nx\ttrain\ny\ttrain\n' });
  assert.match(await refusal(survey(strangers)), 'found 2 of other files, such as x');
  const bare = await folderOf({ ...(await some(2)), 'manifest.tsv': 'name\tlisence\na\tCC0\nb\tCC0\n' });
  assert.match(
    await refusal(survey(bare, { only: { licence: 'CC0' } })),
    /a column licence \(textures.only.licence asks for it\), found the columns name, lisence. Did you mean lisence/,
  );
  const torn = await folderOf({ ...(await some(2)), 'manifest.tsv': 'name\tset\na\n' });
  assert.match(await refusal(survey(torn)), 'manifest.tsv: line 2: expected 2 columns, found 1');
});

test('one broken file among many is named, and the rest goes on', async () => {
  const one = await pngOf(blotches(3));
  const path = await folderOf({ ...(await some(12)), 'torn.png': one.subarray(0, one.length - 60) });
  const { taken, leftOut } = await survey(path);
  assert.is(taken.length, 12);
  assert.is(leftOut.length, 1);
  assert.is(leftOut[0].name, 'torn');
});

test('similarity is 1 for affine maps of colours and near 0 for strangers; groups follow it', () => {
  fc.assert(
    fc.property(
      fc.nat(10_000),
      fc.array(fc.integer({ min: -8, max: 8 }), { minLength: 9, maxLength: 9 }),
      (seed, drawn) => {
        // The diagonal outweighs the rest: no map that loses a colour.
        const map = drawn.map((x, i) => (i % 4 === 0 ? 1 : x / 20));
        const noise = randomStream(seed, 'noise').uniforms(32 * 32 * 3);
        const mapped = noise.map((_, i) => {
          const [x, y, z] = noise.subarray(i - (i % 3));
          const row = map.slice(3 * (i % 3), 3 * (i % 3) + 3);
          return 0.5 + row[0] * x + row[1] * y + row[2] * z;
        });
        const other = randomStream(seed, 'other').uniforms(32 * 32 * 3);
        const layouts = [noise, other, mapped].map(picture => layoutOf(picture, 32));
        // Float32 pixels.
        assert.ok(similarity(layouts[0], layouts[2]) > 0.999);
        // 3 of 255 directions explain 1 % of a stranger on average.
        assert.ok(similarity(layouts[0], layouts[1]) < 0.15);
        assert.equal(similarGroups(layouts, 0.7), [0, 1, 0]);
      },
    ),
    { numRuns: 30 },
  );
});

test.run();
