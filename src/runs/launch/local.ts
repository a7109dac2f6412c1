/** Tasks in processes of this machine, some at a time. */
import { availableParallelism } from 'node:os';
import { runProcess } from '../process.ts';
import { type Board, sweepBoard } from '../sweep/board.ts';
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
      const { reason } = await runProcess([...LAUNCHED, ...task.words], {
        env: { WEIGHTLOOM_THREADS: threads },
        stdin: 'ignore',
        said: line => board.said(slot, line),
        signal,
      });
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
