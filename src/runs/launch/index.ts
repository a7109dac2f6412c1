/** Launchers: many tasks on this machine or on a cluster. */
export { readSubmissions, type Submissions, slurmFolder, type Task, type TaskBatch } from './batch.ts';
export { type LocalOptions, runTasks } from './local.ts';
export { type SlurmSettings, slurmSettings } from './settings.ts';
export { batchScripts, submitBatch, type TaskState, taskStates } from './slurm.ts';
