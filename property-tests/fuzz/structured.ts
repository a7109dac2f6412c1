/** Files made of their parts: most of them valid, many almost. Where a field is off, it is off by a little. */
import fc from 'fast-check';
import { pickle, torchLegacy, torchStorage, torchTensor, torchZip, zipOf } from '../crafted.ts';

export interface Structured {
  /** The name of its format. */
  readonly format: string;
  readonly bytes: Buffer;
}

const small = fc.nat(3);
const shapes = fc.array(small, { maxLength: 3 });
const names = fc.constantFrom(
  'a',
  'b',
  'c',
  'd',
  'w1.weight',
  'w1.bias',
  '__proto__',
  'constructor',
  'é',
  '',
);
/** Mostly nothing, else a little. */
const slip = (...values: number[]) =>
  fc.oneof({ weight: 40, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.constantFrom(...values) });
const product = (shape: readonly number[]) => shape.reduce((a, b) => a * b, 1);
/** Bytes that are numbers of every kind. */
const data = (length: number, seed: number): Buffer => {
  const bytes = Buffer.alloc(Math.max(0, length));
  for (let i = 0; i < bytes.length; i++) bytes[i] = (i * 73 + seed * 31) & 255;
  return bytes;
};

const SAFE = {
  F64: 8,
  F32: 4,
  F16: 2,
  BF16: 2,
  I64: 8,
  I32: 4,
  I16: 2,
  I8: 1,
  U64: 8,
  U32: 4,
  U16: 2,
  U8: 1,
  BOOL: 1,
};

const safetensors: fc.Arbitrary<Structured> = fc
  .record({
    entries: fc.array(
      fc.record({
        name: names,
        type: fc.constantFrom(...(Object.keys(SAFE) as (keyof typeof SAFE)[])),
        shape: shapes,
        gap: slip(1, -1, 4, -4),
        tail: slip(1, -1),
      }),
      { maxLength: 4 },
    ),
    order: fc.nat(23),
    rest: slip(1, 3, -1),
    metadata: fc.constantFrom(
      '',
      '',
      '"__metadata__":{"k":"v"}',
      '"__metadata__":{"k":1}',
      '"__metadata__":{"k":"v","k":"w"}',
    ),
    lead: fc.constantFrom('', '', '', '', '', '', ' '),
    trail: fc.constantFrom('', '', '', '  ', '  ', '\n', '\0'),
    form: fc.constantFrom(
      ...Array(8).fill('plain'),
      'point',
      'sign',
      'more',
      'escaped',
    ) as fc.Arbitrary<string>,
    seed: fc.nat(9),
  })
  .map(({ entries, order, rest, metadata, lead, trail, form, seed }) => {
    let at = 0;
    const members = entries.map(({ name, type, shape, gap, tail }) => {
      const begin = Math.max(0, at + gap);
      at = begin + product(shape) * SAFE[type];
      const sizes =
        form === 'point' ? shape.map(n => `${n}.0`) : form === 'sign' ? shape.map(n => `-${n}`) : shape;
      const key =
        form === 'escaped'
          ? `"${[...name].map(c => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`).join('')}"`
          : JSON.stringify(name);
      return `${key}:{"dtype":"${type}","shape":[${sizes}],"data_offsets":[${begin},${at + tail}]${form === 'more' ? ',"x":[{"y":null}]' : ''}}`;
    });
    if (order % 2 === 1) members.reverse();
    const text = `${lead}{${[metadata, ...members].filter(Boolean).join(order % 3 === 0 ? ',' : ' , ')}}${trail}`;
    const length = Buffer.alloc(8);
    length.writeBigUInt64LE(BigInt(Buffer.byteLength(text)));
    return {
      format: 'safetensors',
      bytes: Buffer.concat([length, Buffer.from(text), data(at + rest, seed)]),
    };
  });

const NPY = [
  '<f4',
  '>f4',
  '<f8',
  '<f2',
  '>f2',
  '<i8',
  '>u8',
  '<i2',
  '|i1',
  '|u1',
  '|b1',
  '=f4',
  '<U2',
  '>U1',
  '|S3',
  '<U0',
  '|O',
  '<c8',
  '<f16',
  '|V4',
];

