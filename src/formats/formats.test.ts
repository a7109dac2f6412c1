import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import * as E from 'fp-ts/lib/Either.js';
import type * as TE from 'fp-ts/lib/TaskEither.js';
import sharp from 'sharp';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { golden } from '../../property-tests/golden.ts';
import { describe, type Failure, settle } from '../config/index.ts';
import { decodeElements } from './arrays.ts';
import {
  bytesOf,
  encodeNpy,
  inside,
  type NdArray,
  openNpyRows,
  readImage,
  readNpy,
  readNpyStrings,
  readNpz,
  readSafetensors,
  readSafetensorsHeader,
  sizeOf,
  writeAtomically,
  writeFolderAtomically,
  writeGif,
  writeNpy,
  writePng,
  writeSafetensors,
} from './index.ts';
import { decodeNpyAny } from './npy.ts';

const folder = mkdtempSync(join(tmpdir(), 'weightloom-formats-'));
const file = (name: string) => join(folder, name);
const test = suite('formats');
test.after(() => rmSync(folder, { recursive: true }));

/** The sentence a task fails with. */
async function sentence(task: TE.TaskEither<Failure, unknown>): Promise<string> {
  const result = await task();
  return E.isLeft(result) ? describe(result.left) : 'no failure';
}

const kinds = [
  Float32Array,
  Float64Array,
  Int8Array,
  Uint8Array,
  Int16Array,
  Uint16Array,
  Int32Array,
  Uint32Array,
];
const arrays: fc.Arbitrary<NdArray> = fc
  .tuple(fc.array(fc.nat(4), { maxLength: 4 }), fc.constantFrom(...kinds), fc.nat())
  .map(([shape, Kind, seed]) => ({
    shape,
    data: new Kind(sizeOf(shape)).map((_, i) => (i * 37 + seed) % 120),
  }));

test('npy: reading gives back what was written', async () => {
  await fc.assert(
    fc.asyncProperty(arrays, async array => {
      await settle(writeNpy(file('a.npy'), array));
      assert.equal(await settle(readNpy(file('a.npy'))), array);
    }),
    { numRuns: 30 },
  );
});

/** A .npy file with any header. */
const npy = (descr: string, order: string, shape: string, body: Uint8Array) => {
  const text = `{'descr': '${descr}', 'fortran_order': ${order}, 'shape': ${shape}, }\n`;
  const head = Buffer.from(`\x93NUMPY\x01\x00..${text}`, 'latin1');
  head.writeUInt16LE(text.length, 8);
  return Buffer.concat([head, body]);
};

test('npy: Fortran order, big-endian numbers, 64-bit integers, half precision and strings', () => {
  const f32 = bytesOf(new Float32Array([1, 4, 2, 5, 3, 6]));
  const read = (bytes: Uint8Array) => decodeNpyAny(bytes, 'x.npy').data;
  assert.equal(read(npy('<f4', 'True', '(2, 3)', f32)), new Float32Array([1, 2, 3, 4, 5, 6]));
  assert.equal(
    read(npy('>f4', 'False', '(6,)', Buffer.from(f32).swap32())),
    new Float32Array([1, 4, 2, 5, 3, 6]),
  );
  assert.equal(
    read(npy('<i8', 'False', '(2,)', bytesOf(new BigInt64Array([-5n, 2n ** 40n])))),
    new Float64Array([-5, 2 ** 40]),
  );
  // 1.5, the smallest subnormal, -infinity
  assert.equal(
    read(npy('<f2', 'False', '(3,)', bytesOf(new Uint16Array([0x3e00, 1, 0xfc00])))),
    new Float32Array([1.5, 2 ** -24, Number.NEGATIVE_INFINITY]),
  );
  const codes = new Uint32Array([...'ab\0é\0\0'].map(c => c.codePointAt(0)!));
  assert.equal(read(npy('<U3', 'False', '(2,)', bytesOf(codes))), ['ab', 'é']);
  assert.equal(read(npy('|S3', 'False', '(2,)', Buffer.from('ab\0c\0\0'))), ['ab', 'c']);
});

