/** Files of foreign formats, crafted for tests. */
import { writeFileSync } from 'node:fs';
import { crc32, deflateRawSync } from 'node:zlib';
import sharp from 'sharp';
import type { NumericArray } from '../src/formats/index.ts';
import { type NcaSpec, weightBlocks } from '../src/nca/index.ts';

/** A zip archive of stored or deflated entries. */
export function zipOf(
  entries: Readonly<Record<string, Uint8Array>>,
  { deflated = false }: { deflated?: boolean } = {},
): Buffer {
  const parts: Buffer[] = [];
  const directory: Buffer[] = [];
  let offset = 0;
  for (const [name, content] of Object.entries(entries)) {
    const bytes = deflated ? deflateRawSync(content) : content;
    const fields = Buffer.alloc(26);
    fields.writeUInt16LE(20, 0); // version needed
    fields.writeUInt16LE(deflated ? 8 : 0, 4);
    fields.writeUInt32LE(crc32?.(content) ?? 0, 10);
    fields.writeUInt32LE(bytes.length, 14);
    fields.writeUInt32LE(content.length, 18);
    fields.writeUInt16LE(Buffer.byteLength(name), 22);
    const local = Buffer.concat([Buffer.from('PK\x03\x04'), fields, Buffer.from(name), bytes]);
    const central = Buffer.alloc(46);
    central.write('PK\x01\x02');
    fields.copy(central, 6);
    central.writeUInt32LE(offset, 42);
    directory.push(Buffer.concat([central, Buffer.from(name)]));
    parts.push(local);
    offset += local.length;
  }
  const list = Buffer.concat(directory);
  const end = Buffer.alloc(22);
  end.write('PK\x05\x06');
  end.writeUInt16LE(directory.length, 8);
  end.writeUInt16LE(directory.length, 10);
  end.writeUInt32LE(list.length, 12);
  end.writeUInt32LE(offset, 16);
  return Buffer.concat([...parts, list, end]);
}

export interface CraftedLayer {
  scale: number;
  data: string;
  shape: [number, number];
  layout: [number, number];
  quant_scale_zero: [number, number];
}

/** One layer of a models.json whose byte for (model, row, column) is given. */
export async function modelsLayer(
  shape: [number, number],
  layout: [number, number],
  scale: number,
  byte: (model: number, row: number, column: number) => number,
): Promise<CraftedLayer> {
  const [rows, outputs] = shape;
  const [across, down] = layout;
  const [width, height] = [(across * outputs) / 4, down * rows];
  const pixels = new Uint8Array(width * height * 4);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width * 4; x++) {
      const model = Math.floor(y / rows) * across + Math.floor(x / outputs);
      pixels[y * width * 4 + x] = byte(model, y % rows, x % outputs);
    }
  }
  const png = await sharp(pixels, { raw: { width, height, channels: 4 } })
    .png()
    .toBuffer();
  return {
    scale,
    shape,
    layout,
    quant_scale_zero: [2, 0],
    data: `data:image/PNG;base64,${png.toString('base64')}`,
  };
}

const op = (...bytes: number[]) => Buffer.from(bytes);
const cat = (...parts: Uint8Array[]) => Buffer.concat(parts);
const global = (module: string, name: string) => Buffer.from(`c${module}\n${name}\n`);
const text = (value: string) => {
  const bytes = Buffer.from(value);
  const length = Buffer.alloc(4);
  length.writeUInt32LE(bytes.length);
  return cat(Buffer.from('X'), length, bytes);
};
const whole = (value: number) => {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32LE(value);
  return cat(Buffer.from('J'), bytes);
};
const tuple = (...items: Uint8Array[]) => cat(Buffer.from('('), ...items, Buffer.from('t'));
const wholes = (values: readonly number[]) => tuple(...values.map(whole));
const call = (callable: Uint8Array, ...args: Uint8Array[]) => cat(callable, tuple(...args), Buffer.from('R'));
const dictionary = (entries: Readonly<Record<string, Uint8Array>>) =>
  cat(
    Buffer.from('}('),
    ...Object.entries(entries).flatMap(([key, value]) => [text(key), value]),
    Buffer.from('u'),
  );
const pickled = (value: Uint8Array) => cat(op(0x80, 2), value, Buffer.from('.'));

/** Pickles as torch.save writes them (protocol 2), piece by piece. */
export const pickle = { op, cat, global, text, whole, tuple, wholes, call, dictionary, pickled };

