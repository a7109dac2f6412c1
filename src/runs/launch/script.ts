/** Batches as scripts for sbatch. */
import { join, resolve } from 'node:path';
import { quoted } from '../../config/index.ts';
import { LAUNCHED, slurmFolder, type Task, type TaskBatch } from './batch.ts';
import type { SlurmSettings } from './settings.ts';

/** A value of a directive: sbatch splits at blanks outside double quotes. */
const directive = (name: string, value: string | number | boolean): string =>
  value === true
    ? `#SBATCH --${name}`
    : `#SBATCH --${name}=${/\s/.test(String(value)) ? `"${value}"` : value}`;

// `exec`, so that the task itself is what Slurm signals.
const command = ({ words }: Task) => ['exec', ...LAUNCHED, ...words].map(quoted).join(' ');

interface Part {
  readonly name: string;
  /** Name of the log, as sbatch fills it in. */
  readonly log: string;
  readonly directives?: Readonly<Record<string, string>>;
  readonly body: readonly string[];
  /** What gathers needs no GPU. */
  readonly gpu: boolean;
}

function script(batch: TaskBatch, settings: SlurmSettings, part: Part): string {
  const { partition, account, time, memory, cpus, gpus, notice, modules, setup, directives } = settings;
  const lines: Record<string, string | number | boolean | null> = {
    'job-name': part.name,
    chdir: process.cwd(),
    output: join(resolve(slurmFolder(batch.folder)), part.log),
    // A task that is put back into the queue writes on.
    'open-mode': 'append',
    partition,
    account,
    time,
    mem: memory,
    'cpus-per-task': cpus,
    gpus: part.gpu ? gpus : null,
    // To the task (B: the batch script, which it has become) and not to what it starts.
    signal: notice > 0 ? `B:TERM@${notice}` : null,
    ...part.directives,
    ...directives,
  };
  return [
    '#!/bin/bash',
    ...Object.entries(lines).flatMap(([name, value]) =>
      value === null || value === false ? [] : [directive(name, value)],
    ),
    '',
    ...modules.map(name => `module load ${quoted(name)}`),
    ...setup,
    `export WEIGHTLOOM_THREADS=\${SLURM_CPUS_PER_TASK:-${cpus}}`,
    ...part.body,
    '',
  ].join('\n');
}

/** What has to be there before the tasks. */
export const firstScript = (batch: TaskBatch, settings: SlurmSettings, first: Task): string =>
  script(batch, settings, {
    name: `${batch.name}-first`,
    log: '%j-first.log',
    body: [command(first)],
    gpu: true,
  });

/** The tasks as an array job, one index each. */
export const arrayScript = (batch: TaskBatch, settings: SlurmSettings): string =>
  script(batch, settings, {
    name: batch.name,
    log: '%A_%a.log',
    directives: {
      array: `0-${batch.tasks.length - 1}${settings.atOnce === null ? '' : `%${settings.atOnce}`}`,
    },
    body: [
      'case $SLURM_ARRAY_TASK_ID in',
      ...batch.tasks.map((task, i) => `  ${i}) ${command(task)} ;;`),
      'esac',
    ],
    gpu: true,
  });

export const gatherScript = (batch: TaskBatch, settings: SlurmSettings): string =>
  script(batch, settings, {
    name: `${batch.name}-gather`,
    log: '%j-gather.log',
    body: [command(batch.gather)],
    gpu: false,
  });
