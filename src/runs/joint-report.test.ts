/** Reports over runs of an experiment that takes no time. */
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { writeTinyExperiment } from '../../property-tests/tiny-experiment.ts';
import { UserError } from '../config/index.ts';
import { meanInterval } from '../evaluation/index.ts';
import { loadExperiment } from '../experiment/experiment.ts';
import { writeRunsReport } from './joint-report.ts';
import { groupRuns, readRuns } from './merge.ts';
import { methodsOf, readResults } from './results.ts';
import { createRunFolder } from './run-folder.ts';
import { experimentConfig } from './sweep/plan.ts';

const test = suite('report over runs');
const root = mkdtempSync(join(tmpdir(), 'weightloom-report-'));
test.after(() => rmSync(root, { recursive: true, force: true }));
const at = (name: string) => join(root, name);

/** A run of the tiny experiment. */
async function run(name: string, ...overrides: string[]): Promise<string> {
  const experiment = await loadExperiment(join(root, 'tiny.ts'));
  const { parameters } = await experimentConfig(experiment, join(root, 'tiny.yaml'), overrides);
  const folder = await createRunFolder('tiny', parameters, { folder: at(name) });
  const command = `weightloom run ./tiny.ts ${overrides.join(' ')}`;
  const progress = () => ({ update() {}, stop() {} });
  const { signal } = new AbortController();
  await experiment.run({ run: folder, signal, command, progress, say() {} }, parameters);
  return folder.path;
}

/** A copy of a run with its results changed. */
function altered(from: string, name: string, change: (results: Record<string, unknown>) => void): string {
  cpSync(from, at(name), { recursive: true });
  const results = JSON.parse(readFileSync(join(from, 'results.json'), 'utf8'));
  change(results);
  writeFileSync(join(at(name), 'results.json'), JSON.stringify(results));
  return at(name);
}

async function refusal(work: () => Promise<unknown>): Promise<string> {
  try {
    await work();
  } catch (error) {
    assert.instance(error, UserError, String(error));
    return (error as Error).message.replaceAll(root, 'ROOT');
  }
  throw new Error('nothing was refused');
}

const runs: Record<string, string> = {};
test.before(async () => {
  writeTinyExperiment(root);
  runs.a = await run('a', 'seed=0');
  runs.b = await run('b', 'seed=1');
  runs.c = await run('c', 'kind=graph', 'rate=0.5');
  runs.d = await run('d', 'rate=0.5');
  runs.other = altered(runs.a, 'other', results => {
    results.textures = Array.from({ length: 10 }, (_, i) => `other ${i}`);
  });
});

test('runs that differ in the seed alone become their mean; baselines that came out the same stand once', async () => {
  const [group, ...more] = groupRuns(await readRuns([runs.a, runs.b, runs.c, runs.d]));
  assert.is(more.length, 0);
  assert.equal(
    group.methods.map(({ name, kind }) => [name, kind]),
    [
      ['mlp (tiny, seeds 0, 1)', 'denoiser'],
      ['graph', 'denoiser'],
      ['mlp (d)', 'denoiser'],
      ['own NCA', 'bound'],
      ['nearest', 'baseline'],
    ],
  );
  const values = await Promise.all(
    [runs.a, runs.b].map(async folder => methodsOf(await readResults(folder), '')[0].values['patch-sw']),
  );
  const mean = values[0].map((x, i) => (x + values[1][i]) / 2);
  assert.equal(meanInterval(group.methods[0].values['patch-sw']), meanInterval(mean));
});