export interface TorchTensor {
  readonly shape: readonly number[];
  readonly data: NumericArray | BigInt64Array;
  /** The class of its storage; default that of the array's type. */
  readonly storage?: string;
  /** Default: row-major. */
  readonly strides?: readonly number[];
}

const CLASSES: Record<string, string> = {
  Float32Array: 'FloatStorage',
  Float64Array: 'DoubleStorage',
  BigInt64Array: 'LongStorage',
  Uint8Array: 'ByteStorage',
};

/** The reference to a storage, as it stands in a pickle of torch.save; `window` only in old legacy files. */
export const torchStorage = (type: string, key: string, count: number, window?: Uint8Array) =>
  cat(
    tuple(
      text('storage'),
      global('torch', type),
      text(key),
      text('cpu'),
      whole(count),
      ...(window ? [window] : []),
    ),
    Buffer.from('Q'),
  );

/** A tensor on such a storage. */
export const torchTensor = (
  storage: Uint8Array,
  { shape, strides, offset = 0 }: { shape: readonly number[]; strides: readonly number[]; offset?: number },
  ...flags: Uint8Array[]
) =>
  call(
    global('torch._utils', '_rebuild_tensor_v2'),
    storage,
    whole(offset),
    wholes(shape),
    wholes(strides),
    op(0x89),
    call(global('collections', 'OrderedDict')),
    ...flags,
  );

/** The pickle of a state dictionary, every tensor with a storage of its own, and the bytes of the storages by key. */
export function torchPickled(tensors: Readonly<Record<string, TorchTensor>>) {
  const views: Record<string, Uint8Array> = {};
  const storages: Record<string, { bytes: Uint8Array; count: number }> = {};
  for (const [i, [name, { shape, data, storage, strides }]] of Object.entries(tensors).entries()) {
    const kind = storage ?? CLASSES[data.constructor.name];
    const steps = strides ?? shape.map((_, axis) => shape.slice(axis + 1).reduce((a, b) => a * b, 1));
    views[name] = torchTensor(torchStorage(kind, String(i), data.length), { shape, strides: steps });
    const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    storages[i] = { bytes, count: data.length };
  }
  return { state: dictionary(views), storages };
}

/** A file of torch.save: zip, everything under `archive/`. */
export const torchZip = (content: Uint8Array, storages: Readonly<Record<string, Uint8Array>>): Buffer =>
  zipOf({
    'archive/data.pkl': pickled(content),
    ...Object.fromEntries(Object.entries(storages).map(([key, bytes]) => [`archive/data/${key}`, bytes])),
  });

/** A file of torch.save before 1.6: five pickles, then count and numbers of each storage. */
export function torchLegacy(
  content: Uint8Array,
  storages: Readonly<Record<string, { bytes: Uint8Array; count: number }>>,
): Buffer {
  const magic = Buffer.from('8a0a6cfc9c46f9206aa85019', 'hex');
  const keys = cat(Buffer.from(']('), ...Object.keys(storages).map(text), Buffer.from('e'));
  const machine = dictionary({ protocol_version: whole(1001), little_endian: op(0x88) });
  const data = Object.values(storages).flatMap(({ bytes, count }) => {
    const length = Buffer.alloc(8);
    length.writeBigInt64LE(BigInt(count));
    return [length, bytes];
  });
  return cat(...[magic, whole(1001), machine, content, keys].map(pickled), ...data);
}

const bytesBy = (storages: Readonly<Record<string, { bytes: Uint8Array }>>) =>
  Object.fromEntries(Object.entries(storages).map(([key, { bytes }]) => [key, bytes]));

/** A file of torch.save(state_dict), each tensor with a storage of its own. */
export function torchStateFile(tensors: Readonly<Record<string, TorchTensor>>): Buffer {
  const { state, storages } = torchPickled(tensors);
  return torchZip(state, bytesBy(storages));
}

/** A .pt file with the weights of one NCA (w1, b1, w2(, b2) as they lie) as the state dictionary of two convolutions. */
export function torchNcaFile(path: string, spec: NcaSpec, flat: Float32Array) {
  const tensors = weightBlocks(spec).map(({ name, shape, offset, size }) => [
    name.startsWith('w') ? `${name}.weight` : `w${name[1]}.bias`,
    {
      shape: name.startsWith('w') ? [...shape, 1, 1] : shape,
      data: flat.slice(offset, offset + size),
    },
  ]);
  writeFileSync(path, torchStateFile(Object.fromEntries(tensors)));
}
