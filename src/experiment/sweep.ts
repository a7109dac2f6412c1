/**
 * Sweeps: every combination of some settings as a run of its own, in a process of its own. A finished cell (it has its results.json) is
 * never run again, so a sweep that was stopped goes on where it was; a failed cell is named and leaves the others alone.
 */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { UserError } from '../config/index.ts';
import { makeFolder } from '../formats/index.ts';
import { progressBar } from './progress.ts';
import { RESULTS } from './results.ts';

export interface SweepCell {
  /** Folder name: readable, and unique by a hash. */
  readonly id: string;
  /** The `key=value` words of this cell alone. */
  readonly overrides: readonly string[];
}

/** Splits at commas that stand outside brackets and quotes: `[a,b],c` is two values. */
export function splitValues(text: string): string[] {
  const values: string[] = [];
  let depth = 0;
  let quote = '';
  let current = '';
  for (const character of text) {
    if (quote) {
      if (character === quote) quote = '';
    } else if (character === '"' || character === "'") quote = character;
    else if ('[{('.includes(character)) depth++;
    else if (']})'.includes(character)) depth--;
    if (character === ',' && depth === 0 && !quote) {
      values.push(current);
      current = '';
    } else current += character;
  }
  return [...values, current];
}

/** All combinations of `key=a,b,c` words, in the order of the words; the last varies fastest. */
export function sweepCells(words: readonly string[]): SweepCell[] {
  const axes = words.map(word => {
    const at = word.indexOf('=');
    if (at < 1) throw new UserError(`sweep: expected key=value,value,..., found "${word}".`, 2);
    return splitValues(word.slice(at + 1)).map(value => `${word.slice(0, at)}=${value}`);
  });
  const combinations = axes.reduce<string[][]>(
    (all, axis) => all.flatMap(cell => axis.map(word => [...cell, word])),
    [[]],
  );
  const varied = new Set(axes.filter(axis => axis.length > 1).flat());
  return combinations.map(overrides => {
    const hash = createHash('sha256').update(overrides.join('\n')).digest('hex').slice(0, 8);
    const readable = overrides
      .filter(word => varied.has(word))
      .map(word => word.replace(/[^\w.=-]+/g, '-'))
      .join(',')
      .slice(0, 100);
    return { id: `${readable || 'cell'}-${hash}`, overrides };
  });
}

export interface SweepOptions {
  readonly experiment: string;
  readonly cells: readonly SweepCell[];
  /** Folder of the sweep; each cell is a run folder in it. */
  readonly folder: string;
  /** Processes at a time; the threads of the machine are shared out. Default 1. */
  readonly slots?: number;
  readonly signal?: AbortSignal;
}

export interface SweepOutcome {
  readonly finished: readonly string[];
  readonly skipped: readonly string[];
  readonly failed: readonly { readonly id: string; readonly reason: string }[];
}

const LAUNCHER = fileURLToPath(new URL('../cli/weightloom.mjs', import.meta.url));

/** Runs one cell; resolves to the last line it complained with, or null when it ended well. */
function runCell(
  experiment: string,
  cell: SweepCell,
  folder: string,
  threads: number,
  signal?: AbortSignal,
): Promise<string | null> {
  // What an earlier, broken try left behind would stand in the way.
  rmSync(folder, { recursive: true, force: true });
  return new Promise(resolve => {
    const child = spawn(process.execPath, [LAUNCHER, 'run', experiment, ...cell.overrides, '--out', folder], {
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { ...process.env, WEIGHTLOOM_THREADS: String(threads) },
    });
    let log = '';
    child.stderr.on('data', chunk => {
      log = (log + chunk).slice(-100_000);
    });
    const stop = () => child.kill('SIGTERM');
    signal?.addEventListener('abort', stop);
    child.on('close', code => {
      signal?.removeEventListener('abort', stop);
      if (existsSync(folder)) writeFileSync(join(folder, 'log.txt'), log);
      resolve(code === 0 ? null : (log.trim().split('\n').at(-1) ?? `exit code ${code}`));
    });
  });
}

/** Runs what is missing. */
export async function runSweep(options: SweepOptions): Promise<SweepOutcome> {
  const { experiment, cells, folder, slots = 1, signal } = options;
  await makeFolder(folder);
  const threads = Math.max(1, Math.floor(availableParallelism() / slots));
  const done = (cell: SweepCell) => existsSync(join(folder, cell.id, RESULTS));
  const skipped = cells.filter(done).map(({ id }) => id);
  const waiting = cells.filter(cell => !done(cell));
  const finished: string[] = [];
  const failed: { id: string; reason: string }[] = [];
  const bar = progressBar(`sweep ${experiment}`, cells.length, skipped.length);
  const show = (note = '') => bar.update(skipped.length + finished.length + failed.length, note);
  const slot = async () => {
    for (let cell = waiting.shift(); cell && !signal?.aborted; cell = waiting.shift()) {
      show(cell.id);
      const reason = await runCell(experiment, cell, join(folder, cell.id), threads, signal);
      if (reason === null) finished.push(cell.id);
      else if (!signal?.aborted) failed.push({ id: cell.id, reason });
    }
  };
  await Promise.all(Array.from({ length: slots }, slot));
  show(failed.length > 0 ? `${failed.length} failed` : '');
  bar.stop();
  return { finished, skipped, failed };
}
