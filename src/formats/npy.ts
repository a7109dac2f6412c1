/** NumPy's .npy files, versions 1 to 3 (numpy.lib.format): numbers and fixed-width strings; object arrays need pickle and are refused. */
import { type FileHandle, open } from 'node:fs/promises';
import type * as TE from 'fp-ts/lib/TaskEither.js';
import { attempt, type Failure, refuse, settle } from '../config/index.ts';
import {
  BYTES,
  bytesOf,
  decodeElements,
  type ElementType,
  elementType,
  type NdArray,
  type NumericArray,
  shapeText,
  sizeOf,
} from './arrays.ts';
import { readBytes, readInto, writeAtomically } from './files.ts';

interface NpyHeader {
  /** Element type, or the number of characters of a string array ('U', 4 bytes each, or 'S', one byte each). */
  readonly type: ElementType | { readonly characters: number; readonly bytesEach: 1 | 4 };
  readonly bigEndian: boolean;
  readonly fortran: boolean;
  readonly shape: readonly number[];
  readonly offset: number;
}

const KINDS: Record<string, ElementType> = {
  f2: 'f16',
  f4: 'f32',
  f8: 'f64',
  i1: 'i8',
  i2: 'i16',
  i4: 'i32',
  i8: 'i64',
  u1: 'u8',
  u2: 'u16',
  u4: 'u32',
  u8: 'u64',
  b1: 'bool',
};
const MAGIC = '\x93NUMPY';

const elementBytes = ({ type }: NpyHeader) =>
  typeof type === 'string' ? BYTES[type] : type.characters * type.bytesEach;

function parseHeader(start: Uint8Array, where: string): NpyHeader {
  const view = new DataView(start.buffer, start.byteOffset, start.byteLength);
  if (start.length < 12 || Buffer.from(start.subarray(0, 6)).toString('latin1') !== MAGIC) {
    refuse(where, 'a .npy file', `one that starts otherwise`);
  }
  const long = start[6] > 1;
  const length = long ? view.getUint32(8, true) : view.getUint16(8, true);
  const offset = (long ? 12 : 10) + length;
  if (offset > start.length) refuse(where, `a header of ${length} bytes`, 'a truncated file');
  const text = Buffer.from(start.subarray(long ? 12 : 10, offset)).toString('latin1');
  const descr = /'descr'\s*:\s*'([<>|=]?)([a-zA-Z])(\d*)'/.exec(text);
  const fortran = /'fortran_order'\s*:\s*(True|False)/.exec(text);
  const shape = /'shape'\s*:\s*\(([\d,\s]*)\)/.exec(text);
  if (!descr || !fortran || !shape) {
    return refuse(where, 'a .npy header with descr, fortran_order and shape', JSON.stringify(text.trim()));
  }
  const [, order, kind, width] = descr;
  const type =
    kind === 'U' || kind === 'S'
      ? { characters: Number(width), bytesEach: kind === 'U' ? (4 as const) : (1 as const) }
      : KINDS[kind + width];
  if (!type) {
    const found = kind === 'O' ? 'Python objects (they would need unpickling)' : `the type ${kind}${width}`;
    return refuse(where, 'numbers or strings', found);
  }
  return {
    type,
    bigEndian: order === '>',
    fortran: fortran[1] === 'True',
    shape: shape[1]
      .split(',')
      .map(part => part.trim())
      .filter(Boolean)
      .map(Number),
    offset,
  };
}

/** Reorders column-major data to row-major. */
function toRowMajor<Data extends NumericArray | string[]>(data: Data, shape: readonly number[]): Data {
  const out = data.slice() as Data;
  const index = new Array<number>(shape.length).fill(0);
  for (let row = 0; row < data.length; row++) {
    let column = 0;
    for (let axis = shape.length - 1; axis >= 0; axis--) column = column * shape[axis] + index[axis];
    out[row] = data[column];
    for (let axis = shape.length - 1; axis >= 0 && ++index[axis] === shape[axis]; axis--) index[axis] = 0;
  }
  return out;
}

function decodeStrings(bytes: Uint8Array, { type, bigEndian }: NpyHeader, count: number): string[] {
  const { characters, bytesEach } = type as { characters: number; bytesEach: 1 | 4 };
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Array.from({ length: count }, (_, i) => {
    let text = '';
    for (let c = 0; c < characters; c++) {
      const at = (i * characters + c) * bytesEach;
      const code = bytesEach === 1 ? bytes[at] : view.getUint32(at, !bigEndian);
      text += String.fromCodePoint(Math.min(code, 0x10ffff));
    }
    return text.replace(/\0+$/, '');
  });
}

