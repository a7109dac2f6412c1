/** Scripts for sbatch, and what happens where Slurm says no: with stand-ins for its commands. The real one is in property-tests/slurm.test.ts. */
import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { refusal } from '../../../property-tests/refusal.ts';
import { LAUNCHED, submissionsFile, type TaskBatch } from './batch.ts';
import { runTasks } from './local.ts';
import { arrayScript } from './script.ts';
import { type SlurmSettings, slurmSettings } from './settings.ts';
import { batchScripts, submitBatch, taskStates } from './slurm.ts';

const test = suite('launch');
const root = mkdtempSync(join(tmpdir(), 'weightloom-launch-'));
const { PATH } = process.env;
test.after.each(() => {
  process.env.PATH = PATH;
});
test.after(() => rmSync(root, { recursive: true }));
let folders = 0;
const fresh = () => join(root, `batch ${folders++}`);

const batch = (folder: string, more: Partial<TaskBatch> = {}): TaskBatch => ({
  name: 'sweep',
  folder,
  tasks: ['a', 'b', 'c'].map(id => ({ id, words: ['run', id] })),
  gather: { id: 'report', words: ['gather'], after: 'any end' },
  ...more,
});

/** Commands on a PATH of their own: shell scripts by name. */
function standIns(scripts: Readonly<Record<string, string>>): string {
  const folder = join(root, `bin-${folders++}`);
  mkdirSync(folder);
  for (const [name, script] of Object.entries(scripts)) {
    writeFileSync(join(folder, name), `#!/bin/sh\n${script}\n`);
    chmodSync(join(folder, name), 0o755);
  }
  process.env.PATH = folder;
  return folder;
}

test('each index of the array runs its own words, whatever is in them', async () => {
  const settings = await slurmSettings('slurm', ['atOnce=2']);
  const words = fc.array(
    fc.string({ unit: 'binary' }).filter(word => !word.includes('\0')),
    { maxLength: 5 },
  );
  fc.assert(
    fc.property(fc.array(words, { minLength: 1, maxLength: 4 }), lists => {
      const tasks = lists.map((list, i) => ({ id: String(i), words: list }));
      const text = arrayScript(batch('x', { tasks }), settings);
      assert.match(text, `#SBATCH --array=0-${lists.length - 1}%2\n`);
      const printing = text.replaceAll(`exec ${LAUNCHED.join(' ')}`, "printf '%s\\0'");
      lists.forEach((list, i) => {
        const { stdout } = spawnSync('bash', ['-c', printing], {
          encoding: 'utf8',
          env: { PATH, SLURM_ARRAY_TASK_ID: String(i) },
        });
        // printf prints its format once for no words at all.
        assert.equal(stdout, list.length === 0 ? '\0' : list.map(word => `${word}\0`).join(''));
      });
    }),
    { numRuns: 8 },
  );
});

test('settings become directives: null leaves one out, and what gathers needs no GPU', async () => {
  const settings: SlurmSettings = await slurmSettings('slurm', [
    'partition=long',
    'gpus=a100:2',
    'time=1-00:00:00',
    'modules=[nodejs/20]',
    'setup=[ulimit -n 4096]',
    'directives={exclusive: true, constraint: zen4|zen5, comment: two words}',
  ]);
  const [first, tasks, gather] = batchScripts(
    batch('x', { first: { id: 'base', words: ['base'] } }),
    settings,
  );
  for (const line of [
    '--partition=long',
    '--gpus=a100:2',
    '--time=1-00:00:00',
    '--exclusive',
    '--constraint=zen4|zen5',
    '--comment="two words"',
    '--signal=B:TERM@120',
  ]) {
    assert.match(first.text, `#SBATCH ${line}\n`);
    assert.match(tasks.text, `#SBATCH ${line}\n`);
  }
  assert.match(tasks.text, 'module load nodejs/20\nulimit -n 4096\n');
  assert.not.match(tasks.text, '--account');
  assert.not.match(gather.text, '--gpus');
  assert.not.match(gather.text, '--array');
});

