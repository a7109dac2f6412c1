import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { arrays } from '../../property-tests/arrays.ts';
import { zipOf } from '../../property-tests/crafted.ts';
import { golden } from '../../property-tests/golden.ts';
import { sentence } from '../../property-tests/refusal.ts';
import { settle, UserError } from '../config/index.ts';
import {
  bytesOf,
  encodeNpy,
  openNpyRows,
  readNpy,
  readNpyStrings,
  readNpz,
  sizeOf,
  writeNpy,
} from './index.ts';
import { decodeNpyAny } from './npy.ts';

const folder = mkdtempSync(join(tmpdir(), 'weightloom-npy-'));
const file = (name: string) => join(folder, name);
const test = suite('npy');
test.after(() => rmSync(folder, { recursive: true }));

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

test('npy: the header is the Python literal it says it is', async () => {
  const dict = (text: string, body = Buffer.alloc(8), version = [1, 0]) => {
    const long = version[0] > 1;
    const head = Buffer.from(`\x93NUMPY..${long ? '....' : '..'}${text}\n`, 'latin1');
    head[6] = version[0];
    head[7] = version[1];
    if (long) head.writeUInt32LE(text.length + 1, 8);
    else head.writeUInt16LE(text.length + 1, 8);
    return Buffer.concat([head, body]);
  };
  const f8 = "{'descr': '<f8', 'fortran_order': False, 'shape': (1,)}";
  const accepted = [
    dict(f8),
    dict(f8, Buffer.alloc(8), [2, 0]),
    dict(f8, Buffer.alloc(8), [3, 0]),
    dict('{"shape": (1L, ), "descr": "=f8", "fortran_order": True, }   '),
    dict("{'descr': '<f8', 'fortran_order': False, 'shape': ()}"),
    dict("{'descr': '<U0', 'fortran_order': False, 'shape': (3, 2)}"),
  ];
  for (const bytes of accepted) decodeNpyAny(bytes, 'x.npy');
  const refused: [Buffer, string][] = [
    [dict(f8, Buffer.alloc(8), [1, 1]), 'found 1.1'],
    [dict(f8, Buffer.alloc(8), [4, 0]), 'found 4.0'],
    [dict(`${f8} {'shape': (9,)}`), 'expected a .npy header'],
    [
      dict("{'descr': '<f8', 'fortran_order': False, 'shape': (1,), 'shape': (1,)}"),
      'expected a .npy header',
    ],
    [dict("{'descr': '<f8', 'fortran_order': False, 'shape': (1)}"), 'expected a .npy header'],
    [dict("{'descr': '<f8', 'fortran_order': False, 'shape': (-1,)}"), 'expected a .npy header'],
    [dict("{'descr': '<f8', 'fortran_order': False, 'shape': (1,), 'more': True}"), 'expected a .npy header'],
    [
      dict("{'descr': \"'descr': '<f4'\", 'fortran_order': False, 'shape': (1,)}"),
      'expected numbers or strings',
    ],
    [
      dict("{'descr': [('a', '<f8')], 'fortran_order': False, 'shape': (1,)}"),
      'found records of several fields',
    ],
    [dict("{'descr': '<f8', 'fortran_order': 0, 'shape': (1,)}"), 'expected a .npy header'],
    [dict("{'descr': '<constructor', 'fortran_order': False, 'shape': (1,)}"), 'expected numbers or strings'],
    [dict(`{'descr': '<f8', 'fortran_order': False, 'shape': (${'1, '.repeat(65)})}`), 'found 65 axes'],
    [
      dict("{'descr': '<U0', 'fortran_order': False, 'shape': (900000000,)}"),
      'expected at most 1000000 strings in 0 bytes',
    ],
    [dict("{'descr': '<f8', 'fortran_order': False, 'shape': (4503599627370496, 4)}"), 'elements'],
  ];
  for (const [bytes, says] of refused) {
    assert.throws(
      () => decodeNpyAny(bytes, 'x.npy'),
      (error: Error) => error instanceof UserError && error.message.includes(says),
      says,
    );
  }
});

test('npy: Fortran order of any shape is what a plain loop over the indices says, strings too', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.integer({ min: 1, max: 3 }), { minLength: 1, maxLength: 6 }),
      async shape => {
        const count = sizeOf(shape);
        const index = (i: number) => {
          const at: number[] = [];
          for (let axis = shape.length - 1, rest = i; axis >= 0; rest = Math.floor(rest / shape[axis--]))
            at[axis] = rest % shape[axis];
          return at;
        };
        // Element i in row-major order holds i and lies where the first index runs fastest.
        const data = new Float32Array(count);
        for (let i = 0; i < count; i++) {
          let place = 0;
          for (let axis = shape.length - 1; axis >= 0; axis--) place = place * shape[axis] + index(i)[axis];
          data[place] = i;
        }
        const tuple = `(${shape.join(', ')},)`;
        const ordered = Float32Array.from(data, (_, i) => i);
        assert.equal(decodeNpyAny(npy('<f4', 'True', tuple, bytesOf(data.slice())), 'x').data, ordered);
        const codes = new Uint32Array(2 * count);
        data.forEach((value, i) => {
          codes[2 * i] = 0x3b1 + value;
        });
        assert.equal(
          decodeNpyAny(npy('<U2', 'True', tuple, bytesOf(codes)), 'x').data,
          [...ordered].map(value => String.fromCodePoint(0x3b1 + value)),
        );
        writeFileSync(file('f.npy'), npy('<f4', 'True', tuple, bytesOf(data)));
        const rows = await settle(openNpyRows(file('f.npy')));
        const each = count / shape[0];
        assert.equal(await rows.rows(shape[0] - 1, 1), ordered.slice(count - each));
        assert.equal(await rows.rows(0, shape[0]), ordered);
        await rows.close();
      },
    ),
    { numRuns: 40 },
  );
});

test('zip: a name twice, entries that overlap, sizes that no file of this length holds', async () => {
  const path = file('z.npz');
  const a = encodeNpy({ shape: [2], data: new Float32Array(2) });
  const says = async (bytes: Uint8Array, expected: string) => {
    writeFileSync(path, bytes);
    assert.match(await sentence(readNpz(path)), expected);
  };
  const two = zipOf({ 'a.npy': a, 'b.npy': a });
  const renamed = Buffer.from(two.toString('latin1').replaceAll('b.npy', 'a.npy'), 'latin1');
  await says(renamed, 'found a name twice in it: a.npy');
  const central = two.lastIndexOf('PK\x01\x02');
  const overlapping = Buffer.from(two);
  overlapping.writeUInt32LE(two.length - 10, central + 20);
  overlapping.writeUInt32LE(two.length - 10, central + 24);
  await says(overlapping, 'found entries that overlap');
  const vast = Buffer.from(two);
  vast.writeUInt16LE(8, central + 10);
  vast.writeUInt32LE(0xf0000000, central + 24);
  await says(vast, 'found entries that state');
  writeFileSync(path, zipOf({ '__proto__.npy': a }));
  assert.equal(Object.keys(await settle(readNpz(path))), ['__proto__']);
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

test.run();
