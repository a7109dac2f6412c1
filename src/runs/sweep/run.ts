/**
 * Sweeps: every combination of some settings as a run of its own, in a process of its own. A finished cell (it has its results.json) is
 * never run again, so a sweep that was stopped goes on where it was; a failed cell is named and leaves the others alone.
 */
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { LAUNCHER } from '../../config/index.ts';
import { lock, makeFolder } from '../../formats/index.ts';
import { runProcess } from '../process.ts';
import { damageOf, RESULTS } from '../results.ts';
import { type Board, sweepBoard } from './board.ts';
import type { SweepCell } from './cells.ts';
import { hasConfig } from './plan.ts';

/** Set for the processes of cells: `weightloom run` then ends when its standard input does, which is when the sweep is gone. */
const CELL_VARIABLE = 'WEIGHTLOOM_SWEEP_CELL';

/** What a runner is told of the cell it runs. */
export interface CellRun {
  readonly cell: SweepCell;
  /** Run folder of the cell: not there yet, or an unfinished run of it to go on with. */
  readonly folder: string;
  /** The cell's share of the machine. */
  readonly threads: number;
  readonly signal?: AbortSignal;
  /** Is told every line the cell says. */
  said(line: string): void;
}

/** Runs one cell; resolves to null when it ended well, and otherwise to the reason why not. */
export type CellRunner = (run: CellRun) => Promise<string | null>;

/** Which cells are run, where, and how many at a time. */
export interface SweepOptions {
  /** Name of the experiment, or the path of its file. */
  readonly experiment: string;
  /** With their parameters, if what an earlier try of them left is to be gone on with. */
  readonly cells: readonly (SweepCell & { readonly parameters?: unknown })[];
  /** Ids of cells that have their results: they are not run. */
  readonly finished: ReadonlySet<string>;
  /** Folder of the sweep; each cell is a run folder in it. */
  readonly folder: string;
  /** Processes at a time; the threads of the machine are shared out. Default 1. */
  readonly jobs?: number;
  /** When raised, running cells are stopped and no other is begun. */
  readonly signal?: AbortSignal;
  /** How a cell is run; default: as `weightloom run` in a process of its own. */
  readonly runner?: CellRunner;
  /** Where progress is shown. Default: the terminal. */
  readonly board?: Board;
}

/** What became of the cells; those that a signal kept from running are on no list. */
export interface SweepOutcome {
  /** Ids of cells that were run and ended well. */
  readonly finished: readonly string[];
  /** Ids of cells that had their results already. */
  readonly skipped: readonly string[];
  /** Cells that ended otherwise, with the sentence that says why. */
  readonly failed: readonly { readonly id: string; readonly reason: string }[];
}

/** Each cell as `weightloom run` in a process of its own, with a log.txt in its folder. */
const inProcess =
  (experiment: string): CellRunner =>
  async ({ cell, folder, threads, signal, said }) => {
    const { log, reason } = await runProcess(
      [process.execPath, LAUNCHER, 'run', experiment, ...cell.overrides, '--out', folder, '--resume'],
      {
        env: { WEIGHTLOOM_THREADS: String(threads), [CELL_VARIABLE]: '1' },
        stdin: 'pipe',
        said,
        signal,
      },
    );
    // Also where the run was refused and left no folder: its last words may be wanted.
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, 'log.txt'), log);
    if (reason === null && (!existsSync(join(folder, RESULTS)) || (await damageOf(folder))))
      return `it ended without ${RESULTS}`;
    return reason;
  };

/** Runs the cells that have no results yet. */
export async function runSweep(options: SweepOptions): Promise<SweepOutcome> {
  const { experiment, cells, folder, jobs = 1, signal, runner = inProcess(experiment) } = options;
  await makeFolder(folder);
  const release = await lock(join(folder, 'sweep.lock'), `the sweep ${folder}`);
  const threads = Math.max(1, Math.floor(availableParallelism() / jobs));
  const skipped = cells.filter(({ id }) => options.finished.has(id)).map(({ id }) => id);
  const waiting = cells.filter(({ id }) => !options.finished.has(id));
  const finished: string[] = [];
  const failed: { id: string; reason: string }[] = [];
  const board =
    options.board ??
    sweepBoard({ label: `sweep ${experiment}`, total: cells.length, finished: skipped.length, slots: jobs });
  const work = async (slot: number) => {
    for (let cell = waiting.shift(); cell && !signal?.aborted; cell = waiting.shift()) {
      const path = join(folder, cell.id);
      // What is no unfinished run of this cell would stand in the way.
      if (cell.parameters === undefined || !hasConfig(path, cell.parameters)) {
        rmSync(path, { recursive: true, force: true });
      }
      board.started(slot, cell.id);
      const reason = await runner({
        cell,
        folder: path,
        threads,
        signal,
        said: line => board.said(slot, line),
      });
      if (reason === null) finished.push(cell.id);
      else if (!signal?.aborted) failed.push({ id: cell.id, reason });
      board.ended(slot, cell.id, signal?.aborted && reason !== null ? 'interrupted' : reason);
    }
  };
  try {
    await Promise.all(Array.from({ length: jobs }, (_, slot) => work(slot)));
  } finally {
    board.stop();
    await release();
  }
  return { finished, skipped, failed };
}
