/**
 * Writing files so that nothing is ever half-written, whatever ends the process or the machine: under a temporary name, synced to the disk,
 * renamed, and the folder synced too. What must outlive a power cut is written here and nowhere else.
 */
import { createHash } from 'node:crypto';
import { closeSync, existsSync, fsyncSync, openSync, renameSync, rmSync, statSync, writeSync } from 'node:fs';
import { type FileHandle, mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { hostname } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import type * as TE from 'fp-ts/lib/TaskEither.js';
import { attempt, type Failure, refuse, systemError, UserError } from '../config/index.ts';
import { lives } from './processes.ts';

let counter = 0;
/** A hidden name beside the target (a rename needs the same file system), unlike any other of this process or another. */
export const temporaryName = (target: string) =>
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
    // Another process may be at the same; whoever is second finds nothing.
    if (found[5] && !standing) await rename(join(folder, name), target).catch(() => {});
    else await rm(join(folder, name), { recursive: true, force: true });
  }
}

/** What systems answer that cannot sync a folder, or not even open one: they keep the order of its changes by themselves. */
const NO_FOLDER_SYNC = ['EINVAL', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EISDIR', 'EPERM', 'EACCES', 'EBADF'];

function unlessUnsupported(error: unknown): void {
  if (!NO_FOLDER_SYNC.includes(String((error as NodeJS.ErrnoException).code))) throw error;
}

/** Waits until what a folder says of its files is on the disk. */
async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r').catch(unlessUnsupported);
  try {
    await folder?.sync().catch(unlessUnsupported);
  } finally {
    await folder?.close();
  }
}

function syncFolderNow(path: string): void {
  try {
    const folder = openSync(path, 'r');
    try {
      fsyncSync(folder);
    } finally {
      closeSync(folder);
    }
  } catch (error) {
    unlessUnsupported(error);
  }
}

async function syncFile(path: string): Promise<void> {
  const file = await open(path, 'r+');
  await file.sync().finally(() => file.close());
}

/** Waits until all files of a folder, and of those below, are on the disk. */
async function syncTree(path: string): Promise<void> {
  for (const entry of await readdir(path, { withFileTypes: true })) {
    const below = join(path, entry.name);
    if (entry.isDirectory()) await syncTree(below);
    else if (entry.isFile()) await syncFile(below);
  }
  await syncFolder(path);
}

/**
 * Makes a folder and what is missing above it, for good. Not by mkdir's own `recursive`: where the file system answers ENOENT under a folder that is there
 * (/proc does), Node 20 tries for ever.
 * @throws UserError when it cannot be made
 */
export async function makeFolder(path: string): Promise<void> {
  if ((await stat(path).catch(() => undefined))?.isDirectory()) return;
  const above = dirname(path);
  if (above !== path) await makeFolder(above);
  try {
    await mkdir(path);
    await syncFolder(above);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') refuse(path, 'a folder that can be made', 'a place that takes none');
    // Another process may have been quicker; a file in the way is told by whatever comes next.
    if (code !== 'EEXIST') throw systemError(path, error);
  }
}

/** A rename would put a file in the place of a device. */
function checkTarget(path: string): void {
  if (!existsSync(path)) return;
  const found = statSync(path);
  if (!found.isFile())
    refuse(path, 'a file or a free name', found.isDirectory() ? 'a folder' : 'a device or pipe');
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
    checkTarget(path);
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

/** The same for a little content and at once: what logs and run folders write between two steps. @throws UserError when it cannot be written */
export function writeAtomicallyNow(path: string, content: Uint8Array | string): void {
  checkTarget(path);
  const temporary = temporaryName(path);
  const bytes = typeof content === 'string' ? Buffer.from(content) : content;
  try {
    const file = openSync(temporary, 'wx');
    try {
      for (let done = 0; done < bytes.length; ) done += writeSync(file, bytes, done);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    renameSync(temporary, path);
    syncFolderNow(dirname(resolve(path)));
  } catch (error) {
    rmSync(temporary, { force: true });
    throw systemError(path, error);
  }
}

/** Gives a file or folder that is finished its name, when all of it is on the disk. */
export async function putInPlace(finished: string, target: string): Promise<void> {
  await ((await stat(finished)).isDirectory() ? syncTree(finished) : syncFile(finished));
  await rename(finished, target);
  await syncFolder(dirname(resolve(target)));
}

/** A failure in the folder of the temporary name, told of the one that the user knows. */
function inItsPlace(error: unknown, temporary: string, folder: string): unknown {
  const failure = error instanceof UserError ? error.failure : undefined;
  return failure?.where.startsWith(temporary)
    ? new UserError({ ...failure, where: folder + failure.where.slice(temporary.length) })
    : error;
}

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
    let placed = false;
    try {
      await mkdir(temporary);
      await write(temporary);
      await syncTree(temporary);
      if (standing) await rename(target, old);
      await rename(temporary, target);
      placed = true;
      await syncFolder(dirname(target));
    } catch (error) {
      if (placed) await rename(target, temporary).catch(() => {});
      await rm(temporary, { recursive: true, force: true });
      if (await stat(old).catch(() => undefined)) await rename(old, target).catch(() => {});
      throw inItsPlace(error, temporary, folder);
    }
    await rm(old, { recursive: true, force: true });
  });
