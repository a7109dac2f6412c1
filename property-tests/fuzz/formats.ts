/** The formats under test: valid files, how each is read, and its plain reader. */

import { readFileSync } from 'node:fs';
import sharp from 'sharp';
import { parseYaml, settle } from '../../src/config/index.ts';
import { openModelsJson, readSpec } from '../../src/data/index.ts';
import {
  bytesOf,
  encodeNpy,
  type NdArray,
  readImage,
  readJson,
  readNpz,
  readSafetensors,
  readTorchState,
} from '../../src/formats/index.ts';
import { decodeNpyAny } from '../../src/formats/npy.ts';
import { modelsLayer, pickle, torchLegacy, torchPickled, torchStateFile, zipOf } from '../crafted.ts';
import { type PlainArrays, plainNpy, plainNpz } from './plain-arrays.ts';
import { plainSafetensors } from './plain-safetensors.ts';
import { plainTorchLegacy, plainTorchZip } from './plain-torch.ts';

type Arrays = Record<string, NdArray | NdArray<string[]>>;

export interface Format {
  readonly name: string;
  readonly extension: string;
  /** The parts of valid files; all but the assembled whole are mutated too where it is made of parts. */
  readonly seeds: readonly (readonly Buffer[])[];
  /** The file of its parts, with the checksums and lengths that they need. */
  assemble(parts: readonly Buffer[]): Buffer;
  /** What the project makes of a file; rejects with a UserError. */
  read(path: string, bytes: Buffer): Promise<Arrays | undefined>;
  /** What the format's text makes of it; undefined where there is nothing to compare. */
  readonly plain?: (bytes: Buffer) => PlainArrays;
}

const whole = ([bytes]: readonly Buffer[]) => bytes;
const floats = (length: number, seed = 0) => new Float32Array(length).map((_, i) => Math.sin(i + seed) * 100);
const npy = (array: NdArray) => Buffer.from(encodeNpy(array));
const header = (descr: string, fortran: boolean, shape: string, body: Uint8Array, version = 1) => {
  const text = `{'descr': '${descr}', 'fortran_order': ${fortran ? 'True' : 'False'}, 'shape': ${shape}, }   \n`;
  const start = Buffer.from(`\x93NUMPY..${version === 1 ? '..' : '....'}${text}`, 'latin1');
  start[6] = version;
  start[7] = 0;
  if (version === 1) start.writeUInt16LE(text.length, 8);
  else start.writeUInt32LE(text.length, 8);
  return Buffer.concat([start, body]);
};
const npys = [
  npy({ shape: [2, 3], data: floats(6) }),
  npy({ shape: [], data: new Float64Array([3]) }),
  npy({ shape: [0, 4], data: new Int16Array(0) }),
  header('<f4', true, '(2, 3, 2)', bytesOf(floats(12))),
  header('>i8', false, '(3,)', Buffer.alloc(24, 1)),
  header('<f2', true, '(4, 1, 2)', Buffer.alloc(16, 60), 2),
  header('<U3', false, '(2, 2)', bytesOf(new Uint32Array([97, 0, 0, 98, 99, 0, 0x1f600, 0, 98, 0, 0, 0])), 3),
  header('|S4', true, '(2, 2)', Buffer.from('ab\0\0cdefg\0\0\0hijk')),
];

const safetensors = (header: object, data: Uint8Array, padding = 0) => {
  const text = JSON.stringify(header) + ' '.repeat(padding);
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(Buffer.byteLength(text)));
  return [length, Buffer.from(text), Buffer.from(data)];
};
/** A safetensors file of its header's text and data, the length made to fit where the first part is empty. */
const fitted = ([length, text, data]: readonly Buffer[]) => {
  if (length.length > 0) return Buffer.concat([length, text, data]);
  const start = Buffer.alloc(8);
  start.writeBigUInt64LE(BigInt(text.length));
  return Buffer.concat([start, text, data]);
};
const tensors = safetensors(
  {
    __metadata__: { spec: 'compact' },
    a: { dtype: 'F32', shape: [2, 3], data_offsets: [0, 24] },
    b: { dtype: 'BF16', shape: [3], data_offsets: [24, 30] },
    'c.weight': { dtype: 'I64', shape: [], data_offsets: [30, 38] },
    none: { dtype: 'U8', shape: [0], data_offsets: [38, 38] },
  },
  Buffer.concat([bytesOf(floats(6)), Buffer.alloc(14, 3)]),
  5,
);

