/**
 * Safetensors: 8 bytes of header length, a JSON header {name: {dtype, shape, data_offsets}}, then the raw little-endian data.
 * https://huggingface.co/docs/safetensors
 */
import { type FileHandle, open } from 'node:fs/promises';
import type * as TE from 'fp-ts/lib/TaskEither.js';
import { attempt, type Failure, refuse, suggestion } from '../config/index.ts';
import {
  BYTES,
  bytesOf,
  decodeElements,
  type ElementType,
  elementType,
  type NdArray,
  shapeText,
  sizeOf,
} from './arrays.ts';
import { readInto, writeAll, writeAtomically } from './files.ts';

const TYPES: Record<string, ElementType> = {
  F16: 'f16',
  BF16: 'bf16',
  F32: 'f32',
  F64: 'f64',
  I8: 'i8',
  I16: 'i16',
  I32: 'i32',
  I64: 'i64',
  U8: 'u8',
  U16: 'u16',
  U32: 'u32',
  U64: 'u64',
  BOOL: 'bool',
};
const HEADER_LIMIT = 100_000_000;

export interface SafetensorsEntry {
  readonly type: ElementType;
  readonly shape: readonly number[];
  /** Byte range in the data section. */
  readonly begin: number;
  readonly end: number;
}

/** What a file says of its tensors before their data: types, shapes and places. */
export interface SafetensorsHeader {
  readonly entries: ReadonlyMap<string, SafetensorsEntry>;
  readonly metadata: Readonly<Record<string, string>>;
  /** Where the data section starts in the file. */
  readonly dataStart: number;
}

const isNatural = (x: unknown): x is number => Number.isSafeInteger(x) && (x as number) >= 0;

/** Checks and decodes the JSON header. `dataSize` is the length of the data section, when known. */
export function parseSafetensorsHeader(text: string, where: string, dataSize?: number): SafetensorsHeader {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return refuse(where, 'a safetensors file', 'one whose header is not JSON');
  }
  if (typeof json !== 'object' || json === null || Array.isArray(json)) {
    return refuse(where, 'a safetensors header', 'JSON that is no object');
  }
  const { __metadata__: metadata = {}, ...tensors } = json as Record<string, unknown>;
  const entries = new Map<string, SafetensorsEntry>();
  for (const [name, value] of Object.entries(tensors)) {
    const { dtype, shape, data_offsets: offsets } = (value ?? {}) as Record<string, unknown>;
    const bad = (expected: string, found: unknown) => refuse(where, expected, String(found), { field: name });
    const type = TYPES[String(dtype)] ?? bad(`one of the types ${Object.keys(TYPES).join(', ')}`, dtype);
    if (!Array.isArray(shape) || !shape.every(isNatural)) return bad('a shape', JSON.stringify(shape));
    if (!Array.isArray(offsets) || offsets.length !== 2 || !offsets.every(isNatural)) {
      return bad('two data offsets', JSON.stringify(offsets));
    }
    const [begin, end] = offsets as [number, number];
    const bytes = sizeOf(shape) * BYTES[type];
    if (end - begin !== bytes) bad(`${bytes} bytes for shape ${shapeText(shape)}`, end - begin);
    if (dataSize !== undefined && end > dataSize) {
      bad(`data up to byte ${end}`, `a truncated file with ${dataSize}`);
    }
    entries.set(name, { type, shape, begin, end });
  }
  const texts = Object.entries(metadata as object).map(([key, value]) => [key, String(value)]);
  return { entries, metadata: Object.fromEntries(texts), dataStart: 8 + Buffer.byteLength(text) };
}

async function readHeader(file: FileHandle, path: string): Promise<SafetensorsHeader> {
  const { size } = await file.stat();
  const start = Buffer.alloc(8);
  if (size < 8) refuse(path, 'a safetensors file', `only ${size} bytes`);
  await readInto(file, start, 0, path);
  const length = Number(start.readBigUInt64LE());
  if (length > Math.min(HEADER_LIMIT, size - 8)) {
    refuse(path, 'a safetensors file', `a header length of ${length} in a file of ${size} bytes`);
  }
  const header = Buffer.alloc(length);
  await readInto(file, header, 8, path);
  return parseSafetensorsHeader(header.toString('utf8'), path, size - 8 - length);
}