test('a report has the merged table, every run with its command, and the same numbers as CSV, Markdown and LaTeX', async () => {
  const folder = at('report');
  const { sentences } = await writeRunsReport([runs.a, runs.b, runs.c], {
    folder,
    command: 'weightloom report',
  });
  assert.equal(sentences, ['tiny, seeds 0, 1: the mean over 2 runs that differ in the seed alone (a, b).']);
  const text = (name: string) => readFileSync(join(folder, name), 'utf8');
  const html = text('report.html');
  for (const piece of [
    'Side by side',
    'graph',
    'weightloom run ./tiny.ts kind=graph rate=0.5',
    'paired by texture',
  ]) {
    assert.ok(html.includes(piece), piece);
  }
  assert.match(html, 'href="../a/report.html"');
  assert.not.match(html, /src="(?!data:)/);
  const lines = text('results.csv').trim().split('\n');
  assert.is(lines[0], 'run,method,kind,texture,patch-sw,ssim,health');
  // Three runs, three methods, ten textures.
  assert.is(lines.length, 1 + 3 * 3 * 10);
  assert.match(text('results.md'), /^\| graph \| denoiser \| 1\./m);
  assert.match(text('results.tex'), /^ {4}mlp & /m);
});

test('runs on different textures are not paired, and the report says so', async () => {
  const folder = at('apart');
  const { groups, sentences } = await writeRunsReport([runs.a, runs.c, runs.other], { folder, command: 'x' });
  assert.is(groups.length, 2);
  const sentence =
    'Not all runs were measured on the same held-out textures (a, c; other): only those that were are paired with each other.';
  assert.equal(sentences, [sentence]);
  assert.ok(readFileSync(join(folder, 'report.html'), 'utf8').includes(sentence));
  assert.match(readFileSync(join(folder, 'results.tex'), 'utf8'), 'tab:comparison-2');
});

test('what is no run, or one of another version, gets one sentence, and nothing is written', async () => {
  const report = (...folders: string[]) => writeRunsReport(folders, { folder: at('none'), command: 'x' });
  const newer = altered(runs.a, 'newer', results => {
    results.version = 3;
  });
  const others = altered(runs.a, 'others', results => {
    delete results.summary;
  });
  const short = altered(runs.a, 'short', results => {
    (results.perTexture as Record<string, unknown>[])[0]['patch-sw'] = [1];
  });
  const foreign = altered(runs.a, 'foreign', results => {
    results.metrics = [{ name: 'psnr', better: 'higher' }];
    for (const row of results.perTexture as Record<string, unknown>[])
      row.psnr = Array.from({ length: 10 }, (_, i) => i);
  });
  await createRunFolder('tiny', {}, { folder: at('stopped') });
  const cases: [string[], string][] = [
    [[at('nowhere')], 'ROOT/nowhere: expected a finished run, with results.json in it, found nothing there.'],
    [[root], 'ROOT: expected a finished run, with results.json in it, found none.'],
    [
      [at('stopped')],
      'ROOT/stopped: expected a finished run, with results.json in it, found none: it did not finish.',
    ],
    [
      [runs.a, newer],
      'ROOT/newer/results.json: version: expected results of version 1, found version 3. Another version of weightloom wrote it: run it again with this one.',
    ],
    [[others], 'ROOT/others: expected results of a comparison of methods, found others, of tiny.'],
    [[runs.a, `${runs.a}/`], 'ROOT/a/: expected every run once, found the same folder twice.'],
    [[short], 'ROOT/short/results.json: perTexture: mlp: patch-sw: expected 10 values, found 1.'],
    [[runs.a, foreign], 'ROOT/foreign: expected a metric in common with a (patch-sw, ssim), found psnr.'],
  ];
  for (const [folders, sentence] of cases) assert.is(await refusal(() => report(...folders)), sentence);
  assert.not(existsSync(at('none')));
  assert.match(
    await refusal(() => writeRunsReport([runs.a], { folder: runs.b, command: 'x' })),
    'expected a folder for the report, found one that holds a run or a sweep',
  );
});

test('a damaged run among others is told of and left out; alone it is refused', async () => {
  for (const [name, content] of Object.entries({
    cut: '{"version":1,"exp',
    empty: '',
    list: '[]',
    none: '{}',
  })) {
    cpSync(runs.a, at(name), { recursive: true });
    writeFileSync(join(at(name), 'results.json'), content);
    const report = (...folders: string[]) =>
      writeRunsReport(folders, { folder: at(`report-${name}`), command: 'x' });
    const sentence = await refusal(() => report(at(name)));
    assert.match(sentence, new RegExp(`^ROOT/${name}/results\\.json: expected .*, found .*\\.$`));
    assert.not(existsSync(at(`report-${name}`)));
    const { groups, leftOut } = await report(at(name), runs.a, runs.b);
    assert.equal(
      groups[0].runs.map(({ label }) => label),
      ['a', 'b'],
    );
    assert.equal(
      leftOut.map(line => line.replaceAll(root, 'ROOT')),
      [`Left out: ${sentence}`],
    );
    assert.match(readFileSync(join(at(`report-${name}`), 'report.html'), 'utf8'), 'Left out: ');
  }
});

test.run();
