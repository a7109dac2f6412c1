/** NumPy's .npy files, versions 1 to 3 (numpy.lib.format): numbers and fixed-width strings; object arrays need pickle and are refused. */
import { readSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import type * as TE from 'fp-ts/lib/TaskEither.js';
import { attempt, type Failure, refuse, settle } from '../config/index.ts';
import {
  BYTES,
  bytesOf,
  columnMajor,
  decodeElements,
  type ElementType,
  elementType,
  MAX_RANK,
  type NdArray,
  type NumericArray,
  shapeText,
  sizeOf,
} from './arrays.ts';
import { writeAtomically } from './atomic.ts';
import { readBytes, readInto, sizeOfFile } from './files.ts';

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

/** Longer than any header of numbers or strings. */
const MOST_HEADER = 65_536;

/** What a header is made of: a Python literal of texts, numbers, True, False and brackets. */
const TOKEN = /\s*(?:'([^'\\]*)'|"([^"\\]*)"|(\d+)L?|(True|False)|([{}():,]))/y;

/** The dictionary of a header, parsed as the Python literal it is: exactly descr, fortran_order and shape. */
function parseLiteral(text: string, where: string): { descr: string; fortran: boolean; shape: number[] } {
  const bad = (): never =>
    refuse(
      where,
      'a .npy header with descr, fortran_order and shape',
      JSON.stringify(text.trim().slice(0, 150)),
    );
  let at = 0;
  const next = (): string | number | boolean | { sign: string } => {
    TOKEN.lastIndex = at;
    const [, single, double, digits, truth, sign] = TOKEN.exec(text) ?? bad();
    at = TOKEN.lastIndex;
    if (digits !== undefined) return Number.isSafeInteger(Number(digits)) ? Number(digits) : bad();
    if (truth !== undefined) return truth === 'True';
    return sign === undefined ? (single ?? double) : { sign };
  };
  const isSign = (token: unknown, sign: string) => (token as { sign?: string }).sign === sign;
  const tuple = (): number[] => {
    const items: number[] = [];
    for (let token = next(); !isSign(token, ')'); token = next()) {
      items.push(typeof token === 'number' ? token : bad());
      const after = next();
      // (3) is a number in brackets, (3,) a tuple.
      if (isSign(after, ')') && items.length > 1) break;
      if (!isSign(after, ',')) bad();
    }
    return items;
  };
  const found = new Map<unknown, unknown>();
  if (!isSign(next(), '{')) bad();
  for (let key = next(); !isSign(key, '}'); key = next()) {
    if (typeof key !== 'string' || found.has(key) || !isSign(next(), ':')) bad();
    const value = next();
    found.set(key, isSign(value, '(') ? tuple() : value);
    const after = next();
    if (isSign(after, '}')) break;
    if (!isSign(after, ',')) bad();
  }
  const [descr, fortran, shape] = ['descr', 'fortran_order', 'shape'].map(key => found.get(key));
  if (found.size !== 3 || text.slice(at).trim() !== '') bad();
  if (typeof descr !== 'string' || typeof fortran !== 'boolean' || !Array.isArray(shape)) return bad();
  return { descr, fortran, shape };
}

function parseHeader(start: Uint8Array, where: string): NpyHeader {
  const view = new DataView(start.buffer, start.byteOffset, start.byteLength);
  if (start.length < 12 || Buffer.from(start.subarray(0, 6)).toString('latin1') !== MAGIC) {
    refuse(where, 'a .npy file', `one that starts otherwise`);
  }
  const [major, minor] = [start[6], start[7]];
  if (major < 1 || major > 3 || minor !== 0)
    refuse(where, 'a .npy file of version 1.0, 2.0 or 3.0', `${major}.${minor}`);
  const long = major > 1;
  const length = long ? view.getUint32(8, true) : view.getUint16(8, true);
  const offset = (long ? 12 : 10) + length;
  if (length > MOST_HEADER - 12) refuse(where, `a header of at most ${MOST_HEADER - 12} bytes`, `${length}`);
  if (offset > start.length) refuse(where, `a header of ${length} bytes`, 'a truncated file');
  const text = Buffer.from(start.subarray(long ? 12 : 10, offset)).toString(major === 3 ? 'utf8' : 'latin1');
  if (/'descr'\s*:\s*\[/.test(text)) refuse(where, 'numbers or strings', 'records of several fields');
  const { descr, fortran, shape } = parseLiteral(text, where);
  const [, order, kind, width] = /^([<>|=]?)([a-zA-Z])(\d*)$/.exec(descr) ?? ['', '', descr, ''];
  const type =
    (kind === 'U' || kind === 'S') && Number.isSafeInteger(Number(width || 'x'))
      ? { characters: Number(width), bytesEach: kind === 'U' ? (4 as const) : (1 as const) }
      : Object.hasOwn(KINDS, kind + width)
        ? KINDS[kind + width]
        : undefined;
  if (!type) {
    const found = kind === 'O' ? 'Python objects (they would need unpickling)' : `the type ${kind}${width}`;
    return refuse(where, 'numbers or strings', found);
  }
  if (shape.length > MAX_RANK || !Number.isSafeInteger(sizeOf(shape))) {
    refuse(where, `a shape of at most ${MAX_RANK} axes`, `${shape.length} axes, ${sizeOf(shape)} elements`);
  }
  return { type, bigEndian: order === '>', fortran, shape, offset };
}

/** Strings, wherever they come from: each costs some memory besides its characters. */
const FREE_STRINGS = 1_000_000;
const BYTES_A_STRING = 24;

function decodeStrings(bytes: Uint8Array, { type, bigEndian, fortran, shape }: NpyHeader): string[] {
  const { characters, bytesEach } = type as { characters: number; bytesEach: 1 | 4 };
  const codes = decodeElements(bytes, bytesEach === 1 ? 'u8' : 'u32', {
    bigEndian,
    view: fortran
      ? {
          shape: [...shape, characters],
          strides: [...columnMajor(shape).map(stride => stride * characters), 1],
          offset: 0,
        }
      : undefined,
  });
  return Array.from({ length: sizeOf(shape) }, (_, i) => {
    let end = (i + 1) * characters;
    while (end > i * characters && codes[end - 1] === 0) end--;
    let text = '';
    for (let at = i * characters; at < end; at++) text += String.fromCodePoint(Math.min(codes[at], 0x10ffff));
    return text;
  });
}

/** Decodes the bytes of a whole .npy file, which are given away; strings come as string[]. */
export function decodeNpyAny(bytes: Uint8Array, where: string): NdArray<NumericArray | string[]> {
  const header = parseHeader(bytes, where);
  const { type, shape, bigEndian, fortran, offset } = header;
  const count = sizeOf(shape);
  const end = offset + count * elementBytes(header);
  if (bytes.length < end) refuse(where, `${end} bytes for shape ${shapeText(shape)}`, `${bytes.length}`);
  const body = bytes.subarray(offset, end);
  if (typeof type === 'string') {
    const view = fortran ? { shape, strides: columnMajor(shape), offset: 0 } : undefined;
    return { shape, data: decodeElements(body, type, { bigEndian, view }) };
  }
  const most = FREE_STRINGS + body.length / BYTES_A_STRING;
  if (count > most) refuse(where, `at most ${FREE_STRINGS} strings in ${body.length} bytes`, `${count}`);
  return { shape, data: decodeStrings(body, header) };
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
    const size = await sizeOfFile(path);
    const file = await open(path, 'r');
    try {
      return await rowsOf(file, size, path);
    } catch (error) {
      await file.close();
      throw error;
    }
  });

