/** Files of foreign formats, crafted for tests. */
import { writeFileSync } from 'node:fs';
import { crc32 } from 'node:zlib';
import sharp from 'sharp';

/** A zip archive of stored (uncompressed) entries. */
export function zipOf(entries: Readonly<Record<string, Uint8Array>>): Buffer {
  const parts: Buffer[] = [];
  const directory: Buffer[] = [];
  let offset = 0;
  for (const [name, bytes] of Object.entries(entries)) {
    const fields = Buffer.alloc(26);
    fields.writeUInt16LE(20, 0); // version needed
    fields.writeUInt32LE(crc32?.(bytes) ?? 0, 10);
    fields.writeUInt32LE(bytes.length, 14);
    fields.writeUInt32LE(bytes.length, 18);
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

/** A .pt file with these storages and a pickle that must not be opened. */
export const torchFile = (path: string, storages: readonly Uint8Array[]) =>
  writeFileSync(
    path,
    zipOf({
      'archive/data.pkl': Buffer.from('not to be read'),
      ...Object.fromEntries(storages.map((bytes, i) => [`archive/data/${i}`, bytes])),
    }),
  );

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

/** A file of torch.save(state_dict): float32 tensors, contiguous, each with a storage of its own. */
export function torchStateFile(
  tensors: Readonly<Record<string, { shape: readonly number[]; data: Float32Array }>>,
): Buffer {
  const views: Record<string, Uint8Array> = {};
  const storages: Record<string, Uint8Array> = {};
  for (const [i, [name, { shape, data }]] of Object.entries(tensors).entries()) {
    const stride = shape.map((_, axis) => shape.slice(axis + 1).reduce((a, b) => a * b, 1));
    const storage = tuple(
      text('storage'),
      global('torch', 'FloatStorage'),
      text(String(i)),
      text('cpu'),
      whole(data.length),
    );
    views[name] = call(
      global('torch._utils', '_rebuild_tensor_v2'),
      cat(storage, Buffer.from('Q')),
      whole(0),
      wholes(shape),
      wholes(stride),
      op(0x89),
      call(global('collections', 'OrderedDict')),
    );
    storages[`archive/data/${i}`] = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  }
  return zipOf({ 'archive/data.pkl': pickled(dictionary(views)), ...storages });
}
