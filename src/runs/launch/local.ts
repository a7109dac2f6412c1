/** Tasks in processes of this machine, some at a time. */
import { spawn } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { type Board, sweepBoard } from '../sweep/board.ts';
import { reasonOf } from '../sweep/run.ts';
import { LAUNCHED, type Task } from './batch.ts';

/** What `runTasks` runs, and how many at a time. */
export interface LocalOptions {
  readonly label: string;
  readonly tasks: readonly Task[];
  /** Processes at a time; the threads of the machine are shared out. */
  readonly jobs: number;
  readonly signal?: AbortSignal;
  readonly board?: Board;
}

/** @returns the tasks that did not end well, each with the last that it said */
export async function runTasks(
  options: LocalOptions,
): Promise<{ readonly id: string; readonly reason: string }[]> {
  const { label, tasks, jobs, signal } = options;
  const waiting = [...tasks];
  const failed: { id: string; reason: string }[] = [];
  const threads = String(Math.max(1, Math.floor(availableParallelism() / jobs)));
  const board = options.board ?? sweepBoard({ label, total: tasks.length, finished: 0, slots: jobs });
  const work = async (slot: number) => {
    for (let task = waiting.shift(); task && !signal?.aborted; task = waiting.shift()) {
      board.started(slot, task.id);
      const reason = await inProcess(task, threads, line => board.said(slot, line), signal);
      if (reason !== null && !signal?.aborted) failed.push({ id: task.id, reason });
      board.ended(slot, task.id, signal?.aborted && reason !== null ? 'interrupted' : reason);
    }
  };
  try {
    await Promise.all(Array.from({ length: jobs }, (_, slot) => work(slot)));
  } finally {
    board.stop();
  }
  return failed;
}

function inProcess(
  { words }: Task,
  threads: string,
  said: (line: string) => void,
  signal?: AbortSignal,
): Promise<string | null> {
  return new Promise(resolve => {
    const [program, ...before] = LAUNCHED;
    const child = spawn(program, [...before, ...words], {
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { ...process.env, WEIGHTLOOM_THREADS: threads },
    });
    let log = '';
    child.stderr.setEncoding('utf8').on('data', chunk => {
      log = (log + chunk).slice(-100_000);
      const line = reasonOf(log);
      if (line) said(line);
    });
    const stop = () => child.kill('SIGTERM');
    signal?.addEventListener('abort', stop);
    child.on('error', error => resolve(error.message));
    child.on('close', (code, killed) => {
      signal?.removeEventListener('abort', stop);
      if (code === 0) resolve(null);
      else resolve(killed ? `killed by ${killed}` : (reasonOf(log) ?? `exit code ${code}`));
    });
  });
}