test('a misspelt key, a value that does not fit and a directive of the launcher are one sentence each', async () => {
  const known = 'partition, account, time, memory, cpus, gpus, notice, atOnce, modules, setup, directives';
  assert.is(
    await refusal(() => slurmSettings('slurm', ['partitoin=gpu'])),
    `command line (partitoin=gpu): partitoin: expected one of the keys ${known}, found the unknown key partitoin. Did you mean partition?`,
  );
  assert.match(
    await refusal(() => slurmSettings('slurm', ['cpus=none'])),
    /^command line \(cpus=none\): cpus: expected .*, found "none"/,
  );
  assert.is(
    await refusal(() => slurmSettings('slurm', ['+directives.array=0-3'])),
    'launcher slurm: directives.array: expected directives that the launcher does not set itself, found array.',
  );
  assert.is(
    await refusal(() => slurmSettings('slrum')),
    'launcher: expected local, slurm or a YAML file, found "slrum". Did you mean slurm?',
  );
});

test('without sbatch, and where it refuses, there is one sentence and nothing stays behind', async () => {
  const settings = await slurmSettings('slurm');
  const folder = fresh();
  standIns({});
  assert.is(
    await refusal(() => submitBatch(batch(folder), settings)),
    "launcher slurm: expected sbatch on the PATH, found none. Submit where Slurm's commands are; --dry-run prints the scripts without them.",
  );
  assert.not.ok(existsSync(folder));

  // The array is taken, what gathers is not: the array is cancelled.
  const bin = standIns({
    sbatch: `case "$*" in *gather.sh) echo "sbatch: error: Batch job submission failed: Invalid account" >&2; exit 1 ;; *) echo 41 ;; esac`,
    scancel: `echo "$*" > "${root}/cancelled"`,
  });
  assert.is(
    await refusal(() => submitBatch(batch(folder), settings)),
    'sbatch: expected a submission that Slurm takes, found sbatch: error: Batch job submission failed: Invalid account.',
  );
  assert.is(readFileSync(join(root, 'cancelled'), 'utf8'), '41\n');
  assert.not.ok(existsSync(folder));
  assert.ok(bin && !existsSync(submissionsFile(folder)));
});

test('states come from squeue, those it has forgotten from sacct, each of the latest submission', async () => {
  const settings = await slurmSettings('slurm');
  const folder = fresh();
  const ids = ['7', '8', '9', '10'];
  writeFileSync(join(root, 'ids'), `${ids.join('\n')}\n`);
  standIns({
    sbatch: `PATH=${PATH}; head -n 1 "${root}/ids"; sed -i 1d "${root}/ids"`,
    squeue: 'printf "7|0|CANCELLED\\n7|2|RUNNING\\n9|0|PENDING\\n99|0|RUNNING\\n"',
    sacct: 'printf "7_0|CANCELLED by 0\\n7_1|COMPLETED\\n7_2|FAILED\\n"',
  });
  assert.is(taskStates(folder).size, 0);
  await submitBatch(batch(folder), settings);
  assert.equal(Object.fromEntries(taskStates(folder, { required: true })), {
    a: { job: '7_0', state: 'CANCELLED', active: false },
    b: { job: '7_1', state: 'COMPLETED', active: false },
    c: { job: '7_2', state: 'RUNNING', active: true },
  });
  await submitBatch(batch(folder, { tasks: [{ id: 'a', words: [] }] }), settings);
  assert.equal(taskStates(folder).get('a'), { job: '9_0', state: 'PENDING', active: true });

  standIns({ squeue: 'echo "slurm_load_jobs error: Unable to contact slurm controller" >&2; exit 1' });
  assert.is(taskStates(folder).size, 0);
  assert.match(
    await refusal(async () => taskStates(folder, { required: true })),
    'found slurm_load_jobs error: Unable to contact slurm controller.',
  );
  writeFileSync(submissionsFile(folder), '{');
  assert.match(await refusal(async () => taskStates(folder)), /jobs\.json: expected JSON/);
});

test('tasks in processes: so many at a time, and one that fails says why', async () => {
  let [running, most] = [0, 0];
  const board = {
    started() {
      most = Math.max(most, ++running);
    },
    said() {},
    ended() {
      running--;
    },
    stop() {},
  };
  const tasks = [
    { id: 'version', words: ['--version'] },
    { id: 'again', words: ['--version'] },
    { id: 'wrong', words: ['doctor', '--no-such-option'] },
  ];
  const failed = await runTasks({ label: 'test', tasks, jobs: 2, board });
  assert.equal(
    failed.map(({ id }) => id),
    ['wrong'],
  );
  assert.is(most, 2);
});

test.run();
