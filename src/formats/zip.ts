/** Zip archives through yauzl, and NumPy's .npz, which is one. */
import { constants } from 'node:buffer';
import { crc32 } from 'node:zlib';
import type * as TE from 'fp-ts/lib/TaskEither.js';
import { type Entry, openPromise, type ZipFile } from 'yauzl';
import { attempt, type Failure, refuse, systemFailure, UserError } from '../config/index.ts';
import type { NdArray } from './arrays.ts';
import { decodeNpyAny } from './npy.ts';

/** An open zip archive. Its methods refuse what is not there or is damaged: call them inside `attempt` or `withZip`. */
export interface ZipArchive {
  /** Of all entries, in the order of the archive. */
  readonly names: readonly string[];
  /** Uncompressed length of an entry as the archive states it: what `read` gives. */
  size(name: string): number;
  /** Bytes of an entry, checksum verified; refuses a name that is not there. */
  read(name: string): Promise<Buffer>;
}

const MOST_ENTRIES = 100_000;
/** What all entries hold may be this large whatever the file, and beyond it this many times as large as the file. */
const FREE = 64 * 2 ** 20;
const MOST_RATIO = 100;
/** One array of bytes. */
const MOST_BYTES = Math.min(2 ** 32 - 1, constants.MAX_LENGTH);

/** Opens the directory of a zip file. Entries that share a name, or together claim more bytes than the file has, are refused. */
async function directory(zip: ZipFile, path: string, kind: string): Promise<Map<string, Entry>> {
  const entries = new Map<string, Entry>();
  const most = Math.max(FREE, MOST_RATIO * zip.fileSize);
  let [compressed, whole] = [0, 0];
  for await (const entry of zip.eachEntry()) {
    const { fileName, compressedSize, uncompressedSize } = entry;
    if (entries.has(fileName)) refuse(path, kind, `a name twice in it: ${fileName}`);
    if (entries.size === MOST_ENTRIES) refuse(path, kind, `more than ${MOST_ENTRIES} entries`);
    compressed += compressedSize;
    whole += uncompressedSize;
    if (compressed > zip.fileSize) refuse(path, kind, 'entries that overlap', { field: fileName });
    if (uncompressedSize > MOST_BYTES || whole > most) {
      refuse(path, kind, `entries that state ${whole} bytes in a file of ${zip.fileSize}`, {
        field: fileName,
      });
    }
    entries.set(fileName, entry);
  }
  return entries;
}

/** The bytes of an entry, into memory of the length that the archive states. */
async function contentOf(zip: ZipFile, entry: Entry): Promise<Buffer> {
  const bytes = Buffer.allocUnsafe(entry.uncompressedSize);
  let at = 0;
  for await (const chunk of await zip.openReadStreamPromise(entry)) {
    at += (chunk as Buffer).copy(bytes, at);
  }
  if (at !== bytes.length) throw new Error(`${at} bytes in an entry of ${bytes.length}`);
  return bytes;
}

/** Runs `use` on an open archive. What is not a whole zip file is refused, calling it `kind`, with a hint what to do. */
export const withZip = <A>(
  path: string,
  kind: string,
  use: (archive: ZipArchive) => Promise<A>,
  hint?: string,
): TE.TaskEither<Failure, A> =>
  attempt(path, async () => {
    const broken = (error: unknown): never => {
      if (error instanceof UserError || systemFailure(path, error)) throw error;
      return refuse(path, kind, `one that cannot be read as zip (${(error as Error).message})`, { hint });
    };
    const zip: ZipFile = await openPromise(path, { lazyEntries: true, autoClose: false }).catch(broken);
    try {
      const entries = await directory(zip, path, kind).catch(broken);
      const entryOf = (name: string) => entries.get(name) ?? refuse(path, kind, `no entry ${name}`);
      return await use({
        names: [...entries.keys()],
        size: name => entryOf(name).uncompressedSize,
        async read(name) {
          const entry = entryOf(name);
          const bytes = await contentOf(zip, entry).catch(broken);
          // Node before 20.15 has no crc32.
          if (crc32 && crc32(bytes) !== entry.crc32)
            refuse(path, kind, 'a damaged one (checksum)', { field: name });
          return bytes;
        },
      });
    } finally {
      zip.close();
    }
  });

/** All arrays of a .npz file, by name; arrays of strings come as string[]. */
export const readNpz = (path: string): TE.TaskEither<Failure, Record<string, NdArray | NdArray<string[]>>> =>
  withZip(path, 'a .npz archive', async archive => {
    const arrays: [string, NdArray | NdArray<string[]>][] = [];
    for (const name of archive.names.filter(name => name.endsWith('.npy'))) {
      arrays.push([name.slice(0, -4), decodeNpyAny(await archive.read(name), `${path}:${name}`) as NdArray]);
    }
    return Object.fromEntries(arrays);
  });
