/** Sweeps of twelve cells that are run in this process: what is run, what is told, and what the table says. */
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { refusal } from '../../../property-tests/refusal.ts';
import { writeTinyExperiment } from '../../../property-tests/tiny-experiment.ts';
import { meanInterval } from '../../evaluation/index.ts';
import { type Experiment, loadExperiment } from '../../experiment/experiment.ts';
import { lock } from '../../formats/index.ts';
import { reasonOf } from '../process.ts';
import { methodsOf, readResults } from '../results.ts';
import { createRunFolder } from '../run-folder.ts';
import { type Board, timeLeft } from './board.ts';
import { experimentConfig, finishedCells, planSweep } from './plan.ts';
import { writeSweepReport } from './report.ts';
import { type CellRunner, runSweep } from './run.ts';

const test = suite('sweep');
const root = mkdtempSync(join(tmpdir(), 'weightloom-sweep-'));
const path = writeTinyExperiment(root);
const config = join(root, 'tiny.yaml');
let tiny: Experiment;
test.before(async () => {
  tiny = await loadExperiment(path);
});
test.after(() => rmSync(root, { recursive: true, force: true }));

const silent: Board = { started() {}, said() {}, ended() {}, stop() {} };
const WORDS = ['seed=0,1,2', 'rate=0.1,0.4', 'kind=mlp,graph'];

/** Runs a cell as `weightloom run` does, without a process of its own. */
const inThisProcess: CellRunner = async ({ cell, folder, signal }) => {
  const { parameters } = await experimentConfig(tiny, config, cell.overrides);
  const run = await createRunFolder('tiny', parameters, { folder });
  try {
    await tiny.run(
      { run, signal: signal!, command: 'tiny', progress: () => ({ update() {}, stop() {} }), say() {} },
      parameters,
    );
    return null;
  } catch (error) {
    return (error as Error).message;
  } finally {
    await run.leave();
  }
};

/** A whole sweep with its report. `ran` gets the cells that were run. */
async function sweep(
  folder: string,
  words: readonly string[],
  { runner = inThisProcess, ran = [] as string[], signal = new AbortController().signal } = {},
) {
  const cells = await planSweep(tiny, config, words);
  const finished = await finishedCells(tiny, cells, folder);
  const watched: CellRunner = run => {
    ran.push(run.cell.id);
    return runner(run);
  };
  const outcome = await runSweep({
    experiment: path,
    cells,
    finished,
    folder,
    jobs: 2,
    signal,
    runner: watched,
    board: silent,
  });
  const table = await writeSweepReport({
    experiment: tiny,
    cells,
    folder,
    command: 'x',
    failed: outcome.failed,
  });
  return { cells, outcome, table };
}

const tables = (folder: string) =>
  ['sweep.md', 'sweep.csv'].map(name => readFileSync(join(folder, name), 'utf8'));

test('a sweep stopped in the middle runs what is missing, and gives the table of one that was not', async () => {
  const whole = join(root, 'whole');
  await sweep(whole, WORDS);
  const stopped = join(root, 'stopped');
  const controller = new AbortController();
  const ran: string[] = [];
  const stopping: CellRunner = run => {
    if (ran.length === 5) controller.abort();
    return inThisProcess(run);
  };
  const first = await sweep(stopped, WORDS, { runner: stopping, ran, signal: controller.signal });
  assert.ok(first.table.missing.length > 0 && first.table.missing.length < 12);
  assert.match(tables(stopped)[0], 'not run yet');
  const again: string[] = [];
  const { outcome, table } = await sweep(stopped, WORDS, { ran: again });
  assert.equal(again.sort(), [...first.table.missing].sort());
  assert.is(outcome.finished.length + outcome.skipped.length, 12);
  assert.equal(table.missing, []);
  assert.equal(tables(stopped), tables(whole));
  const third: string[] = [];
  await sweep(stopped, WORDS, { ran: third });
  assert.equal(third, []);
  assert.not(existsSync(join(stopped, 'sweep.lock')));
});

