/** A zoo built by many: the base first, then shares of the textures side by side, then the zoo. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { UserError } from '../config/index.ts';
import type { Task } from '../runs/index.ts';
import { checkLaunch, type LaunchFlags, printSubmission } from './launching.ts';

interface Build {
  /** Where finished NCAs are kept; also the launcher's scripts and logs. */
  readonly folder: string;
  /** The words behind `weightloom zoo build`. */
  readonly words: readonly string[];
}

/** @returns whether the zoo is still to be written by this process */
export async function launchBuild({ folder, words }: Build, flags: LaunchFlags): Promise<boolean> {
  checkLaunch(flags);
  const task = (id: string, ...more: string[]): Task => ({ id, words: ['zoo', 'build', ...words, ...more] });
  const base = existsSync(join(folder, 'base.safetensors')) ? undefined : task('base', '--only', 'base');
  const parts = Array.from({ length: flags.jobs }, (_, i) =>
    task(`part-${i + 1}-of-${flags.jobs}`, '--part', `${i + 1}/${flags.jobs}`, '--only', 'part'),
  );
  if (flags.launcher === 'local') {
    await here([...(base ? [base] : [])], 1);
    await here(parts, flags.jobs);
    return true;
  }
  const { taskStates } = await import('../runs/index.ts');
  const states = taskStates(folder, { required: !flags.dryRun });
  await printSubmission(
    {
      name: 'zoo-build',
      folder,
      first: base,
      tasks: parts.filter(({ id }) => states.get(id)?.state !== 'COMPLETED'),
      gather: { ...task('zoo'), after: 'success' },
    },
    flags,
  );
  return false;
}

async function here(tasks: readonly Task[], jobs: number): Promise<void> {
  if (tasks.length === 0) return;
  const { interruption, runTasks } = await import('../runs/index.ts');
  const { signal, release } = interruption();
  try {
    const failed = await runTasks({ label: 'zoo build', tasks, jobs, signal });
    if (signal.aborted) throw new UserError('zoo build: interrupted; the same command goes on.');
    if (failed.length > 0) {
      throw new UserError(
        `zoo build: ${failed.map(({ id, reason }) => `${id} failed (${reason})`).join('; ')}; the same command tries again.`,
      );
    }
  } finally {
    release();
  }
}
