/** One process at a time: a lock is a file that is there while its owner lives. */
import { link, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import * as t from 'io-ts';
import { refuse, systemError } from '../config/index.ts';
import { makeFolder, removeLeftovers, temporaryName } from './atomic.ts';
import { lives, ownMark, type ProcessMark } from './processes.ts';

const MarkCodec = t.strict({ host: t.string, pid: t.number, started: t.union([t.string, t.null]) });

/** The owner a lock file names; null for one that names none (it was cut off while it was made, or is something else). */
function ownerIn(text: string): ProcessMark | null {
  try {
    const mark: unknown = JSON.parse(text);
    return MarkCodec.is(mark) ? mark : null;
  } catch {
    return null;
  }
}

/** What file systems answer that know no second name for a file. */
const NO_LINKS = ['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK'];

/** Gives a file's content to a new file, which then is there with it; false where there is one of that name. */
async function place(own: string, path: string): Promise<boolean> {
  try {
    // A link is made with its content, or not at all.
    await link(own, path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST') return false;
    if (!NO_LINKS.includes(String(code))) throw error;
    return writeFile(path, await readFile(own), { flag: 'wx' }).then(
      () => true,
      (failed: NodeJS.ErrnoException) => {
        if (failed.code === 'EEXIST') return false;
        throw failed;
      },
    );
  }
  return true;
}

/**
 * Takes the lock at `path`, and removes what dead processes left half-written beside it; the function returned gives it back. A lock whose
 * owner has died is taken over, by one process only.
 * @param what is locked, in words: `the zoo zoos/mine`
 * @throws UserError while another process that lives, or one of another machine, has it, and when it cannot be written
 */
export async function lock(path: string, what: string): Promise<() => Promise<void>> {
  const folder = dirname(resolve(path));
  await makeFolder(folder);
  const mark = JSON.stringify(ownMark());
  const own = temporaryName(path);
  try {
    await writeFile(own, mark);
    for (;;) {
      if (await place(own, path)) break;
      const text = await readFile(path, 'utf8').catch(() => null);
      if (text === null) continue;
      const owner = ownerIn(text);
      if (owner && lives(owner)) {
        const where = owner.host === ownMark().host ? '' : ` on ${owner.host}`;
        refuse(path, `${what} free`, `process ${owner.pid}${where} at work on it`, {
          hint: `If that process is gone, remove ${path}.`,
        });
      }
      // Whoever renames the dead one's lock first takes it away; what was renamed may already be another's, who is quicker.
      const stale = temporaryName(path);
      const moved = await rename(path, stale).then(
        () => true,
        () => false,
      );
      if (!moved) continue;
      if ((await readFile(stale, 'utf8')) !== text) await place(stale, path);
      await rm(stale, { force: true });
    }
  } catch (error) {
    throw systemError(path, error);
  } finally {
    await rm(own, { force: true });
  }
  await removeLeftovers(folder);
  return async () => {
    const text = await readFile(path, 'utf8').catch(() => null);
    if (text === mark) await rm(path, { force: true });
  };
}