test('the table has a row per setting and method, each texture the mean over seeds', async () => {
  const folder = join(root, 'means');
  const { cells, table } = await sweep(folder, WORDS);
  assert.equal(table.keys, ['rate', 'kind']);
  // 4 settings, each with its denoiser, a baseline and a bound.
  assert.is(table.rows.length, 12);
  const row = table.rows.find(
    ({ settings, method }) => settings.rate === '0.4' && settings.kind === 'graph' && method === 'graph',
  )!;
  assert.is(row.seeds, 3);
  const runs = await Promise.all(
    cells
      .filter(({ varied }) => varied.rate === '0.4' && varied.kind === 'graph')
      .map(async ({ id }) => {
        const results = await readResults(join(folder, id));
        return methodsOf(results, id)[0].values['patch-sw'];
      }),
  );
  const means = runs[0].map((_, i) => (runs[0][i] + runs[1][i] + runs[2][i]) / 3);
  // The same sums in the same order.
  assert.equal(row.intervals['patch-sw'], meanInterval(means));
  const report = readFileSync(join(folder, 'report.html'), 'utf8');
  assert.not.match(report, /(src|href)="(?!data:|\.\/)/);
  assert.match(report, 'name="viewport"');
});

test('rows are set in bold by pairs of textures, and not at all where cells have different ones', async () => {
  const folder = join(root, 'bold');
  const { cells, table } = await sweep(folder, ['rate=0.1,0.4']);
  const report = () => readFileSync(join(folder, 'report.html'), 'utf8');
  assert.ok(table.paired);
  assert.match(report(), 'what is not told apart from it (paired, with Holm’s correction)');
  assert.match(report(), '<td class="best">');
  const results = join(folder, cells[0].id, 'results.json');
  const other = JSON.parse(readFileSync(results, 'utf8'));
  other.textures = other.textures.map((name: string) => `another ${name}`);
  writeFileSync(results, JSON.stringify(other));
  assert.not((await sweep(folder, ['rate=0.1,0.4'])).table.paired);
  assert.match(report(), 'Nothing is bold');
  assert.not.match(report(), '<td class="best">');
});

test('a failed cell is named with its reason, the others go on, and the next sweep tries it again', async () => {
  const folder = join(root, 'failing');
  const words = ['seed=0,1,2'];
  const unlucky: CellRunner = run =>
    run.cell.varied.seed === '1' ? Promise.resolve('out of luck') : inThisProcess(run);
  const { outcome, table } = await sweep(folder, words, { runner: unlucky });
  assert.is(outcome.finished.length, 2);
  assert.equal(
    outcome.failed.map(({ reason }) => reason),
    ['out of luck'],
  );
  assert.equal(table.missing, [outcome.failed[0].id]);
  assert.match(tables(folder)[0], `- ${outcome.failed[0].id}: out of luck`);
  const ran: string[] = [];
  await sweep(folder, words, { ran });
  assert.equal(ran, [outcome.failed[0].id]);
});

test('a cell whose results are damaged is not finished: it is said, missing, and run again', async () => {
  const folder = join(root, 'torn');
  const { cells } = await sweep(folder, ['seed=0,1']);
  const results = join(folder, cells[0].id, 'results.json');
  const whole = readFileSync(results, 'utf8');
  writeFileSync(results, whole.slice(0, 40));
  const { error } = console;
  let said = '';
  console.error = (line: string) => {
    said += line;
  };
  try {
    assert.equal([...(await finishedCells(tiny, cells, folder))], [cells[1].id]);
  } finally {
    console.error = error;
  }
  assert.match(said, `${results}: expected JSON`);
  const found = await writeSweepReport({ experiment: tiny, cells, folder, command: 'x', failed: [] });
  assert.equal(found.missing, [cells[0].id]);
});

test('a killed cell goes on with what it had finished; the remains of another configuration make room', async () => {
  const folder = join(root, 'goes-on');
  const cells = await planSweep(tiny, config, ['seed=0,1']);
  for (const { id, parameters } of cells) {
    const changed = id === cells[1].id ? { rate: 7 } : {};
    const run = await createRunFolder(
      'tiny',
      { ...(parameters as object), ...changed },
      { folder: join(folder, id) },
    );
    await run.once('part', async () => 1);
  }
  const kept: string[] = [];
  const looking: CellRunner = run => {
    if (existsSync(join(run.folder, 'parts'))) kept.push(run.cell.id);
    return Promise.resolve(null);
  };
  await sweep(folder, ['seed=0,1'], { runner: looking });
  assert.equal(kept, [cells[0].id]);
});

test('an unknown key or a value that does not fit is refused before any cell runs', async () => {
  const folder = join(root, 'never');
  assert.match(
    await refusal(() => sweep(folder, ['seeds=0,1'])),
    /^command line \(seeds=0\): seeds: expected one of the keys seed, rate, .*found the unknown key seeds\. Did you mean seed\?$/,
  );
  assert.match(
    await refusal(() => sweep(folder, ['seed=0,1', 'rate=0.1,fast'])),
    /^command line \(rate=fast\): rate: expected a number, found "fast"\.$/,
  );
  assert.not(existsSync(folder));
});

test('the sweep block of a configuration is swept; the command line wins; its mistakes are its own', async () => {
  const other = join(root, 'block');
  writeTinyExperiment(other, { sweep: 'sweep: { seed: [0, 1], rate: [0.1, 0.2] }\n' });
  const file = join(other, 'tiny.yaml');
  const ids = async (...words: string[]) =>
    (await planSweep(tiny, file, words)).map(({ overrides }) => overrides.join(' '));
  assert.equal(await ids(), ['seed=0 rate=0.1', 'seed=0 rate=0.2', 'seed=1 rate=0.1', 'seed=1 rate=0.2']);
  assert.equal(await ids('seed=7', 'kind=a,b'), [
    'rate=0.1 seed=7 kind=a',
    'rate=0.1 seed=7 kind=b',
    'rate=0.2 seed=7 kind=a',
    'rate=0.2 seed=7 kind=b',
  ]);
  const { parameters, sweep: block } = await experimentConfig(tiny, file);
  assert.equal(parameters, { seed: 0, rate: 0.1, kind: 'mlp', fails: [] });
  assert.equal(block, { seed: [0, 1], rate: [0.1, 0.2] });
  writeTinyExperiment(other, { sweep: 'sweep: { rat: [0.1, 0.2] }\n' });
  assert.match(
    await refusal(() => planSweep(tiny, file, [])),
    /tiny\.yaml: sweep \(rat=0\.1\): rat: expected one of/,
  );
});

test('cells of another version, experiment or configuration are refused with one sentence', async () => {
  const folder = join(root, 'foreign');
  const [{ id }] = (await sweep(folder, ['seed=0,1'])).cells;
  const results = join(folder, id, 'results.json');
  const good = readFileSync(results, 'utf8');
  writeFileSync(results, good.replace('"version":1', '"version":2'));
  assert.match(
    await refusal(() => sweep(folder, ['seed=0,1'])),
    /results\.json: version: expected results of version 1, found version 2\. Another version of weightloom/,
  );
  writeFileSync(results, good.replace('"experiment":"tiny"', '"experiment":"huge"'));
  assert.match(
    await refusal(() => sweep(folder, ['seed=0,1'])),
    'expected results of tiny, found those of huge',
  );
  writeFileSync(results, good);
  const before = readFileSync(config, 'utf8');
  writeFileSync(config, before.replace('rate: 0.1', 'rate: 0.7'));
  assert.match(
    await refusal(() => sweep(folder, ['seed=0,1'])),
    /config\.yaml: expected the configuration of this sweep, found another one\. Give the sweep another --out/,
  );
  writeFileSync(config, before);
  await sweep(folder, ['seed=0,1']);
});

test('two sweeps do not work in one folder', async () => {
  const folder = join(root, 'twice');
  mkdirSync(folder);
  const leave = await lock(join(folder, 'sweep.lock'), 'it');
  assert.match(
    await refusal(() => sweep(folder, ['seed=0'])),
    `expected the sweep ${folder} free, found process ${process.pid} at work on it`,
  );
  assert.equal(readdirSync(folder), ['sweep.lock']);
  await leave();
});

test('the reason of a failure is its last sentence, not its stack', () => {
  assert.is(
    reasonOf('training: 1/2\nError: bang\n    at run (x.ts:1:1)\n    at y {\n  code: 3\n}\n'),
    'Error: bang',
  );
  assert.is(reasonOf('zoo: expected a folder, found none.\n\n'), 'zoo: expected a folder, found none.');
  assert.is(reasonOf(''), undefined);
});

test('time left comes from the cells that ended here', () => {
  const tally = { total: 10, finished: 4, failed: 1, running: 2 };
  assert.is(timeLeft([], tally, 2), null);
  assert.is(timeLeft([2, 4], tally, 2), (3 * 5) / 2);
});

test.run();