/** The tensors of a file by name, and the texts in its metadata. */
export interface Safetensors {
  readonly tensors: Record<string, NdArray>;
  readonly metadata: Readonly<Record<string, string>>;
}

/** Reads all tensors of a file, or only those named (each of which must be there). @returns a TaskEither: run it with settle() */
export const readSafetensors = (
  path: string,
  { names }: { names?: readonly string[] } = {},
): TE.TaskEither<Failure, Safetensors> =>
  attempt(path, async () => {
    const file = await open(path, 'r');
    try {
      const { entries, metadata, dataStart } = await readHeader(file, path);
      const tensors: Record<string, NdArray> = {};
      for (const name of names ?? entries.keys()) {
        const entry = entries.get(name);
        if (!entry) {
          return refuse(path, `a tensor ${name}`, 'none of that name', {
            hint: suggestion(name, [...entries.keys()]),
          });
        }
        const floats = entry.type === 'f32' ? new Float32Array(sizeOf(entry.shape)) : undefined;
        const bytes = floats ? bytesOf(floats) : new Uint8Array(entry.end - entry.begin);
        await readInto(file, bytes, dataStart + entry.begin, path);
        tensors[name] = { shape: entry.shape, data: floats ?? decodeElements(bytes, entry.type) };
      }
      return { tensors, metadata };
    } finally {
      await file.close();
    }
  });

/** Names, types, shapes and metadata of a file, without its data. @returns a TaskEither: run it with settle() */
export const readSafetensorsHeader = (path: string): TE.TaskEither<Failure, SafetensorsHeader> =>
  attempt(path, async () => {
    const file = await open(path, 'r');
    try {
      return await readHeader(file, path);
    } finally {
      await file.close();
    }
  });

/** A float32 tensor that is produced piece by piece while it is written. */
export interface StreamedArray {
  readonly shape: readonly number[];
  /** Its numbers in row-major order, in pieces of any length. */
  readonly chunks: AsyncIterable<Float32Array>;
}

/** What a file starts with: the length of the header and the header. The data of the tensors follows in the order given. */
export function safetensorsStart(
  tensors: readonly {
    readonly name: string;
    readonly type: ElementType;
    readonly shape: readonly number[];
  }[],
  metadata: Readonly<Record<string, string>> = {},
): Buffer {
  const header: Record<string, unknown> = Object.keys(metadata).length > 0 ? { __metadata__: metadata } : {};
  let end = 0;
  for (const { name, type, shape } of tensors) {
    const begin = end;
    end += sizeOf(shape) * BYTES[type];
    header[name] = { dtype: type.toUpperCase(), shape, data_offsets: [begin, end] };
  }
  const text = JSON.stringify(header);
  const padded = Buffer.from(text + ' '.repeat(-Buffer.byteLength(text) & 7));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(padded.length));
  return Buffer.concat([length, padded]);
}

/**
 * Writes tensors (atomically); larger element types first, so that every tensor is aligned. Metadata values are texts.
 * @returns a TaskEither: run it with settle()
 */
export function writeSafetensors(
  path: string,
  tensors: Readonly<Record<string, NdArray | StreamedArray>>,
  metadata: Readonly<Record<string, string>> = {},
): TE.TaskEither<Failure, void> {
  const typed = Object.entries(tensors).map(([name, array]) => {
    if (!('chunks' in array) && array.data.length !== sizeOf(array.shape)) {
      throw new Error(`${name}: ${array.data.length} numbers for shape ${shapeText(array.shape)}`);
    }
    const type: ElementType = 'chunks' in array ? 'f32' : elementType(array.data);
    return { name, array, type, shape: array.shape };
  });
  const ordered = typed.sort((a, b) => BYTES[b.type] - BYTES[a.type]);
  return writeAtomically(path, async file => {
    await writeAll(file, safetensorsStart(ordered, metadata));
    for (const { name, array } of ordered) {
      if (!('chunks' in array)) {
        await writeAll(file, bytesOf(array.data));
        continue;
      }
      let written = 0;
      for await (const chunk of array.chunks) {
        written += chunk.length;
        await writeAll(file, bytesOf(chunk));
      }
      if (written !== sizeOf(array.shape)) {
        throw new Error(`${name}: ${written} numbers for shape ${shapeText(array.shape)}`);
      }
    }
  });
}
