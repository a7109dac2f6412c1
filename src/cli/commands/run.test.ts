/** Sweeps as a user runs them: in processes, killed and started again. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { weightloom } from '../../../property-tests/command-line.ts';
import { writeTinyExperiment } from '../../../property-tests/tiny-experiment.ts';
import { loadExperiment } from '../../experiment/index.ts';
import { runExperiment } from '../../index.ts';
import { experimentConfig, finishedCells, planSweep, writeSweepReport } from '../../runs/index.ts';
import { main } from '../main.ts';

const test = suite('weightloom run --multirun');
const command = fileURLToPath(new URL('../weightloom.mjs', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'weightloom-run-'));
const path = writeTinyExperiment(folder, { sweep: 'sweep: { rate: [0.1, 0.4], kind: [mlp, graph] }\n' });
const config = join(folder, 'tiny.yaml');
test.after(() => rmSync(folder, { recursive: true, force: true }));

/** What is said while something is done in this process. */
async function said(work: () => Promise<unknown>): Promise<string> {
  const { log, error } = console;
  let text = '';
  console.log = console.error = (line: string) => {
    text += `${line}\n`;
  };
  try {
    await work();
    return text;
  } finally {
    Object.assign(console, { log, error });
  }
}

const options = { cwd: folder, env: { ...process.env, WEIGHTLOOM_THREADS: '2' } };
const run = (...words: string[]) =>
  spawnSync(process.execPath, [command, 'run', './tiny.ts', ...words], { ...options, encoding: 'utf8' });

const done = (sweep: string) =>
  existsSync(join(folder, sweep))
    ? readdirSync(join(folder, sweep)).filter(id => existsSync(join(folder, sweep, id, 'results.json')))
    : [];

/** Resolves when the condition holds. */
async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await pause(20);
}
const gone = (child: ChildProcess) => new Promise(resolve => child.on('close', resolve));

test('twelve cells, killed in the middle and started again: only what is missing is run, and the table is the same', async () => {
  const words = ['seed=0,1,2'];
  // The sweep that nobody killed; its cells are run here, which is quicker.
  const experiment = await loadExperiment(path);
  const cells = await planSweep(experiment, config, words);
  assert.is(cells.length, 12);
  await said(async () => {
    for (const { id, overrides } of cells) {
      const { parameters } = await experimentConfig(experiment, config, overrides);
      await runExperiment(experiment, parameters, { folder: join(folder, 'whole', id), command: 'x' });
    }
  });
  assert.is((await finishedCells(experiment, cells, join(folder, 'whole'))).size, 12);
  await writeSweepReport({ experiment, cells, folder: join(folder, 'whole'), command: 'x', failed: [] });

  // The same sweep after its first ten cells, to save time.
  for (const { id } of cells.slice(0, 10)) {
    cpSync(join(folder, 'whole', id), join(folder, 'killed', id), { recursive: true });
  }
  const multirun = ['--multirun', ...words, '--out', 'killed'];
  const child = spawn(process.execPath, [command, 'run', './tiny.ts', ...multirun], {
    ...options,
    stdio: 'ignore',
  });
  await until(() => done('killed').length === 11);
  child.kill('SIGKILL');
  await gone(child);
  // The cell that was running goes with its sweep; alone it would take about this long to finish.
  await pause(2000);
  const before = done('killed');
  assert.is(before.length, 11);
  const times = before.map(id => readFileSync(join(folder, 'killed', id, 'environment.json'), 'utf8'));

  const { status, stdout, stderr } = run(...multirun);
  assert.is(status, 0, stderr);
  assert.match(stderr, '1 cells run, 11 already there, 0 failed, 0 missing');
  assert.match(stdout, /rate.*kind.*method.*seeds.*patch distance/);
  assert.is(done('killed').length, 12);
  assert.equal(
    before.map(id => readFileSync(join(folder, 'killed', id, 'environment.json'), 'utf8')),
    times,
  );
  for (const name of ['sweep.md', 'sweep.csv']) {
    assert.is(
      readFileSync(join(folder, 'killed', name), 'utf8'),
      readFileSync(join(folder, 'whole', name), 'utf8'),
    );
  }
});

