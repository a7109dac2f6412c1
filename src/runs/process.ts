/** A process that does part of a run: what it says is passed on, and a signal stops it. */
import { spawn } from 'node:child_process';

/** The sentence of a failed process: its last line that is no line of a stack. */
export function reasonOf(log: string): string | undefined {
  const lines = log.split('\n').map(line => line.trimEnd());
  return lines.findLast(line => line !== '' && !/^(\s|[}\]]|Node\.js v)/.test(line));
}

/** What a process is started with, and who hears of it. */
export interface ProcessOptions {
  readonly env: Readonly<Record<string, string>>;
  /** `pipe` for one that ends when its standard input does. */
  readonly stdin: 'pipe' | 'ignore';
  /** Told the latest line that says something. */
  readonly said: (line: string) => void;
  readonly signal?: AbortSignal;
}

/** Runs a program to its end. @returns the last of what it wrote to standard error, and why it did not end well; null where it did */
export function runProcess(
  [program, ...words]: readonly string[],
  { env, stdin, said, signal }: ProcessOptions,
): Promise<{ readonly log: string; readonly reason: string | null }> {
  return new Promise(resolve => {
    const child = spawn(program, words, {
      stdio: [stdin, 'ignore', 'pipe'],
      env: { ...process.env, ...env },
    });
    let log = '';
    child.stderr!.setEncoding('utf8').on('data', chunk => {
      log = (log + chunk).slice(-100_000);
      const line = reasonOf(log);
      if (line) said(line);
    });
    const stop = () => child.kill('SIGTERM');
    signal?.addEventListener('abort', stop);
    child.on('error', error => resolve({ log, reason: error.message }));
    child.on('close', (code, killed) => {
      signal?.removeEventListener('abort', stop);
      const reason = killed ? `killed by ${killed}` : (reasonOf(log) ?? `exit code ${code}`);
      resolve({ log, reason: code === 0 ? null : reason });
    });
  });
}