const npyFile = fc
  .record({
    descr: fc.constantFrom(...NPY),
    fortran: fc.boolean(),
    shape: shapes,
    rest: slip(1, -1, 7),
    form: fc.nat(40),
    version: fc.constantFrom(1, 1, 1, 1, 2, 2, 3, 3, 0),
    seed: fc.nat(9),
  })
  .map(({ descr, fortran, shape, rest, form, version, seed }) => {
    const tuple =
      form === 0
        ? `(${shape.join(', ')})`
        : form === 1
          ? `[${shape}]`
          : `(${shape.map(n => `${n}, `).join('')})`;
    const members = [
      `'descr': '${descr}'`,
      `'fortran_order': ${fortran ? 'True' : 'False'}`,
      `'shape': ${tuple}`,
    ];
    if (form === 2) members.reverse();
    if (form === 3) members.push(`'shape': (1,)`);
    if (form === 4) members.pop();
    if (form === 5) members.push(`'more': 1`);
    const text = `{${members.join(', ')}${form === 6 ? '' : ', '}}${form === 7 ? ' x' : '   '}\n`;
    const head = Buffer.from(`\x93NUMPY..${version === 1 ? '..' : '....'}${text}`, 'latin1');
    head[6] = version;
    head[7] = 0;
    if (version === 1) head.writeUInt16LE(text.length, 8);
    else head.writeUInt32LE(text.length, 8);
    const width = /[US]/.test(descr)
      ? Number(descr.slice(2)) * (descr[1] === 'U' ? 4 : 1)
      : Number(descr.slice(2)) || 8;
    const body = data(product(shape) * width + rest, seed);
    // Letters, so that texts are texts.
    if (descr[1] === 'U')
      for (let i = 0; i < body.length; i++)
        body[i] = i % 4 === (descr[0] === '>' ? 3 : 0) ? 65 + (i % 20) : 0;
    return Buffer.concat([head, body]);
  });

const npy: fc.Arbitrary<Structured> = npyFile.map(bytes => ({ format: 'npy', bytes }));
const npz: fc.Arbitrary<Structured> = fc
  .record({ a: npyFile, b: npyFile, deflated: fc.boolean(), twice: fc.boolean() })
  .map(({ a, b, deflated, twice }) => {
    const bytes = zipOf({ 'a.npy': a, 'b.npy': b }, { deflated });
    return {
      format: 'npz',
      bytes: twice ? Buffer.from(bytes.toString('latin1').replaceAll('b.npy', 'a.npy'), 'latin1') : bytes,
    };
  });

const STORAGES = {
  FloatStorage: 4,
  DoubleStorage: 8,
  HalfStorage: 2,
  BFloat16Storage: 2,
  LongStorage: 8,
  IntStorage: 4,
  ShortStorage: 2,
  CharStorage: 1,
  ByteStorage: 1,
  BoolStorage: 1,
};

const torch: fc.Arbitrary<Structured> = fc
  .record({
    storages: fc.array(
      fc.record({
        type: fc.constantFrom(...(Object.keys(STORAGES) as (keyof typeof STORAGES)[])),
        count: fc.integer({ min: 8, max: 40 }),
        off: slip(1, -1),
        slip: slip(1, -1),
      }),
      { minLength: 1, maxLength: 3 },
    ),
    tensors: fc.array(
      fc.record({
        name: names,
        on: fc.nat(2),
        shape: shapes,
        strides: fc.array(small, { maxLength: 3 }),
        dense: fc.constantFrom(true, true, false),
        offset: small,
        flag: fc.constantFrom('', '', '', '', '', '', '', '', 'neg', 'conj'),
        other: slip(1),
      }),
      { minLength: 1, maxLength: 4 },
    ),
    legacy: fc.boolean(),
    rest: slip(1, -1),
    seed: fc.nat(9),
  })
  .map(({ storages, tensors, legacy, rest, seed }) => {
    const views = tensors.map(({ name, on, shape, strides, dense, offset, flag, other }) => {
      const k = on % storages.length;
      const { type, count, slip } = storages[k];
      const steps = dense ? shape.map((_, axis) => product(shape.slice(axis + 1))) : strides;
      const flags = flag === '' ? [] : [pickle.dictionary({ [flag]: pickle.op(0x88) })];
      const storage = torchStorage(other ? 'IntStorage' : type, String(k), Math.max(0, count + slip));
      return [name, torchTensor(storage, { shape, strides: steps, offset }, ...flags)] as const;
    });
    const content = pickle.dictionary(Object.fromEntries(views));
    const used = storages.map(
      ({ type, count, off }, k) =>
        [String(k), { bytes: data(count * STORAGES[type] + off, seed + k), count }] as const,
    );
    if (legacy) {
      const named = used.filter((_, k) => tensors.some(({ on }) => on % storages.length === k));
      const bytes = torchLegacy(content, Object.fromEntries(named));
      return {
        format: 'torch legacy',
        bytes: rest < 0 ? bytes.subarray(0, -1) : Buffer.concat([bytes, Buffer.alloc(rest)]),
      };
    }
    return {
      format: 'torch zip',
      bytes: torchZip(content, Object.fromEntries(used.map(([key, { bytes }]) => [key, bytes]))),
    };
  });

export const structured: fc.Arbitrary<Structured> = fc.oneof(safetensors, npy, npz, torch);
