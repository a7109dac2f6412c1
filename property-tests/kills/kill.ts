/** Kills a job again and again at random moments, goes on with it every time, and compares what comes out with a run that nobody disturbed. */
import { spawn } from 'node:child_process';
import { mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { randomStream } from '../../src/tensor/index.ts';
import type { Job } from './jobs.ts';

const COMMAND = fileURLToPath(new URL('../../src/cli/weightloom.mjs', import.meta.url));

interface Try {
  readonly killed: boolean;
  readonly code: number | null;
  readonly said: string;
  readonly ms: number;
}

/** Starts a command; kills it after so long, alone or with all that it started. */
function attempt(words: readonly string[], after: number, alone: boolean): Promise<Try> {
  const begun = performance.now();
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [COMMAND, ...words], {
      detached: true,
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { ...process.env, WEIGHTLOOM_THREADS: '1' },
    });
    let said = '';
    child.stderr.setEncoding('utf8').on('data', text => {
      said += text;
    });
    const timer =
      after < Number.POSITIVE_INFINITY
        ? setTimeout(() => process.kill(alone ? child.pid! : -child.pid!, 'SIGKILL'), after)
        : undefined;
    child.on('error', reject);
    child.on('exit', (code, signal) => {
      clearTimeout(timer);
      resolve({ killed: signal === 'SIGKILL', code, said, ms: performance.now() - begun });
    });
  });
}

/** Names of what should not be there any more when the work is done. */
const leftovers = (folder: string) =>
  readdirSync(folder, { recursive: true })
    .map(String)
    .filter(name => /\.(tmp|old|lock|part)$|damaged/.test(name));

/** What the kills of a job came to. */
export interface Verdict {
  /** When it was killed, in seconds after its start. */
  readonly moments: readonly number[];
  readonly tries: number;
  /** What was wrong, in sentences. */
  readonly faults: readonly string[];
}

/** @param folder an empty one @param kills how many @param seed of their moments */
export async function killAndCompare(
  job: Job,
  folder: string,
  kills: number,
  seed: number,
): Promise<Verdict> {
  const faults: string[] = [];
  const place = (name: string) => {
    const path = join(folder, name);
    mkdirSync(path, { recursive: true });
    return path;
  };
  const whole = place('whole');
  const undisturbed = await attempt(job.words(whole), Number.POSITIVE_INFINITY, false);
  if (undisturbed.code !== 0) throw new Error(`it does not end well even undisturbed: ${undisturbed.said}`);
  const expected = job.outcome(whole);
  if (Object.keys(expected).length === 0) throw new Error('nothing came out of it');
  const random = randomStream(seed, 'kills');
  const moments: number[] = [];
  let tries = 0;
  // Killed until it is finished, and begun anew until there were enough kills.
  for (let round = 0; moments.length < kills; round++) {
    const here = place(`killed-${round}`);
    let before: Record<string, number> = {};
    for (let ended = false; !ended; ) {
      // The first second of a process is its start.
      const after = moments.length < kills ? random.uniform(0, undisturbed.ms) : Number.POSITIVE_INFINITY;
      const { killed, code, said } = await attempt(job.words(here), after, moments.length % 2 === 1);
      tries++;
      const now = job.finished(here);
      for (const [name, time] of Object.entries(before)) {
        if (now[name] !== undefined && now[name] !== time)
          faults.push(`${name} was finished, and done again`);
      }
      before = now;
      if (killed) {
        moments.push(after / 1000);
        const lost = job.lost?.(here);
        if (lost) faults.push(`killed after ${(after / 1000).toFixed(2)} s: ${lost}`);
        continue;
      }
      ended = true;
      if (code !== 0) faults.push(`it did not go on: ${said.trim().split('\n').slice(-3).join(' | ')}`);
    }
    const found = job.outcome(here);
    for (const name of new Set([...Object.keys(expected), ...Object.keys(found)])) {
      if (expected[name] === undefined) faults.push(`${name}: there only when killed`);
      else if (found[name] === undefined) faults.push(`${name}: missing when killed`);
      else if (found[name] !== expected[name]) faults.push(`${name}: another content when killed`);
    }
    for (const name of leftovers(here)) faults.push(`left behind: ${name}`);
  }
  return { moments, tries, faults };
}