test('npy: rows come as they lie in the whole array, and object arrays are refused', async () => {
  const data = new Float64Array(60).map((_, i) => i);
  writeFileSync(file('rows.npy'), encodeNpy({ shape: [5, 3, 4], data }));
  const rows = await settle(openNpyRows(file('rows.npy')));
  assert.equal(rows.shape, [5, 3, 4]);
  assert.equal(await rows.rows(1, 2), Float32Array.from(data.subarray(12, 36)));
  await rows.close();
  writeFileSync(file('object.npy'), npy('|O', 'False', '(1,)', Buffer.from('pickle')));
  assert.match(
    await sentence(readNpy(file('object.npy'))),
    'found Python objects (they would need unpickling)',
  );
  writeFileSync(file('short.npy'), npy('<f4', 'False', '(100,)', Buffer.alloc(12)));
  assert.match(
    await sentence(readNpy(file('short.npy'))),
    /short\.npy: expected \d+ bytes for shape 100, found/,
  );
  assert.match(await sentence(openNpyRows(file('short.npy'))), /expected \d+ bytes for shape 100/);
  assert.match(await sentence(readNpyStrings(file('rows.npy'))), 'expected strings, found numbers');
  assert.match(
    await sentence(readNpy(file('none.npy'))),
    'expected a file or folder that exists, found nothing there',
  );
});

test('safetensors: reading gives back what was written, whole and by name', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.dictionary(
        fc.string({ minLength: 1 }).filter(name => name !== '__metadata__' && name !== '__proto__'),
        arrays,
      ),
      fc.dictionary(fc.constantFrom('spec', 'é', 'step'), fc.string()),
      async (tensors, metadata) => {
        const path = file('t.safetensors');
        await settle(writeSafetensors(path, tensors, metadata));
        const back = await settle(readSafetensors(path));
        assert.equal(Object.keys(back.tensors).sort(), Object.keys(tensors).sort());
        for (const name of Object.keys(tensors)) {
          assert.equal(back.tensors[name], tensors[name]);
          const one = await settle(readSafetensors(path, { names: [name] }));
          assert.equal(Object.keys(one.tensors), [name]);
          assert.equal(one.tensors[name], tensors[name]);
        }
        assert.equal({ ...back.metadata }, { ...metadata });
      },
    ),
    { numRuns: 30 },
  );
});

test('safetensors: a streamed tensor is the same file as one written at once', async () => {
  const data = new Float32Array(10).map((_, i) => i);
  const chunks = async function* () {
    yield data.subarray(0, 4);
    yield data.subarray(4);
  };
  await settle(writeSafetensors(file('s1'), { a: { shape: [5, 2], chunks: chunks() } }, { k: 'v' }));
  await settle(writeSafetensors(file('s2'), { a: { shape: [5, 2], data } }, { k: 'v' }));
  assert.equal(readFileSync(file('s1')), readFileSync(file('s2')));
});

test('safetensors: broken files are refused with what is wrong', async () => {
  const path = file('b.safetensors');
  const write = (header: string, body = 0, length = Buffer.byteLength(header)) => {
    const start = Buffer.alloc(8);
    start.writeBigUInt64LE(BigInt(length));
    writeFileSync(path, Buffer.concat([start, Buffer.from(header), Buffer.alloc(body)]));
  };
  const cases: [string, () => void][] = [
    ['only 3 bytes', () => writeFileSync(path, 'abc')],
    ['a header length of 1000000 in a file of 10 bytes', () => write('{}', 0, 1_000_000)],
    ['one whose header is not JSON', () => write('{"a')],
    ['a: expected one of the types', () => write('{"a":{"dtype":"F5","shape":[1],"data_offsets":[0,4]}}', 4)],
    [
      'a: expected 8 bytes for shape 2, found 4',
      () => write('{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}', 4),
    ],
    [
      'a: expected data up to byte 8, found a truncated file with 4',
      () => write('{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}', 4),
    ],
    ['a: expected a shape', () => write('{"a":{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}}', 8)],
    ['JSON that is no object', () => write('[1]')],
  ];
  for (const [expected, make] of cases) {
    make();
    assert.match(await sentence(readSafetensors(path)), expected);
    assert.match(await sentence(readSafetensorsHeader(path)), expected);
  }
  await settle(writeSafetensors(path, { weight: { shape: [1], data: new Float32Array(1) } }));
  assert.match(
    await sentence(readSafetensors(path, { names: ['weigth'] })),
    'expected a tensor weigth, found none of that name. Did you mean weight?',
  );
});

