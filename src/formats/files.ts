/** Reading and writing files so that nothing is ever half-written: under a temporary name first, then renamed. */
import { createHash } from 'node:crypto';
import {
  type FileHandle,
  mkdir,
  open,
  readdir,
  readFile,
  realpath,
  rename,
  rm,
  stat,
} from 'node:fs/promises';
import { hostname } from 'node:os';
import { basename, dirname, join, relative, resolve, sep } from 'node:path';
import type * as TE from 'fp-ts/lib/TaskEither.js';
import { attempt, type Failure, refuse } from '../config/index.ts';
import { parseJson } from './json.ts';
import { lives } from './processes.ts';

let counter = 0;
/** A hidden name beside the target (a rename needs the same file system), unlike any other of this process or another. */
const temporaryName = (target: string) =>
  join(
    dirname(target),
    `.${basename(target)}.${MACHINE}-${process.pid}.${Date.now().toString(36)}.${counter++}.tmp`,
  );
/** This machine's name in names of temporary files: its processes' numbers mean nothing on another. */
const MACHINE = createHash('sha256').update(hostname()).digest('hex').slice(0, 6);

/** Removes the temporary files in a folder whose makers are dead, and puts back a folder that was being replaced when its maker died. */
export async function removeLeftovers(folder: string): Promise<void> {
  const names = await readdir(folder).catch((): string[] => []);
  for (const name of names) {
    const found = /^\.(.+)\.([0-9a-f]{6})-(\d+)\.([0-9a-z]+)\.\d+\.tmp(\.old)?$/.exec(name);
    if (!found || found[2] !== MACHINE) continue;
    // Another process may have the number by now: then the leftover stays, and takes nothing but room.
    if (lives({ host: hostname(), pid: Number(found[3]), started: null })) continue;
    const target = join(folder, found[1]);
    const standing = await stat(target).catch(() => undefined);
    if (found[5] && !standing) await rename(join(folder, name), target);
    else await rm(join(folder, name), { recursive: true, force: true });
  }
}

/** Waits until what a folder says of its files is on the disk; file systems that cannot do that for folders are left alone. */
async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r').catch(() => undefined);
  try {
    await folder?.sync().catch(() => {});
  } finally {
    await folder?.close();
  }
}

/** Waits until all files of a folder, and of those below, are on the disk. */
async function syncTree(path: string): Promise<void> {
  for (const entry of await readdir(path, { withFileTypes: true })) {
    const below = join(path, entry.name);
    if (entry.isDirectory()) await syncTree(below);
    else if (entry.isFile()) {
      const file = await open(below, 'r+');
      await file.sync().finally(() => file.close());
    }
  }
  await syncFolder(path);
}

/**
 * Makes a folder and what is missing above it. Not by mkdir's own `recursive`: where the file system answers ENOENT under a folder that is there
 * (/proc does), Node 20 tries for ever.
 */
export async function makeFolder(path: string): Promise<void> {
  if ((await stat(path).catch(() => undefined))?.isDirectory()) return;
  const above = dirname(path);
  if (above !== path) await makeFolder(above);
  await mkdir(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') refuse(path, 'a folder that can be made', 'a place that takes none');
    // Another process may have been quicker; a file in the way is told by whatever comes next.
    if (error.code !== 'EEXIST') throw error;
  });
}

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

/** Writes all of `bytes` at the end of an open file. */
export async function writeAll(file: FileHandle, bytes: Uint8Array) {
  let done = 0;
  while (done < bytes.length) {
    const { bytesWritten } = await file.write(bytes, done, Math.min(bytes.length - done, 1 << 30));
    done += bytesWritten;
  }
}

/**
 * Writes a file under a temporary name and renames it when everything is on the disk; makes missing folders.
 * `content` is the bytes, or a function that writes them to the open file. The file stands as it was when anything fails.
 * @returns a TaskEither: run it with settle()
 */
export const writeAtomically = (
  path: string,
  content: Uint8Array | string | ((file: FileHandle) => Promise<void>),
): TE.TaskEither<Failure, void> =>
  attempt(path, async () => {
    await makeFolder(dirname(resolve(path)));
    const temporary = temporaryName(path);
    try {
      const file = await open(temporary, 'wx');
      try {
        if (typeof content === 'function') await content(file);
        else await writeAll(file, typeof content === 'string' ? Buffer.from(content) : content);
        await file.sync();
      } finally {
        await file.close();
      }
      await rename(temporary, path);
      await syncFolder(dirname(resolve(path)));
    } catch (error) {
      await rm(temporary, { force: true });
      throw error;
    }
  });

/**
 * Makes a whole folder under a temporary name and puts it in place when `write` has succeeded. A folder that is there already is
 * replaced only when `replace` allows it, and stays as it was when anything fails.
 * @returns a TaskEither: run it with settle()
 */
export const writeFolderAtomically = (
  folder: string,
  write: (temporary: string) => Promise<void>,
  { replace = () => false }: { replace?: (folder: string) => boolean | Promise<boolean> } = {},
): TE.TaskEither<Failure, void> =>
  attempt(folder, async () => {
    const target = resolve(folder);
    const standing = await stat(target).catch(() => undefined);
    if (standing && !(standing.isDirectory() && (await replace(target)))) {
      refuse(folder, 'a new folder', standing.isDirectory() ? 'one that has files in it' : 'a file', {
        hint: 'Choose another name or remove it first.',
      });
    }
    await makeFolder(dirname(target));
    await removeLeftovers(dirname(target));
    const temporary = temporaryName(target);
    const old = `${temporary}.old`;
    try {
      await mkdir(temporary);
      await write(temporary);
      await syncTree(temporary);
      if (standing) await rename(target, old);
      await rename(temporary, target);
      await syncFolder(dirname(target));
    } catch (error) {
      await rm(temporary, { recursive: true, force: true });
      if (await stat(old).catch(() => undefined)) await rename(old, target).catch(() => {});
      throw error;
    }
    await rm(old, { recursive: true, force: true });
  });

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
