/**
 * Readers of the formats, written from each format's text and as plain as can be: one number at a time, no limits, no speed. What a reader of the
 * project accepts has to be accepted here, with the same numbers. They throw at what the format does not allow.
 *   npy          https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
 *   zip          https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT (stored and deflated entries)
 */
import { crc32, inflateRawSync } from 'node:zlib';

export interface PlainArray {
  shape: number[];
  values: (number | string)[];
}
export type PlainArrays = Map<string, PlainArray>;

/** What the plain reader has no opinion of: rare parts of a format that tests of their own cover. */
export class Unknown extends Error {}

export function demand(holds: unknown, what: string): asserts holds {
  if (!holds) throw new Error(what);
}
export const product = (shape: readonly number[]) => shape.reduce((a, b) => a * b, 1);
export const natural = (x: unknown): number => {
  demand(
    typeof x === 'number' && Number.isInteger(x) && x >= 0 && !Object.is(x, -0),
    'a whole number from 0',
  );
  return x;
};

/** One number of a type at a place. */
export function numberAt(view: DataView, type: string, at: number, little: boolean): number {
  switch (type) {
    case 'f8':
      return view.getFloat64(at, little);
    case 'f4':
      return view.getFloat32(at, little);
    case 'f2': {
      const bits = view.getUint16(at, little);
      const [exponent, fraction] = [(bits >> 10) & 31, bits & 1023];
      const size =
        exponent === 31
          ? fraction
            ? Number.NaN
            : Number.POSITIVE_INFINITY
          : exponent === 0
            ? fraction / 2 ** 24
            : (1 + fraction / 1024) * 2 ** (exponent - 15);
      return bits & 0x8000 ? -size : size;
    }
    case 'bf16': {
      const four = new DataView(new ArrayBuffer(4));
      four.setUint16(0, view.getUint16(at, little));
      return four.getFloat32(0);
    }
    case 'i8':
      return Number(view.getBigInt64(at, little));
    case 'u8':
      return Number(view.getBigUint64(at, little));
    case 'i4':
      return view.getInt32(at, little);
    case 'u4':
      return view.getUint32(at, little);
    case 'i2':
      return view.getInt16(at, little);
    case 'u2':
      return view.getUint16(at, little);
    case 'i1':
      return view.getInt8(at);
    case 'u1':
    case 'b1':
      return view.getUint8(at);
  }
  throw new Error(`type ${type}`);
}
export const widthOf = (type: string) => (type === 'bf16' ? 2 : Number(type.slice(1)));

/** All indices of a shape in row-major order. */
export function* indices(shape: readonly number[]): Generator<number[]> {
  const count = product(shape);
  for (let i = 0; i < count; i++) {
    const index: number[] = [];
    let rest = i;
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      index[axis] = rest % shape[axis];
      rest = Math.floor(rest / shape[axis]);
    }
    yield index;
  }
}

export const viewOf = (bytes: Uint8Array) => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

export function plainNpy(bytes: Uint8Array): PlainArray {
  const view = viewOf(bytes);
  demand(Buffer.from(bytes.subarray(0, 6)).toString('latin1') === '\x93NUMPY', 'magic');
  demand([1, 2, 3].includes(bytes[6]) && bytes[7] === 0, 'version');
  const start = bytes[6] === 1 ? 10 : 12;
  const length = bytes[6] === 1 ? view.getUint16(8, true) : view.getUint32(8, true);
  demand(start + length <= bytes.length, 'header');
  const text = Buffer.from(bytes.subarray(start, start + length)).toString('latin1');
  // A Python literal of texts, numbers, booleans and tuples is JSON but for its signs.
  const json = text
    .replaceAll("'", '"')
    .replaceAll('True', 'true')
    .replaceAll('False', 'false')
    .replace(/(\d)L/g, '$1')
    .replace(/\(([\d\s,]*?),?\s*\)/g, '[$1]')
    .replace(/,\s*\}/, '}');
  const header = JSON.parse(json) as Record<string, unknown>;
  demand(Object.keys(header).sort().join() === 'descr,fortran_order,shape', 'keys');
  const { descr, fortran_order: fortran, shape } = header;
  demand(typeof fortran === 'boolean' && Array.isArray(shape), 'header');
  shape.forEach(natural);
  const [, order, kind, digits] = /^([<>|=]?)([fiubUS])(\d+)$/.exec(String(descr)) ?? [];
  demand(kind, 'type');
  const isText = kind === 'U' || kind === 'S';
  const characters = Number(digits);
  const unit = isText ? characters * (kind === 'U' ? 4 : 1) : characters;
  const body = bytes.subarray(start + length);
  const data = viewOf(body);
  demand(body.length >= product(shape) * unit, 'truncated');
  const values: (number | string)[] = [];
  for (const index of indices(shape)) {
    let place = 0;
    if (fortran)
      for (let axis = shape.length - 1; axis >= 0; axis--) place = place * shape[axis] + index[axis];
    else for (let axis = 0; axis < shape.length; axis++) place = place * shape[axis] + index[axis];
    if (!isText) {
      values.push(numberAt(data, kind + digits, place * unit, order !== '>'));
      continue;
    }
    let text = '';
    for (let c = 0; c < characters; c++) {
      const code =
        kind === 'S' ? body[place * unit + c] : data.getUint32(place * unit + 4 * c, order !== '>');
      text += String.fromCodePoint(Math.min(code, 0x10ffff));
    }
    let end = text.length;
    while (end > 0 && text[end - 1] === '\0') end--;
    values.push(text.slice(0, end));
  }
  return { shape, values };
}

export function plainZip(bytes: Uint8Array): Map<string, Uint8Array> {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  const end = buffer.lastIndexOf('PK\x05\x06', undefined, 'latin1');
  demand(end >= 0, 'end of directory');
  const entries = new Map<string, Uint8Array>();
  let at = buffer.readUInt32LE(end + 16);
  for (let i = 0; i < buffer.readUInt16LE(end + 10); i++) {
    demand(buffer.readUInt32LE(at) === 0x02014b50, 'directory');
    const [method, crc] = [buffer.readUInt16LE(at + 10), buffer.readUInt32LE(at + 16)];
    const [packed, size] = [buffer.readUInt32LE(at + 20), buffer.readUInt32LE(at + 24)];
    const nameLength = buffer.readUInt16LE(at + 28);
    const name = buffer.toString(
      buffer.readUInt16LE(at + 8) & 0x800 ? 'utf8' : 'latin1',
      at + 46,
      at + 46 + nameLength,
    );
    const local = buffer.readUInt32LE(at + 42);
    demand(buffer.readUInt32LE(local) === 0x04034b50, 'local header');
    const start = local + 30 + buffer.readUInt16LE(local + 26) + buffer.readUInt16LE(local + 28);
    const raw = buffer.subarray(start, start + packed);
    demand(raw.length === packed, 'truncated entry');
    demand(method === 0 || method === 8, 'method');
    const content = method === 0 ? raw : inflateRawSync(raw, { maxOutputLength: size + 1 });
    demand(content.length === size && crc32(content) === crc, 'checksum');
    demand(!entries.has(name), 'a name twice');
    entries.set(name, content);
    at += 46 + nameLength + buffer.readUInt16LE(at + 30) + buffer.readUInt16LE(at + 32);
  }
  return entries;
}

export function plainNpz(bytes: Uint8Array): PlainArrays {
  const arrays: PlainArrays = new Map();
  for (const [name, content] of plainZip(bytes))
    if (name.endsWith('.npy')) arrays.set(name.slice(0, -4), plainNpy(content));
  return arrays;
}
