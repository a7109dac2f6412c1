/** Which process is which: on this machine a number is given again, so the time it was started belongs to it. */
import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';

/** What tells one process from every other. */
export interface ProcessMark {
  readonly host: string;
  readonly pid: number;
  /** When it was started, as the kernel counts; null where the system does not tell. */
  readonly started: string | null;
}

/** Field 22 of /proc/PID/stat: the start in ticks since boot. What stands before it may hold spaces, in brackets. */
function startOf(pid: number): string | null {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return text.slice(text.lastIndexOf(')') + 2).split(' ')[19] ?? null;
  } catch {
    return null;
  }
}

/** The mark of this process. */
export const ownMark = (): ProcessMark => ({
  host: hostname(),
  pid: process.pid,
  started: startOf(process.pid),
});

/** Whether a process of that number runs. */
function runs(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** Whether the process lives; one of another machine counts as living, for nothing here can tell. */
export function lives({ host, pid, started }: ProcessMark): boolean {
  if (host !== hostname()) return true;
  if (!runs(pid)) return false;
  const now = startOf(pid);
  return started === null || now === null || now === started;
}