/** Decodes the bytes of a whole .npy file; strings come as string[]. */
export function decodeNpyAny(bytes: Uint8Array, where: string): NdArray<NumericArray | string[]> {
  const header = parseHeader(bytes, where);
  const count = sizeOf(header.shape);
  const end = header.offset + count * elementBytes(header);
  if (bytes.length < end)
    refuse(where, `${end} bytes for shape ${shapeText(header.shape)}`, `${bytes.length}`);
  const body = bytes.subarray(header.offset, end);
  const data =
    typeof header.type === 'string'
      ? decodeElements(body, header.type, header.bigEndian)
      : decodeStrings(body, header, count);
  return { shape: header.shape, data: header.fortran ? toRowMajor(data, header.shape) : data };
}

/** A .npy file of numbers. @returns a TaskEither: run it with settle() */
export const readNpy = (path: string): TE.TaskEither<Failure, NdArray> =>
  attempt(path, async () => {
    const { shape, data } = await readAny(path);
    return Array.isArray(data) ? refuse(path, 'numbers', 'strings') : { shape, data };
  });

/** A .npy file of strings. @returns a TaskEither: run it with settle() */
export const readNpyStrings = (path: string): TE.TaskEither<Failure, NdArray<string[]>> =>
  attempt(path, async () => {
    const { shape, data } = await readAny(path);
    return Array.isArray(data) ? { shape, data } : refuse(path, 'strings', 'numbers');
  });

const readAny = async (path: string) => decodeNpyAny(await settle(readBytes(path)), path);

/** An open .npy file whose rows are read as they are asked for. Close it. */
export interface NpyRows {
  /** Shape of the whole array, rows first. */
  readonly shape: readonly number[];
  /** Rows `start` to `start + count` as float32. */
  rows(start: number, count: number): Promise<Float32Array>;
  close(): Promise<void>;
}

/**
 * Opens a .npy file of numbers to read some rows at a time: for arrays that should not be in memory whole.
 * @returns a TaskEither: run it with settle()
 */
export const openNpyRows = (path: string): TE.TaskEither<Failure, NpyRows> =>
  attempt(path, async () => {
    const file = await open(path, 'r');
    try {
      return await rowsOf(file, path);
    } catch (error) {
      await file.close();
      throw error;
    }
  });

async function rowsOf(file: FileHandle, path: string): Promise<NpyRows> {
  const { size } = await file.stat();
  const start = new Uint8Array(Math.min(size, 65_536));
  await readInto(file, start, 0, path);
  const header = parseHeader(start, path);
  const { type, shape, offset, bigEndian } = header;
  if (typeof type !== 'string') return refuse(path, 'numbers', 'strings');
  if (header.fortran && shape.length > 1) {
    refuse(path, 'an array in C order', 'one in Fortran order', {
      hint: 'Save numpy.ascontiguousarray(it).',
    });
  }
  const rowSize = sizeOf(shape.slice(1));
  const end = offset + sizeOf(shape) * BYTES[type];
  if (size < end) refuse(path, `${end} bytes for shape ${shapeText(shape)}`, `${size}`);
  return {
    shape,
    async rows(first, count) {
      const bytes = new Uint8Array(count * rowSize * BYTES[type]);
      await readInto(file, bytes, offset + first * rowSize * BYTES[type], path);
      return type === 'f32' && !bigEndian
        ? new Float32Array(bytes.buffer)
        : Float32Array.from(decodeElements(bytes, type, bigEndian));
    },
    close: () => file.close(),
  };
}

/** The bytes of a .npy file, version 1.0, C order. */
export function encodeNpy({ shape, data }: NdArray): Uint8Array {
  const type = elementType(data);
  const [kind] = Object.entries(KINDS).find(([, name]) => name === type)!;
  const order = BYTES[type] === 1 ? '|' : '<';
  const tuple = shape.length === 1 ? `(${shape[0]},)` : `(${shape.join(', ')})`;
  const text = `{'descr': '${order}${kind}', 'fortran_order': False, 'shape': ${tuple}, }`;
  // Data starts at a multiple of 64 bytes.
  const length = Math.ceil((10 + text.length + 1) / 64) * 64;
  const head = Buffer.alloc(length, ' ');
  head.write(`${MAGIC}\x01\x00`, 0, 'latin1');
  head.writeUInt16LE(length - 10, 8);
  head.write(text, 10, 'latin1');
  head[length - 1] = 10;
  return Buffer.concat([head, bytesOf(data)]);
}

/** Writes an array as a .npy file, version 1.0, C order, whole or not at all. @returns a TaskEither: run it with settle() */
export const writeNpy = (path: string, array: NdArray) => writeAtomically(path, encodeNpy(array));
