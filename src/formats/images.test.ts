import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import sharp from 'sharp';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { sentence } from '../../property-tests/refusal.ts';
import { settle } from '../config/index.ts';
import { readImage, writeGif, writePng } from './index.ts';

const folder = mkdtempSync(join(tmpdir(), 'weightloom-images-'));
const file = (name: string) => join(folder, name);
const test = suite('images');
test.after(() => rmSync(folder, { recursive: true }));

test('a written PNG is read back to within half a byte step', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 9 }),
      fc.integer({ min: 1, max: 9 }),
      async (width, height) => {
        const data = new Float32Array(width * height * 3).map((_, i) => ((i * 7919) % 1000) / 999);
        await settle(writePng(file('p.png'), { width, height, data }));
        const back = await settle(readImage(file('p.png')));
        assert.is(back.width, width);
        assert.is(back.height, height);
        assert.ok(back.data.every((value, i) => Math.abs(value - data[i]) <= 0.5 / 255 + 1e-6));
      },
    ),
    { numRuns: 10 },
  );
});

test('values outside [0, 1] are clipped and not-a-number is black', async () => {
  const data = new Float32Array([-1, 2, Number.NaN]);
  await settle(writePng(file('c.png'), { width: 1, height: 1, data }));
  assert.equal((await settle(readImage(file('c.png')))).data, new Float32Array([0, 1, 0]));
});

test('greyscale, transparency, 16 bits and any size become RGB squares; the crop is the centre', async () => {
  const grey = { width: 30, height: 20, channels: 1 as const };
  // Dark but for a white middle square of 20 x 20.
  const pixels = Uint8Array.from({ length: 600 }, (_, i) => (i % 30 >= 5 && i % 30 < 25 ? 255 : 0));
  await sharp(pixels, { raw: grey }).toColourspace('b-w').png().toFile(file('grey.png'));
  const square = await settle(readImage(file('grey.png'), { size: 8 }));
  assert.is(square.data.length, 8 * 8 * 3);
  assert.ok(square.data.every(value => value === 1));
  await sharp(new Uint8Array(16 * 4), { raw: { width: 4, height: 4, channels: 4 } })
    .png()
    .toFile(file('clear.png'));
  assert.ok((await settle(readImage(file('clear.png')))).data.every(value => value === 1));
  await sharp(new Uint16Array(12).fill(65_535), { raw: { width: 2, height: 2, channels: 3 } })
    .toColourspace('rgb16')
    .png()
    .toFile(file('deep.png'));
  const deep = await settle(readImage(file('deep.png'), { size: 4 }));
  assert.is(deep.data.length, 48);
  assert.ok(deep.data.every(value => value === 1));
});

test('a mirrored picture gives the mirrored result, smaller and larger, and a linear ramp stays one', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 20 }),
      fc.integer({ min: 1, max: 40 }),
      fc.nat(),
      async (side, size, seed) => {
        const bytes = Uint8Array.from(
          { length: side * side * 3 },
          (_, i) => (Math.imul(i + seed, 2654435761) >>> 16) & 255,
        );
        const raw = { raw: { width: side, height: side, channels: 3 as const } };
        const read = async (pixels: Uint8Array) => {
          writeFileSync(file('mirror.png'), await sharp(pixels, raw).png().toBuffer());
          return (await settle(readImage(file('mirror.png'), { size }))).data;
        };
        const mirrored = bytes.map(
          (_, i) =>
            bytes[(Math.floor(i / 3 / side) * side + side - 1 - (Math.floor(i / 3) % side)) * 3 + (i % 3)],
        );
        const [plain, turned] = [await read(bytes), await read(mirrored)];
        for (let i = 0; i < plain.length; i++) {
          const at = (Math.floor(i / 3 / size) * size + size - 1 - (Math.floor(i / 3) % size)) * 3 + (i % 3);
          // Rounding to bytes.
          assert.ok(Math.abs(plain[i] - turned[at]) < 1.01 / 255);
        }
      },
    ),
    { numRuns: 25, seed: 1 },
  );
  const ramp = Uint8Array.from({ length: 8 * 8 * 3 }, (_, i) => 20 * (Math.floor(i / 3) % 8));
  writeFileSync(
    file('ramp.png'),
    await sharp(ramp, { raw: { width: 8, height: 8, channels: 3 } })
      .png()
      .toBuffer(),
  );
  const { data } = await settle(readImage(file('ramp.png'), { size: 32 }));
  // Away from the border pixel x lies at (x + 0.5) / 4 - 0.5 of the old ones.
  for (let x = 8; x < 24; x++) assert.ok(Math.abs(255 * data[3 * x] - 20 * ((x + 0.5) / 4 - 0.5)) <= 0.51);
});

