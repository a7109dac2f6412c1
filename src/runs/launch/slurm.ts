/** Submitting batches to Slurm, and asking it what became of them. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { refuse, settle } from '../../config/index.ts';
import { makeFolder, writeAtomically } from '../../formats/index.ts';
import { readSubmissions, type Submissions, slurmFolder, submissionsFile, type TaskBatch } from './batch.ts';
import { arrayScript, firstScript, gatherScript } from './script.ts';
import type { SlurmSettings } from './settings.ts';

interface Answer {
  readonly status: number;
  readonly out: string;
  /** The first line that says what is wrong. */
  readonly complaint: string;
}

/** Runs one of Slurm's commands; undefined where there is none of that name. */
function ask(command: string, args: readonly string[]): Answer | undefined {
  const { status, stdout, stderr, error } = spawnSync(command, args, { encoding: 'utf8' });
  if ((error as NodeJS.ErrnoException | undefined)?.code === 'ENOENT') return undefined;
  const lines = (stderr ?? '').split('\n').filter(line => line.trim() !== '');
  return {
    status: status ?? 1,
    out: stdout ?? '',
    complaint: error?.message ?? (lines.find(line => /error/i.test(line)) ?? lines[0] ?? '').trim(),
  };
}

/** @returns the number of the job */
function submit(path: string, args: readonly string[]): string {
  const answer = ask('sbatch', ['--parsable', ...args, path]);
  if (!answer) {
    return refuse('launcher slurm', 'sbatch on the PATH', 'none', {
      hint: "Submit where Slurm's commands are; --dry-run prints the scripts without them.",
    });
  }
  // With --parsable: the number, and behind a semicolon the cluster.
  const job = /^(\d+)(;|$)/m.exec(answer.out.trim())?.[1];
  if (answer.status !== 0 || job === undefined) {
    return refuse(
      'sbatch',
      'a submission that Slurm takes',
      answer.complaint || answer.out.trim() || 'no answer',
    );
  }
  return job;
}

/** The scripts of a batch, in the order in which they are submitted. */
export function batchScripts(
  batch: TaskBatch,
  settings: SlurmSettings,
): { readonly name: string; readonly text: string }[] {
  const { first, tasks } = batch;
  return [
    ...(first ? [{ name: 'first.sh', text: firstScript(batch, settings, first) }] : []),
    ...(tasks.length > 0 ? [{ name: 'tasks.sh', text: arrayScript(batch, settings) }] : []),
    { name: 'gather.sh', text: gatherScript(batch, settings) },
  ];
}

/** A folder that was made for nothing goes again; one that holds something stays. */
function removeEmpty(folder: string): void {
  if (existsSync(folder) && readdirSync(folder).length === 0) rmdirSync(folder);
}

/**
 * Submits a batch: what comes first, the tasks as an array, and what gathers, each waiting for the one before. All or nothing: when one
 * is refused, those before it are cancelled.
 * @throws UserError without sbatch, and with Slurm's own words when a submission is refused
 */
export async function submitBatch(batch: TaskBatch, settings: SlurmSettings): Promise<Submissions[number]> {
  const folder = slurmFolder(batch.folder);
  await makeFolder(folder);
  const own = mkdtempSync(join(folder, 'submission-'));
  const jobs: Record<string, string> = {};
  try {
    let dependency: string[] = [];
    for (const { name, text } of batchScripts(batch, settings)) {
      const path = join(own, name);
      writeFileSync(path, text, { mode: 0o755 });
      const waits = name === 'gather.sh' && batch.gather.after === 'any end' ? 'afterany' : 'afterok';
      const [before] = dependency;
      const job = submit(
        path,
        before === undefined ? [] : [`--dependency=${waits}:${before}`, '--kill-on-invalid-dep=yes'],
      );
      jobs[name] = job;
      dependency = [job];
    }
  } catch (error) {
    if (Object.keys(jobs).length > 0) ask('scancel', Object.values(jobs));
    rmSync(own, { recursive: true, force: true });
    removeEmpty(folder);
    removeEmpty(batch.folder);
    throw error;
  }
  const submission = {
    job: jobs['tasks.sh'] ?? null,
    first: jobs['first.sh'] ?? null,
    gather: jobs['gather.sh'],
    tasks: batch.tasks.map(({ id }) => id),
    submitted: new Date().toISOString(),
  };
  const all = [...readSubmissions(batch.folder), submission];
  await settle(writeAtomically(submissionsFile(batch.folder), `${JSON.stringify(all, null, 2)}\n`));
  return submission;
}

/** States of a task that still has its turn, in Slurm's words. */
const ACTIVE = new Set(
  'PENDING CONFIGURING RUNNING COMPLETING SUSPENDED STOPPED SIGNALING STAGE_OUT RESIZING REQUEUED REQUEUE_FED REQUEUE_HOLD SPECIAL_EXIT'.split(
    ' ',
  ),
);

/** What Slurm says of a task. */
export interface TaskState {
  readonly job: string;
  /** Slurm's word for it: PENDING, RUNNING, COMPLETED, CANCELLED, TIMEOUT, ... */
  readonly state: string;
  /** Whether it still has its turn. */
  readonly active: boolean;
}

/**
 * What Slurm says of the tasks of a batch, by their ids: of each its latest submission. squeue knows the present and the last minutes,
 * sacct the past, where the cluster keeps accounts; a task that neither knows is left out.
 * @param required when Slurm must answer: nothing is submitted twice because a controller was away for a moment
 * @throws UserError when it is required and squeue is not there or fails
 */
export function taskStates(folder: string, { required = false } = {}): Map<string, TaskState> {
  const submissions = readSubmissions(folder);
  const states = new Map<string, TaskState>();
  if (submissions.length === 0) return states;
  const known = new Map<string, string>();
  const recent = ask('squeue', ['--noheader', '--array', '--me', '--states=all', '--format=%F|%K|%T']);
  if (required && recent?.status !== 0) {
    refuse('squeue', "an answer about this sweep's jobs", recent?.complaint ?? 'no squeue on the PATH');
  }
  for (const [, job, index, state] of (recent?.out ?? '').matchAll(/^(\d+)\|(\d+)\|(\w+)$/gm))
    known.set(`${job}_${index}`, state);
  const jobs = submissions.flatMap(({ job }) => job ?? []);
  const past = ask('sacct', [
    '--noheader',
    '--allocations',
    '--parsable2',
    '--format=JobID,State',
    `--jobs=${jobs.join()}`,
  ]);
  for (const [, task, state] of (past?.status === 0 ? past.out : '').matchAll(/^(\d+_\d+)\|(\w+)/gm)) {
    if (!known.has(task)) known.set(task, state);
  }
  for (const { job, tasks } of submissions) {
    tasks.forEach((id, index) => {
      const state = known.get(`${job}_${index}`);
      if (job !== null && state !== undefined)
        states.set(id, { job: `${job}_${index}`, state, active: ACTIVE.has(state) });
    });
  }
  return states;
}
