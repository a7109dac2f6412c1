/**
 * Sweeps through a real Slurm: where squeue answers (property-tests/peers/slurm.sh starts one on this machine; SLURM_CONF names it), else
 * skipped by name.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { readSubmissions, taskStates } from '../src/runs/index.ts';
import { writeTinyExperiment } from './tiny-experiment.ts';

const test = suite('Slurm');
const slurm = spawnSync('squeue', ['--noheader'], { timeout: 5000 }).status === 0;
const name =
  'six cells through Slurm: one cancelled, the same command runs that one alone, and the report has all';
if (!slurm) console.log(`skipped, no Slurm answers here: ${name}`);

const command = fileURLToPath(new URL('../src/cli/weightloom.mjs', import.meta.url));

async function until(condition: () => boolean): Promise<void> {
  for (let tries = 0; !condition(); tries++) {
    assert.ok(tries < 600, 'it takes longer than five minutes');
    await pause(500);
  }
}

(slurm ? test : test.skip)(name, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'weightloom-slurm-'));
  writeTinyExperiment(folder);
  const sweep = join(folder, 'sweep');
  const launch = (...words: string[]) => {
    const all = ['run', './tiny.ts', '--multirun', 'seed=0,1,2', 'kind=mlp,graph', '--out', sweep, ...words];
    const { status, stderr } = spawnSync(process.execPath, [command, ...all], {
      cwd: folder,
      encoding: 'utf8',
    });
    assert.is(status, 0, stderr);
    return stderr;
  };
  const settings = ['--launcher', 'slurm', '--launch', 'cpus=1', 'memory=500M', 'time=5', 'atOnce=1'];
  assert.match(launch(...settings), /job \d+ has 6 tasks, job \d+ gathers/);
  const [{ job, tasks }] = readSubmissions(sweep);
  const last = tasks.at(-1)!;
  // One at a time: the last one still waits.
  assert.is(taskStates(sweep, { required: true }).get(last)?.state, 'PENDING');
  assert.is(spawnSync('scancel', [`${job}_5`]).status, 0);
  assert.match(launch(...settings), /job \d+ has 1 task, job \d+ gathers/);
  const submissions = readSubmissions(sweep);
  assert.equal(
    submissions.map(submission => submission.tasks),
    [tasks, [last]],
  );
  assert.match(launch(...settings), 'nothing to submit; all that is missing is in the queue');
  assert.is(readSubmissions(sweep).length, 2);
  const table = join(sweep, 'sweep.md');
  await until(() => existsSync(table) && !readFileSync(table, 'utf8').includes('Missing'));
  for (const id of tasks) assert.ok(existsSync(join(sweep, id, 'results.json')), id);
  const states = taskStates(sweep, { required: true });
  assert.equal(
    tasks.map(id => states.get(id)?.state),
    tasks.map(() => 'COMPLETED'),
  );
  // Finished: what gathers is all that is left to do.
  assert.match(launch(...settings), /: job \d+ gathers/);
  rmSync(folder, { recursive: true, force: true });
});

test.run();
