/** Work for a launcher: tasks that know nothing of one another, and what is made of them when they are done. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as t from 'io-ts';
import { decode, LAUNCHER, orThrow, refuse } from '../../config/index.ts';

/** A command line of its own, which another machine may run. */
export interface Task {
  /** Unique in its batch, and the same when the batch is launched again. */
  readonly id: string;
  /** The command line behind `weightloom`. It takes up what an earlier try left, so that a task may be stopped and started at will. */
  readonly words: readonly string[];
}

/** Tasks that know nothing of one another, what they need before, and what is made of them. */
export interface TaskBatch {
  readonly name: string;
  /** The launcher's scripts, logs and records go into `slurm/` in it. */
  readonly folder: string;
  /** What all tasks need, if it is not there yet. */
  readonly first?: Task;
  readonly tasks: readonly Task[];
  /** Runs when the tasks are over: however they ended, or only when all of them ended well. */
  readonly gather: Task & { readonly after: 'any end' | 'success' };
}

/** The programme that runs the words of a task. */
export const LAUNCHED: readonly string[] = [process.execPath, LAUNCHER];

/** Where a batch's scripts, logs and records are. */
export const slurmFolder = (folder: string) => join(folder, 'slurm');

const RecordCodec = t.array(
  t.strict({
    /** The number of the array job, of what went before and of what gathers. */
    job: t.union([t.string, t.null]),
    first: t.union([t.string, t.null]),
    gather: t.string,
    /** By index in the array. */
    tasks: t.array(t.string),
    submitted: t.string,
  }),
);
/** Every submission of a batch, oldest first. */
export type Submissions = t.TypeOf<typeof RecordCodec>;

export const submissionsFile = (folder: string) => join(slurmFolder(folder), 'jobs.json');

/** @throws UserError for a file that is something else */
export function readSubmissions(folder: string): Submissions {
  const path = submissionsFile(folder);
  if (!existsSync(path)) return [];
  let json: unknown;
  try {
    json = JSON.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    return refuse(path, 'JSON', `text that is not (${(error as Error).message})`);
  }
  return orThrow(decode(RecordCodec, json, path));
}