const state = {
  'w1.weight': { shape: [3, 2, 1, 1], data: floats(6) },
  'w1.bias': { shape: [3], data: Float64Array.from(floats(3)) },
  half: {
    shape: [2, 2],
    strides: [1, 2],
    data: new Uint8Array(new Uint16Array([1, 2, 0x3c00, 0xfc00]).buffer),
    storage: 'ByteStorage',
  },
  steps: { shape: [], data: new BigInt64Array([7n]) },
};
const { state: pickledState, storages } = torchPickled({
  ...state,
  half: { shape: [2, 2], strides: [1, 2], data: new Uint8Array([1, 2, 3, 4]) },
});
const storageBytes = Object.values(storages).map(({ bytes }) => Buffer.from(bytes));

const layers = await Promise.all([
  modelsLayer([49, 96], [1, 1], 1, (_, row, column) => (row * 7 + column) % 256),
  modelsLayer([97, 12], [1, 1], 0.5, (_, row, column) => (row * 5 + column) % 256),
]);
const png = await sharp(new Uint8Array(5 * 4 * 3).fill(90), { raw: { width: 5, height: 4, channels: 3 } })
  .png()
  .toBuffer();
const jpeg = await sharp(png).jpeg().toBuffer();
const gif = await sharp(png).gif().toBuffer();

export const FORMATS: readonly Format[] = [
  {
    name: 'npy',
    extension: 'npy',
    seeds: npys.map(bytes => [bytes]),
    assemble: whole,
    read: async (path, bytes) => ({ array: decodeNpyAny(new Uint8Array(bytes), path) as NdArray }),
    plain: bytes => new Map([['array', plainNpy(bytes)]]),
  },
  {
    name: 'npz',
    extension: 'npz',
    seeds: [[npys[0], npys[6]]],
    assemble: ([a, b]) => zipOf({ 'a.npy': a, 'b.npy': b }, { deflated: true }),
    read: path => settle(readNpz(path)),
    plain: plainNpz,
  },
  {
    name: 'safetensors',
    extension: 'safetensors',
    seeds: [tensors, [Buffer.alloc(0), tensors[1], tensors[2]], safetensors({}, Buffer.alloc(0))],
    assemble: fitted,
    read: async path => (await settle(readSafetensors(path))).tensors,
    plain: plainSafetensors,
  },
  {
    name: 'torch zip',
    extension: 'pt',
    seeds: [[pickle.pickled(pickledState) as Buffer, ...storageBytes]],
    assemble: parts =>
      zipOf(Object.fromEntries(parts.map((part, i) => [i === 0 ? 'x/data.pkl' : `x/data/${i - 1}`, part]))),
    read: path => settle(readTorchState(path)),
    plain: plainTorchZip,
  },
  {
    name: 'torch legacy',
    extension: 'pth',
    seeds: [[torchLegacy(pickledState, storages)]],
    assemble: whole,
    read: path => settle(readTorchState(path)),
    plain: plainTorchLegacy,
  },
  {
    name: 'torch zip, as bytes',
    extension: 'ckpt',
    seeds: [[torchStateFile({ w: state['w1.weight'] })]],
    assemble: whole,
    read: path => settle(readTorchState(path)),
    plain: plainTorchZip,
  },
  {
    name: 'json',
    extension: 'json',
    seeds: [[Buffer.from('{"a": [1, {"b": null}], "c": "\\u00e9\\\\", "d": -1.5e3}')]],
    assemble: whole,
    read: async path => void (await settle(readJson(path))),
  },
  {
    name: 'models.json',
    extension: 'json',
    seeds: [[Buffer.from(JSON.stringify({ model_names: ['a/dots'], layers }))]],
    assemble: whole,
    async read(path) {
      const source = await settle(openModelsJson(path));
      return { rows: { shape: [source.names.length], data: await source.rows(0, source.names.length) } };
    },
  },
  {
    name: 'spec',
    extension: 'yaml',
    seeds: [
      [
        Buffer.from(
          'channels: 16\nhidden: 128\nfilters: [identity, sobel_x]\nclip: {state: 2}\nrgb: &x {offset: 0}\n',
        ),
      ],
    ],
    assemble: whole,
    read: async path => void (await settle(readSpec(path))),
  },
  {
    name: 'yaml',
    extension: 'yaml',
    seeds: [
      [readFileSync(new URL('../../configs/zoo/embedded.yaml', import.meta.url))],
      [Buffer.from('a: &a [1, 2]\nb: [*a, *a]\n')],
    ],
    assemble: whole,
    read: async (path, bytes) => void parseYaml(bytes.toString('utf8'), path),
  },
  {
    name: 'picture',
    extension: 'png',
    seeds: [[png], [jpeg], [gif]],
    assemble: whole,
    async read(path) {
      const { width, height, data } = await settle(readImage(path, { size: 8 }));
      return { picture: { shape: [height, width, 3], data } };
    },
  },
];