test('pictures of other numbers than 8 or 16 bits, and too large ones, are refused; long and tiny ones are told of', async () => {
  // A TIFF of one float32 sample a pixel, by hand: little-endian, one strip.
  const tags: [number, number, number, number][] = [
    [256, 3, 1, 4],
    [257, 3, 1, 4],
    [258, 3, 1, 32],
    [259, 3, 1, 1],
    [262, 3, 1, 1],
    [273, 4, 1, 8],
    [277, 3, 1, 1],
    [278, 3, 1, 4],
    [279, 4, 1, 64],
    [339, 3, 1, 3],
  ];
  const tiff = Buffer.alloc(8 + 64 + 2 + 12 * tags.length + 4);
  tiff.write('II*\0', 'latin1');
  tiff.writeUInt32LE(72, 4);
  for (let i = 0; i < 16; i++) tiff.writeFloatLE(i / 16, 8 + 4 * i);
  tiff.writeUInt16LE(tags.length, 72);
  for (const [i, [tag, type, count, value]] of tags.entries()) {
    const at = 74 + 12 * i;
    tiff.writeUInt16LE(tag, at);
    tiff.writeUInt16LE(type, at + 2);
    tiff.writeUInt32LE(count, at + 4);
    if (type === 3) tiff.writeUInt16LE(value, at + 8);
    else tiff.writeUInt32LE(value, at + 8);
  }
  writeFileSync(file('float.tif'), tiff);
  assert.match(
    await sentence(readImage(file('float.tif'), { size: 4 })),
    'float.tif: expected an image of 8 or 16 bits, found one of float numbers. Save it as PNG.',
  );
  const vast = await sharp({ create: { width: 9000, height: 9000, channels: 3, background: '#000' } })
    .png()
    .toBuffer();
  writeFileSync(file('vast.png'), vast);
  assert.match(
    await sentence(readImage(file('vast.png'), { size: 4 })),
    'vast.png: expected an image, found something else (Input image exceeds pixel limit',
  );
  const doubts: string[] = [];
  for (const [width, height] of [
    [1, 1],
    [2000, 10],
    [30, 30],
    [64, 100],
  ]) {
    writeFileSync(
      file('odd.png'),
      await sharp({ create: { width, height, channels: 3, background: '#888' } })
        .png()
        .toBuffer(),
    );
    await settle(
      readImage(file('odd.png'), { size: 64, onDoubt: said => doubts.push(said.replace(folder, '')) }),
    );
  }
  assert.equal(doubts, [
    '/odd.png: 1 x 1 pixels are enlarged to 64 x 64: most of it is made up.',
    '/odd.png: of 2000 x 10 pixels only the middle 10 x 10 are used.',
  ]);
});

test('EXIF orientation is applied before the crop', async () => {
  const pixels = Uint8Array.from({ length: 8 * 4 * 3 }, (_, i) => (Math.floor(i / 3) % 8 < 4 ? 255 : 0));
  await sharp(pixels, { raw: { width: 8, height: 4, channels: 3 } })
    .withMetadata({ orientation: 6 })
    .png()
    .toFile(file('turned.png'));
  const { width, height, data } = await settle(readImage(file('turned.png')));
  assert.equal([width, height], [4, 8]);
  assert.equal([data[0], data[data.length - 1]], [1, 0]);
});

test('an animated GIF has its frames and delays', async () => {
  const frame = (value: number) => ({ width: 5, height: 4, data: new Float32Array(60).fill(value) });
  await settle(writeGif(file('a.gif'), [frame(0), frame(0.5), frame(1)], { delay: [100, 200, 300] }));
  const { pages, delay, pageHeight, loop } = await sharp(file('a.gif'), { animated: true }).metadata();
  assert.equal(
    { pages, delay, pageHeight, loop },
    { pages: 3, delay: [100, 200, 300], pageHeight: 4, loop: 0 },
  );
});

test('what is no image is refused', async () => {
  writeFileSync(file('text.png'), 'not a picture');
  assert.match(
    await sentence(readImage(file('text.png'))),
    /text\.png: expected an image, found something else/,
  );
  assert.match(await sentence(readImage(folder)), 'expected a file, found a folder');
  const whole = readFileSync(file('grey.png'));
  writeFileSync(file('cut.png'), whole.subarray(0, whole.length - 30));
  assert.match(await sentence(readImage(file('cut.png'))), 'expected an image');
});

test.run();
