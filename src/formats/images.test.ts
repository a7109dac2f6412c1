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
