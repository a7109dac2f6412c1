/** Zip archives through yauzl, and NumPy's .npz, which is one. */
import { crc32 } from 'node:zlib';
import type * as TE from 'fp-ts/lib/TaskEither.js';
import { type Entry, openPromise, type ZipFile } from 'yauzl';
import { attempt, type Failure, refuse, systemFailure } from '../config/index.ts';
import type { NdArray } from './arrays.ts';
import { decodeNpyAny } from './npy.ts';

/** An open zip archive. Its methods refuse what is not there or is damaged: call them inside `attempt` or `withZip`. */
export interface ZipArchive {
  /** Of all entries, in the order of the archive. */
  readonly names: readonly string[];
  /** Uncompressed length of an entry as the archive states it. */
  size(name: string): number;
  /** Bytes of an entry, checksum verified; refuses a name that is not there. */
  read(name: string): Promise<Buffer>;
}

/**
 * Runs `use` on an open archive. What is not a whole zip file is refused, calling it `kind`, with a hint what to do.
 * @returns a TaskEither: run it with settle()
 */
export const withZip = <A>(
  path: string,
  kind: string,
  use: (archive: ZipArchive) => Promise<A>,
  hint?: string,
): TE.TaskEither<Failure, A> =>
  attempt(path, async () => {
    const entries = new Map<string, Entry>();
    const broken = (error: unknown): never => {
      if (systemFailure(path, error)) throw error;
      return refuse(path, kind, `one that cannot be read as zip (${(error as Error).message})`, { hint });
    };
    const zip: ZipFile = await openPromise(path, { lazyEntries: true, autoClose: false }).catch(broken);
    try {
      try {
        for await (const entry of zip.eachEntry()) entries.set(entry.fileName, entry);
      } catch (error) {
        broken(error);
      }
      const entryOf = (name: string) => entries.get(name) ?? refuse(path, kind, `no entry ${name}`);
      return await use({
        names: [...entries.keys()],
        size: name => entryOf(name).uncompressedSize,
        async read(name) {
          const entry = entryOf(name);
          const chunks: Buffer[] = [];
          try {
            for await (const chunk of await zip.openReadStreamPromise(entry)) chunks.push(chunk as Buffer);
          } catch (error) {
            broken(error);
          }
          const bytes = Buffer.concat(chunks);
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

/** All numeric arrays of a .npz file, by name; arrays of strings come as string[]. @returns a TaskEither: run it with settle() */
export const readNpz = (path: string): TE.TaskEither<Failure, Record<string, NdArray | NdArray<string[]>>> =>
  withZip(path, 'a .npz archive', async archive => {
    const arrays: Record<string, NdArray | NdArray<string[]>> = {};
    for (const name of archive.names.filter(name => name.endsWith('.npy'))) {
      arrays[name.slice(0, -4)] = decodeNpyAny(await archive.read(name), `${path}:${name}`) as NdArray;
    }
    return arrays;
  });