async function rowsOf(file: FileHandle, size: number, path: string): Promise<NpyRows> {
  const start = new Uint8Array(Math.min(size, MOST_HEADER));
  await readInto(file, start, 0, path);
  const { type, shape, offset, bigEndian, fortran } = parseHeader(start, path);
  if (typeof type !== 'string') return refuse(path, 'numbers', 'strings');
  if (shape.length === 0) return refuse(path, 'an array of rows', 'a scalar');
  const rowSize = sizeOf(shape.slice(1));
  const end = offset + sizeOf(shape) * BYTES[type];
  if (size < end) refuse(path, `${end} bytes for shape ${shapeText(shape)}`, `${size}`);
  const floats = (data: NumericArray) => (data instanceof Float32Array ? data : Float32Array.from(data));
  return {
    shape,
    async rows(first, count) {
      const bytes = new Uint8Array(count * rowSize * BYTES[type]);
      if (!fortran) {
        await readInto(file, bytes, offset + first * rowSize * BYTES[type], path);
        return floats(decodeElements(bytes, type, { bigEndian }));
      }
      // In Fortran order the rows wanted are `count` neighbours in each of rowSize columns.
      const column = count * BYTES[type];
      for (let c = 0; c < rowSize; c++) {
        const at = offset + (c * shape[0] + first) * BYTES[type];
        if (readSync(file.fd, bytes, c * column, column, at) !== column)
          refuse(path, `${end} bytes`, 'fewer');
      }
      const strides = columnMajor([count, ...shape.slice(1)]);
      const view = { shape: [count, ...shape.slice(1)], strides, offset: 0 };
      return floats(decodeElements(bytes, type, { bigEndian, view }));
    },
    close: () => file.close(),
  };
}

/** The bytes of a .npy file, version 1.0, C order. */
export function encodeNpy({ shape, data }: NdArray): Uint8Array {
  const type = elementType(data);
  const [kind] = Object.entries(KINDS).find(([, name]) => name === type)!;
  return npyBytes(`${BYTES[type] === 1 ? '|' : '<'}${kind}`, shape, bytesOf(data));
}

/** Strings as NumPy keeps them: each as wide as the longest, four bytes a character. */
export function encodeNpyStrings({ shape, data }: NdArray<readonly string[]>): Uint8Array {
  const texts = data.map(text => [...text].map(character => character.codePointAt(0)!));
  const width = Math.max(1, ...texts.map(({ length }) => length));
  const codes = new Uint32Array(texts.length * width);
  texts.forEach((text, i) => {
    codes.set(text, i * width);
  });
  return npyBytes(`<U${width}`, shape, bytesOf(codes));
}

function npyBytes(descr: string, shape: readonly number[], data: Uint8Array): Uint8Array {
  const tuple = shape.length === 1 ? `(${shape[0]},)` : `(${shape.join(', ')})`;
  const text = `{'descr': '${descr}', 'fortran_order': False, 'shape': ${tuple}, }`;
  // Data starts at a multiple of 64 bytes.
  const length = Math.ceil((10 + text.length + 1) / 64) * 64;
  const head = Buffer.alloc(length, ' ');
  head.write(`${MAGIC}\x01\x00`, 0, 'latin1');
  head.writeUInt16LE(length - 10, 8);
  head.write(text, 10, 'latin1');
  head[length - 1] = 10;
  return Buffer.concat([head, data]);
}

/** Writes an array as a .npy file, version 1.0, C order, whole or not at all. @returns a TaskEither: run it with settle() */
export const writeNpy = (path: string, array: NdArray) => writeAtomically(path, encodeNpy(array));
