import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { arrays } from '../../property-tests/arrays.ts';
import { sentence } from '../../property-tests/refusal.ts';
import { settle } from '../config/index.ts';
import { decodeElements } from './arrays.ts';
import { bytesOf, readSafetensors, readSafetensorsHeader, writeSafetensors } from './index.ts';

const folder = mkdtempSync(join(tmpdir(), 'weightloom-safetensors-'));
const file = (name: string) => join(folder, name);
const test = suite('safetensors');
test.after(() => rmSync(folder, { recursive: true }));

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

/** A safetensors file with any header. */
const tensorsFile = (header: string, body = 0, length = Buffer.byteLength(header)) => {
  const start = Buffer.alloc(8);
  start.writeBigUInt64LE(BigInt(length));
  return Buffer.concat([start, Buffer.from(header), Buffer.alloc(body)]);
};

test('safetensors: the rules of the format, one by one', async () => {
  const path = file('rules.safetensors');
  const a = (type: string, shape: string, offsets: string) =>
    `"a":{"dtype":"${type}","shape":${shape},"data_offsets":${offsets}}`;
  const b = a('F32', '[1]', '[4,8]').replace('"a"', '"b"');
  const one = a('F32', '[1]', '[0,4]');
  const refused: [header: string, body: number, says: string][] = [
    [`{${one},${one}}`, 4, 'found the name a twice'],
    [
      `{"a":{"dtype":"F32","dtype":"F32","shape":[1],"data_offsets":[0,4]}}`,
      4,
      'a: expected a safetensors header, found the name dtype twice',
    ],
    [`{${one},${one.replace('"a"', '"\\u0061"')}}`, 4, 'found the name a twice'],
    [
      `{${one},${b.replace('[4,8]', '[2,6]')}}`,
      6,
      'b: expected data from byte 4 (no hole, no overlap), found data from byte 2',
    ],
    [`{${one},${b.replace('[4,8]', '[8,12]')}}`, 12, 'b: expected data from byte 4'],
    [`{${one}}`, 7, 'expected 4 bytes of data, found 7, which belong to no tensor'],
    [` {${one}}`, 4, 'one whose header starts with " " instead of {'],
    [`{${a('F32', '[1.0]', '[0,4]')}}`, 4, 'a: expected a shape, found 1.0'],
    [`{${a('F32', '[1e0]', '[0,4]')}}`, 4, 'a: expected a shape, found 1e0'],
    [`{${a('F32', '[-0]', '[0,0]')}}`, 0, 'a: expected a shape, found -0'],
    [`{${a('F32', '[01]', '[0,4]')}}`, 4, 'a: expected a shape, found 01'],
    [`{${a('F32', `[${'1,'.repeat(64)}1]`, '[0,4]')}}`, 4, 'found more than 64 numbers'],
    [`{${a('F32', '[1]', '[0,4,4]')}}`, 4, 'found more than 2 numbers'],
    [`{${a('F32', '[1]', '[4,0]')}}`, 4, 'a: expected 4 bytes for shape 1, found -4'],
    ['{"__metadata__":{"step":3}}', 0, 'one whose header is not JSON'],
    ['{"__metadata__":{"a":{"b":"c"}}}', 0, 'one whose header is not JSON'],
    [
      '{"__metadata__":{"a":"b","a":"c"}}',
      0,
      '__metadata__: expected a safetensors header, found the name a twice',
    ],
    [`{${one}}x`, 4, 'one whose header is not JSON'],
    [`{${one}}\n`, 4, 'one whose header is not JSON'],
    ['{"a":{"dtype":"F32","data_offsets":[0,4]}}', 4, 'a: expected dtype, shape and two data offsets'],
    [`{"a":{"x":${'['.repeat(100_000)}`, 0, 'found values nested more than 32 deep'],
    [
      `{"\x1b[2J${'n'.repeat(1000)}":{"dtype":"F5","shape":[],"data_offsets":[0,0]}}`,
      0,
      'one whose header is not JSON',
    ],
    [`{"\\u001b[2J${'n'.repeat(1000)}":{"dtype":"F5","shape":[],"data_offsets":[0,0]}}`, 0, '\ufffd[2Jnnn'],
  ];
  for (const [header, body, says] of refused) {
    writeFileSync(path, tensorsFile(header, body));
    const found = await sentence(readSafetensors(path));
    assert.match(found, says);
    assert.ok(found.length < 600 && !found.includes('\x1b'), found);
  }
  const accepted: [header: string, body: number][] = [
    ['{}', 0],
    ['{}        ', 0],
    [`{ "a" : {"shape" : [ 1 ] ,"data_offsets":[0 , 4],"dtype":"F32", "later": [1e-3, {"a": null}]} }`, 4],
    [`{${a('F32', '[0,7]', '[0,0]')},${b.replace('[4,8]', '[0,4]')}}`, 4],
    [`{${a('F8_E4M3', '[4]', '[0,4]')},${b}}`, 8],
    [`{"__proto__":{"dtype":"U8","shape":[],"data_offsets":[0,1]}}`, 1],
  ];
  for (const [header, body] of accepted) {
    writeFileSync(path, tensorsFile(header, body));
    assert.is(await sentence(readSafetensorsHeader(path)), 'no failure', header);
  }
  writeFileSync(path, tensorsFile(...accepted[4]));
  assert.match(await sentence(readSafetensors(path)), 'a: expected a type that is read here, found F8_E4M3');
  assert.is(await sentence(readSafetensors(path, { names: ['b'] })), 'no failure');
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
    ['one whose header starts with "[" instead of {', () => write('[1]')],
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

test.run();
