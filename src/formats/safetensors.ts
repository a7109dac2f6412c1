/**
 * Safetensors: 8 bytes of header length, a JSON header {name: {dtype, shape, data_offsets}}, then the raw little-endian data.
 * https://huggingface.co/docs/safetensors
 */
import type { FileHandle } from 'node:fs/promises';
import type * as TE from 'fp-ts/lib/TaskEither.js';
import { attempt, type Failure, refuse, suggestion } from '../config/index.ts';
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
import { writeAll, writeAtomically } from './atomic.ts';
import { readInto, withFile } from './files.ts';
import { MOST_HEADER, parseSafetensorsHeader, type SafetensorsHeader } from './safetensors-header.ts';

export async function readHeader(file: FileHandle, size: number, path: string): Promise<SafetensorsHeader> {
  const start = Buffer.alloc(8);
  if (size < 8) refuse(path, 'a safetensors file', `only ${size} bytes`);
  await readInto(file, start, 0, path);
  const length = Number(start.readBigUInt64LE());
  if (length > Math.min(MOST_HEADER, size - 8)) {
    refuse(path, 'a safetensors file', `a header length of ${length} in a file of ${size} bytes`);
  }
  const header = Buffer.alloc(length);
  await readInto(file, header, 8, path);
  return parseSafetensorsHeader(header, path, size - 8 - length);
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
  attempt(path, () =>
    withFile(path, async (file, size) => {
      const { entries, metadata, dataStart } = await readHeader(file, size, path);
      // Not assigned one by one: a tensor may be called __proto__.
      const tensors: [string, NdArray][] = [];
      for (const name of names ?? entries.keys()) {
        const { type, stored, shape, begin, end } =
          entries.get(name) ??
          refuse(path, `a tensor ${name}`, 'none of that name', {
            hint: suggestion(name, [...entries.keys()]),
          });
        if (!type) return refuse(path, 'a type that is read here', stored, { field: name });
        const bytes = new Uint8Array(end - begin);
        await readInto(file, bytes, dataStart + begin, path);
        tensors.push([name, { shape, data: decodeElements(bytes, type) }]);
      }
      return { tensors: Object.fromEntries(tensors), metadata };
    }),
  );

/** Names, types, shapes and metadata of a file, without its data. @returns a TaskEither: run it with settle() */
export const readSafetensorsHeader = (path: string): TE.TaskEither<Failure, SafetensorsHeader> =>
  attempt(path, () => withFile(path, (file, size) => readHeader(file, size, path)));

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
  const header: [string, unknown][] = Object.keys(metadata).length > 0 ? [['__metadata__', metadata]] : [];
  let end = 0;
  for (const { name, type, shape } of tensors) {
    const begin = end;
    end += sizeOf(shape) * BYTES[type];
    header.push([name, { dtype: type.toUpperCase(), shape, data_offsets: [begin, end] }]);
  }
  const text = JSON.stringify(Object.fromEntries(header));
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
  tensors: Readonly<Record<string, NdArray<NumericArray | BigInt64Array> | StreamedArray>>,
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
