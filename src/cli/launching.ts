/** What the commands that run many tasks have in common: on which machine, and how many at a time. */
import type { Command } from 'commander';
import { UserError } from '../config/index.ts';
import type { TaskBatch } from '../runs/index.ts';
import { whole } from './options.ts';
import { table } from './tables.ts';

export interface LaunchFlags {
  readonly launcher: string;
  readonly launch?: readonly string[];
  readonly jobs: number;
  readonly dryRun?: boolean;
}

/** Adds --launcher, --launch and --jobs to a command. */
export function launchOptions(command: Command, { jobs = 1, of = 'processes at a time' } = {}): Command {
  return command
    .option(
      '--launcher <name>',
      'local: processes of this machine; slurm: tasks of a Slurm array; or a YAML file like configs/launcher/slurm.yaml',
      'local',
    )
    .option(
      '--launch <key=value...>',
      'with slurm: keys of its configuration, such as partition=gpu time=12:00:00',
    )
    .option('--jobs <n>', of, whole(1), jobs);
}

/**
 * Submits the tasks of a batch that have no turn in the queue yet, or prints the scripts. Prints what was submitted, and what the
 * others are doing.
 */
export async function printSubmission(batch: TaskBatch, flags: LaunchFlags): Promise<void> {
  const { batchScripts, slurmSettings, submitBatch, taskStates } = await import('../runs/index.ts');
  const settings = await slurmSettings(flags.launcher, flags.launch);
  if (flags.dryRun) {
    for (const { name, text } of batchScripts(batch, settings)) console.log(`### ${name}\n${text}`);
    return;
  }
  const states = taskStates(batch.folder, { required: true });
  const waiting = batch.tasks.filter(({ id }) => states.get(id)?.active);
  const tasks = batch.tasks.filter(task => !waiting.includes(task));
  if (waiting.length > 0) {
    console.log(
      table(
        ['in the queue', 'job', 'state'],
        waiting.map(({ id }) => [id, states.get(id)!.job, states.get(id)!.state]),
      ),
    );
  }
  if (tasks.length === 0 && waiting.length > 0) {
    console.error(`${batch.folder}: nothing to submit; all that is missing is in the queue`);
    return;
  }
  const { job, first, gather } = await submitBatch({ ...batch, tasks, first: batch.first }, settings);
  const parts = [
    ...(first ? [`job ${first} prepares`] : []),
    ...(job ? [`job ${job} has ${tasks.length} task${tasks.length === 1 ? '' : 's'}`] : []),
    `job ${gather} gathers`,
  ];
  console.error(`${batch.folder}: ${parts.join(', ')}; weightloom runs list ${batch.folder} shows them`);
}

/** Launchers other than `local` take keys of their own. */
export function checkLaunch({ launcher, launch }: LaunchFlags): void {
  if (launcher === 'local' && launch)
    throw new UserError('option --launch: expected --launcher slurm beside it.', 2);
}
