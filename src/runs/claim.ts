/** One process at a time in a folder: two would overwrite each other's files. */
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { refuse } from '../config/index.ts';

const alive = (pid: number) => {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
};

/**
 * Notes this process as the one that works in a folder; the function returned takes the note away.
 * @param what works there: `sweep` notes it in sweep.pid
 * @throws UserError while another process that lives has its note there
 */
export function claim(folder: string, what: string): () => void {
  const path = join(folder, `${what}.pid`);
  const owner = existsSync(path) ? Number(readFileSync(path, 'utf8')) : 0;
  if (owner > 0 && owner !== process.pid && alive(owner)) {
    refuse(folder, `a folder that no ${what} works in`, `a ${what} that still runs (process ${owner})`, {
      hint: `If that process is something else, remove ${path}.`,
    });
  }
  writeFileSync(path, `${process.pid}\n`);
  return () => rmSync(path, { force: true });
}
