/** Reading files, of a size and from a place that is looked at first. */
import { type FileHandle, open, readFile, realpath, stat } from 'node:fs/promises';
import { relative, resolve, sep } from 'node:path';
import type * as TE from 'fp-ts/lib/TaskEither.js';
import { attempt, type Failure, refuse } from '../config/index.ts';
import { parseJson } from './json.ts';

/** What is read whole: Node reads no more at once, and no text is longer than a quarter of it. */
const MOST_BYTES = 2 ** 31 - 1;
const MOST_TEXT = 2 ** 27;

/** Length of a file. What is no regular file is refused before it is opened: a pipe may never answer. */
export async function sizeOfFile(path: string): Promise<number> {
  const found = await stat(path);
  if (found.isDirectory()) refuse(path, 'a file', 'a folder');
  return found.isFile() ? found.size : refuse(path, 'a file', 'a device or pipe');
}

/** Opens a regular file, runs `use` on it and closes it. */
export async function withFile<A>(
  path: string,
  use: (file: FileHandle, size: number) => Promise<A>,
): Promise<A> {
  const size = await sizeOfFile(path);
  const file = await open(path, 'r');
  try {
    return await use(file, size);
  } finally {
    await file.close();
  }
}

async function checkWhole(path: string, most: number): Promise<void> {
  const size = await sizeOfFile(path);
  if (size > most) refuse(path, `a file of at most ${most} bytes`, `one of ${size}`);
}

/** Whole file as bytes. */
export const readBytes = (path: string): TE.TaskEither<Failure, Buffer> =>
  attempt(path, async () => {
    await checkWhole(path, MOST_BYTES);
    return readFile(path);
  });

/** Whole file as parsed JSON. @returns a TaskEither: run it with settle() */
export const readJson = (path: string): TE.TaskEither<Failure, unknown> =>
  attempt(path, async () => {
    await checkWhole(path, MOST_TEXT);
    return parseJson(await readFile(path, 'utf8'), path);
  });

/** Fills `into` from a position of an open file; refuses when the file ends before. */
export async function readInto(file: FileHandle, into: Uint8Array, position: number, where: string) {
  let done = 0;
  while (done < into.length) {
    // One read is at most 2 GiB, whatever the buffer.
    const { bytesRead } = await file.read(into, done, Math.min(into.length - done, 1 << 30), position + done);
    if (bytesRead === 0)
      refuse(where, `at least ${position + into.length} bytes`, `a truncated file of ${position + done}`);
    done += bytesRead;
  }
}

/** The path of `name` inside `folder`; refuses names that lead out of it. `where` and `field` say who gave the name. */
export function inside(folder: string, name: string, where: string, field: string): string {
  const path = resolve(folder, name);
  const way = relative(resolve(folder), path);
  if (
    name === '' ||
    name.includes('\0') ||
    way === '' ||
    way === '..' ||
    way.startsWith(`..${sep}`) ||
    resolve(way) === way
  ) {
    refuse(where, 'a path inside the folder', JSON.stringify(name), { field });
  }
  return path;
}

/** The same for a file that is there: it must be a regular one, and lie in the folder when links are followed. */
export async function fileInside(
  folder: string,
  name: string,
  where: string,
  field: string,
): Promise<string> {
  const path = inside(folder, name, where, field);
  const found = await stat(path).catch(() => refuse(path, 'a file or folder that exists', 'nothing there'));
  if (!found.isFile())
    refuse(where, `a file at ${name}`, found.isDirectory() ? 'a folder' : 'a device or pipe', { field });
  const real = relative(await realpath(folder), await realpath(path));
  if (real === '..' || real.startsWith(`..${sep}`) || resolve(real) === real) {
    refuse(where, `a file inside the folder at ${name}`, 'a link that leads out of it', { field });
  }
  return path;
}
