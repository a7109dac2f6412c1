/**
 * Benchmarks as ratios. The contestants of a question run in turn, round after round, so that whatever else the machine does
 * falls on all of them alike; a ratio is taken within each round and its median and quartiles are reported.
 */
import { type ChildProcessWithoutNullStreams, spawn, spawnSync } from 'node:child_process';
import { createInterface } from 'node:readline';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import Table from 'cli-table3';

export interface Contestant {
  readonly name: string;
  /** Does the work `count` times and returns the milliseconds of one. */
  time(count: number): number | Promise<number>;
}

export interface Spread {
  readonly low: number;
  readonly median: number;
  readonly high: number;
}

export interface Timing extends Spread {
  readonly name: string;
  /** Time of the first contestant divided by this one's, round by round: above 1 means this one is faster. */
  readonly speed: Spread;
}

function spread(values: readonly number[]): Spread {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (q: number) => sorted[Math.round(q * (sorted.length - 1))];
  return { low: at(0.25), median: at(0.5), high: at(0.75) };
}

/**
 * WEIGHTLOOM_BENCH_CLOCK=cpu counts processor time in place of time on the wall: fair on a machine that others use too, and meant
 * for one thread.
 */
export const clock: 'wall' | 'cpu' = process.env.WEIGHTLOOM_BENCH_CLOCK === 'cpu' ? 'cpu' : 'wall';

/** Milliseconds of the clock. */
function now(): number {
  if (clock === 'wall') return performance.now();
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

/**
 * A contestant from a function; a promise it returns is awaited.
 * @param prepare what has to be done before each round and is not its work, such as choosing the backend
 */
export function contestant(name: string, run: () => unknown, prepare: () => unknown = () => {}): Contestant {
  return {
    name,
    async time(count) {
      await prepare();
      const start = now();
      for (let i = 0; i < count; i++) {
        const result = run();
        if (result instanceof Promise) await result;
      }
      return (now() - start) / count;
    },
  };
}

/** Milliseconds between contestants: threads that wait by spinning (OpenBLAS's do for tens of milliseconds) would cost the next one. */
const REST = 150;

/**
 * Runs the contestants in turn for `rounds` rounds after a warm-up. In a round each repeats its work until about `milliseconds`
 * have passed (at least once).
 */
export async function interleave(
  contestants: readonly Contestant[],
  { rounds = Number(process.env.WEIGHTLOOM_BENCH_ROUNDS ?? 9), milliseconds = 300, warmUp = 2 } = {},
): Promise<Timing[]> {
  const counts: number[] = [];
  for (const each of contestants) {
    let once = Number.POSITIVE_INFINITY;
    for (let i = 0; i < warmUp; i++) once = Math.min(once, await each.time(1));
    counts.push(Math.max(1, Math.min(1000, Math.round(milliseconds / once))));
  }
  const times: number[][] = contestants.map(() => []);
  for (let round = 0; round < rounds; round++) {
    for (let i = 0; i < contestants.length; i++) {
      await setTimeout(REST);
      times[i].push(await contestants[i].time(counts[i]));
    }
  }
  return contestants.map(({ name }, i) => ({
    name,
    ...spread(times[i]),
    speed: spread(times[i].map((t, round) => times[0][round] / t)),
  }));
}

const digits = (x: number) => (x >= 100 ? x.toFixed(0) : x.toPrecision(3));

/** A table that is filled row by row: one question a row. */
export class Comparison {
  private readonly rows: string[][] = [];
  constructor(
    readonly title: string,
    readonly columns: readonly string[],
  ) {}

  /**
   * Adds a question. Each contestant's cell is its median time, and for all but the first how many times slower (x) it is than
   * the first, with quartiles.
   */
  add(question: string, timings: readonly Timing[]): void {
    const cells = this.columns.map((column, i) => {
      const timing = timings.find(t => t.name === column);
      if (!timing) return '-';
      const ms = `${digits(timing.median)} ms`;
      if (i === 0) return ms;
      const { low, median, high } = timing.speed;
      return `${ms}, ${digits(1 / median)}x (${digits(1 / high)}..${digits(1 / low)})`;
    });
    this.rows.push([question, ...cells]);
    console.error(`  ${question}: ${cells.join(' | ')}`);
  }

  print(): void {
    const table = new Table({ head: [this.title, ...this.columns], style: { head: [], border: [] } });
    table.push(...this.rows);
    console.log(table.toString());
  }
}

interface Answer {
  readonly ms?: number;
  readonly error?: string;
}

/** A Python script under bench/peers that answers questions one line at a time: a JSON request in, a JSON answer out. */
export class PythonPeer {
  private readonly waiting: ((answer: Answer) => void)[] = [];
  private constructor(private readonly child: ChildProcessWithoutNullStreams) {
    createInterface({ input: child.stdout }).on('line', line => this.waiting.shift()?.(JSON.parse(line)));
    child.stderr.pipe(process.stderr);
    child.on('exit', code => {
      for (const answer of this.waiting.splice(0)) answer({ error: `the peer ended with code ${code}` });
    });
  }

  /** Starts a script with the best settings known for Debian's PyTorch. Returns undefined, and says so, where there is no PyTorch. */
  static start(script: string): PythonPeer | undefined {
    const candidates = [process.env.WEIGHTLOOM_PYTHON, 'python3', '/usr/bin/python3'].filter(
      (x): x is string => !!x,
    );
    const python = candidates.find(
      x => spawnSync(x, ['-c', 'import torch'], { stdio: 'ignore' }).status === 0,
    );
    if (!python) {
      console.error(
        'no Python with PyTorch here (tried python3; WEIGHTLOOM_PYTHON names another): that peer is left out',
      );
      return undefined;
    }
    const child = spawn(python, ['-u', fileURLToPath(new URL(`./peers/${script}`, import.meta.url))], {
      env: {
        ...process.env,
        // Threads that spin while they wait cost whoever computes next, PyTorch itself included.
        OMP_WAIT_POLICY: 'PASSIVE',
        OPENBLAS_CORETYPE: 'SkylakeX',
        MALLOC_MMAP_THRESHOLD_: '2000000000',
        MALLOC_TRIM_THRESHOLD_: '16000000000',
      },
    });
    return new PythonPeer(child);
  }

  /** Sends a request and waits for the answer. */
  ask(request: Record<string, unknown>): Promise<Answer> {
    return new Promise(resolve => {
      this.waiting.push(resolve);
      this.child.stdin.write(`${JSON.stringify(request)}\n`);
    });
  }

  /** A contestant whose work is the script's function `what` with these parameters. */
  contestant(name: string, what: string, parameters: Record<string, unknown> = {}): Contestant {
    return {
      name,
      time: async count => {
        const { ms, error } = await this.ask({ what, count, clock, ...parameters });
        if (ms === undefined) throw new Error(`${what}: ${error}`);
        return ms;
      },
    };
  }

  stop(): void {
    this.child.stdin.end();
  }
}
