/** One process at a time: a lock is a file that is there while its owner lives. */
import { link, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import * as t from 'io-ts';
import { refuse } from '../config/index.ts';
import { makeFolder } from './files.ts';
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

let counter = 0;

/**
 * Takes the lock at `path`; the function returned gives it back. A lock whose owner has died is taken over, by one process only.
 * @param what is locked, in words: `the zoo zoos/mine`
 * @throws UserError while another process that lives, or one of another machine, has it
 */
export async function lock(path: string, what: string): Promise<() => Promise<void>> {
  await makeFolder(dirname(resolve(path)));
  const mark = JSON.stringify(ownMark());
  const own = `${path}.${process.pid}.${counter++}`;
  await writeFile(own, mark);
  try {
    for (;;) {
      // A link is made with its content, or not at all.
      const taken = await link(own, path).then(
        () => true,
        (error: NodeJS.ErrnoException) => {
          if (error.code === 'EEXIST') return false;
          throw error;
        },
      );
      if (taken) break;
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
      const stale = `${own}.stale`;
      const moved = await rename(path, stale).then(
        () => true,
        () => false,
      );
      if (!moved) continue;
      if ((await readFile(stale, 'utf8')) !== text) await link(stale, path).catch(() => {});
      await rm(stale, { force: true });
    }
  } finally {
    await rm(own, { force: true });
  }
  return async () => {
    const text = await readFile(path, 'utf8').catch(() => null);
    if (text === mark) await rm(path, { force: true });
  };
}