test('bfloat16 is the upper half of float32', () => {
  const values = new Float32Array([1, -2.5, 3e38, 0]);
  const words = Uint16Array.from(new Uint32Array(values.buffer), word => word >>> 16);
  const decoded = decodeElements(bytesOf(words), 'bf16');
  // Eight bits of significand: relative error below 2^-7.
  assert.ok(values.every((value, i) => Math.abs(decoded[i] - value) <= Math.abs(value) / 128));
});

test('npz: the arrays of a reference file', async () => {
  const arrays = await golden('05_normaliser');
  assert.ok(Object.values(arrays).every(({ shape, data }) => data.length === sizeOf(shape)));
  assert.ok(Object.keys(arrays).length > 0);
});

test('npz: a file cut short is refused', async () => {
  const whole = readFileSync(join(import.meta.dirname, '../../property-tests/golden/05_normaliser.npz'));
  writeFileSync(file('cut.npz'), whole.subarray(0, whole.length - 100));
  assert.match(
    await sentence(readNpz(file('cut.npz'))),
    'expected a .npz archive, found one that cannot be read as zip',
  );
  const damaged = Buffer.from(whole);
  for (let i = 300; i < 320; i++) damaged[i] ^= 0xff;
  writeFileSync(file('damaged.npz'), damaged);
  assert.match(await sentence(readNpz(file('damaged.npz'))), 'expected a .npz archive, found');
});

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

test('a failed write leaves the old file and no traces', async () => {
  const path = file('kept.txt');
  await settle(writeAtomically(path, 'old'));
  const before = readdirSync(folder).length;
  const task = writeAtomically(path, async out => {
    await out.write('half');
    throw new Error('a bug');
  });
  await task().then(
    () => assert.unreachable(),
    error => assert.is(error.message, 'a bug'),
  );
  assert.is(readFileSync(path, 'utf8'), 'old');
  assert.is(readdirSync(folder).length, before);
});

test('what cannot be written is one sentence', async () => {
  writeFileSync(file('plain'), '');
  for (const path of [join(file('plain'), 'x.png'), join(file('plain'), 'deeper', 'x.png')]) {
    assert.match(await sentence(writeAtomically(path, '')), /x\.png: expected a folder, found a file/);
  }
  assert.match(await sentence(writeAtomically('/proc/none/x', '')), /expected .*, found/);
});

test('a folder appears whole or not at all', async () => {
  const target = file('tree');
  const write = (text: string) => async (temporary: string) => writeFileSync(join(temporary, 'a'), text);
  const failing = writeFolderAtomically(target, async temporary => {
    await write('half')(temporary);
    throw new Error('a bug');
  });
  const before = readdirSync(folder);
  await failing().then(
    () => assert.unreachable(),
    error => assert.is(error.message, 'a bug'),
  );
  assert.equal(readdirSync(folder), before);
  await settle(writeFolderAtomically(target, write('one')));
  assert.match(await sentence(writeFolderAtomically(target, write('two'))), 'expected a new folder');
  assert.is(readFileSync(join(target, 'a'), 'utf8'), 'one');
  await settle(writeFolderAtomically(target, write('two'), { replace: () => true }));
  assert.is(readFileSync(join(target, 'a'), 'utf8'), 'two');
  assert.equal(readdirSync(folder).sort(), [...before, 'tree'].sort());
});

test('a path from a file never leaves its folder', () => {
  assert.is(inside('/zoo', 'images/a.png', 'zoo.json', 'image'), '/zoo/images/a.png');
  for (const name of ['../a', '/etc/passwd', 'a/../../b', '', '.', 'a\0b', '..']) {
    assert.throws(
      () => inside('/zoo', name, 'zoo.json', 'image'),
      'zoo.json: image: expected a path inside the folder',
    );
  }
});

test.run();