test('a cell that fails is told with its own sentence and the rest goes on; one can be chosen by name', async () => {
  const words = ['--multirun', 'seed=0,1', 'rate=0.1', 'kind=mlp', 'fails=[1]', '--out'];
  const first = run(...words, 'failing');
  assert.is(first.status, 1);
  const [, id] = /^ {2}(seed=1-\w{8}): Error: seed 1 is unlucky$/m.exec(first.stderr)!;
  assert.match(first.stderr, '1 cells run, 0 already there, 1 failed, 1 missing');
  assert.match(readFileSync(join(folder, 'failing', id, 'log.txt'), 'utf8'), /unlucky\n\s+at /);
  const only = (name: string) =>
    said(() => main(['run', path, ...words, join(folder, 'failing'), '--dry-run', '--only', name]));
  assert.is(await only(id.slice(-8)), `${id}\n`);
  assert.match(await only('seed=7'), /^option --only: expected the name of one of 2 cells/);
  process.exitCode = 0;
});

test('a dry run refuses what the real one would, and leaves nothing', async () => {
  const dry = async (...words: string[]) => {
    const { text, code } = await weightloom('run', ...words, '--dry-run', '--out', join(folder, 'dry'));
    assert.not(existsSync(join(folder, 'dry')));
    return `${code} ${text}`;
  };
  const small = ['quickstart', 'limit.train=4', 'limit.heldOut=2', 'zoo=procedural'];
  // An option is literal text, whatever YAML would make of it.
  assert.match(await dry(...small, '--zoo', '/nowhere/a #2: b'), /^1 \/nowhere\/a #2: b.*: expected/);
  assert.match(await dry(...small, 'denoisers=[transfomer]'), /^1 .*Did you mean transformer\?/);
  assert.match(await dry(...small, 'denoisers=[./none.ts]'), /^1 .*none\.ts.*expected/);
  assert.match(await dry(...small, 'encoder.kind=random-grm'), /^1 .*Did you mean random-gram\?/);
  assert.match(
    await dry(...small, 'parameters={transformer-typed: {wdith: 4}}'),
    /^1 .*wdith.*Did you mean width\?/,
  );
  assert.match(
    await dry(...small, '--multirun', 'seed=0,1', 'denoisers=[transformer],[transfomer]'),
    /^1 .*seed=0.*: .*Did you mean transformer\?/,
  );
  const inTheWay = await weightloom('run', ...small, '--dry-run', '--out', join(path, 'x'));
  assert.match(inTheWay.text, /expected a folder that can be made, found .*tiny\.ts, which is a file/);
  assert.match(await dry(...small), /^0 .*zoo: procedural/s);
});

test('without --multirun the sweep block is left out, and said so', async () => {
  const text = await said(() => main(['run', path, '--out', join(folder, 'single')]));
  assert.match(text, 'the sweep over rate, kind in the configuration is left out: --multirun runs it\n');
  assert.ok(existsSync(join(folder, 'single', 'results.json')));
});

test("runs resume goes on with an unfinished run of an experiment of one's own, and only with that", async () => {
  const out = join(folder, 'resumed');
  const results = join(out, 'results.json');
  const resume = () => said(() => main(['runs', 'resume', out, path]));
  await said(() => main(['run', path, 'seed=5', '--out', out]));
  const [whole, environment] = [results, join(out, 'environment.json')].map(file =>
    readFileSync(file, 'utf8'),
  );
  assert.is(await resume(), `${out}: finished already\n`);

  // As a killed process leaves it.
  rmSync(results);
  writeFileSync(join(out, 'run.lock'), JSON.stringify({ host: hostname(), pid: 2 ** 30, started: null }));
  assert.match(await resume(), 'goes on; parts that are finished: 0');
  assert.is(readFileSync(results, 'utf8'), whole);
  assert.is(readFileSync(join(out, 'environment.json'), 'utf8'), environment);
  assert.not(existsSync(join(out, 'run.lock')));

  rmSync(results);
  const { experiment: _, ...older } = JSON.parse(environment);
  writeFileSync(join(out, 'environment.json'), JSON.stringify({ ...older, experiment: 'nowhere.ts' }));
  assert.match(
    await resume(),
    /environment\.json: expected modules that are named .*, found nowhere\.ts, which/,
  );
  writeFileSync(join(out, 'environment.json'), JSON.stringify(older));
  assert.match(await resume(), /environment\.json: experiment: expected a text, found nothing\.$/m);
  assert.not(existsSync(results));
  process.exitCode = 0;
});

test.run();
