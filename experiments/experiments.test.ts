/** Every experiment, from its configuration to its report, on a few NCAs of the zoo of procedural textures and a step or two of training. */
import { mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { composeConfig, describe, loadConfig } from '../src/config/index.ts';
import { BASELINES, ORBIT_BASELINES } from '../src/evaluation/index.ts';
import { experimentNames, KEPT_METHODS, loadExperiment, readKeptNcas } from '../src/experiment/index.ts';
import { runExperiment, settle, startBackend, tf } from '../src/index.ts';
import { readResults } from '../src/runs/index.ts';

const scratch = mkdtempSync(join(tmpdir(), 'weightloom-experiments-'));

const SMALL = [
  'training.steps=2',
  'sampling.steps=2',
  'evaluation.steps=8',
  'limit.train=6',
  'limit.heldOut=3',
  'zoo=procedural',
];
const MORE: Record<string, string[]> = {
  'global-feature': ['seeds=[0]', 'placements=[global,nodes,scale,none]'],
  equivariance: ['shares=[0.5,1]', 'seeds=[0]', 'disorder=[hidden-permutation,hidden-scaling]'],
  'compare-denoisers': [
    'denoisers=[transformer-hidden]',
    'seeds=[0,1]',
    '+encoders.other={kind: random-gram, layout: scales}',
    'samplings={guided: {guidance: 2}}',
  ],
  initialisation: [
    'fineTuning.checkpoints=[0,1,3]',
    'fineTuning.shown=[0,3]',
    'fineTuning.size=12',
    'fineTuning.pool=4',
    'fineTuning.steps=[2,4]',
    'fineTuning.learningRates=[0.001,0.002]',
  ],
  scaling: ['counts=[4,8]', 'seeds=[0,1]'],
  quickstart: ['denoisers=[edge-mpnn,transformer-typed]', 'sampling.draws=2'],
  'sampling-settings': [
    'denoiser=transformer-hidden',
    'processes={prior: {process: edm, prior: gaussian}, regression: {process: regression, prior: gaussian}}',
    'budgets=[1]',
    'sampling.draws=2',
    'evaluation.split=held-out',
  ],
  'training-variants': [
    'denoisers=[transformer-hidden]',
    'seeds=[0,1]',
    'rollout.rows=2',
    'rollout.from=0',
    'canonical=[d4]',
  ],
};
/** Experiments that compare no methods: they train nothing, and have pictures and results of their own. */
const STUDIES: Record<string, { readonly overrides: string[]; readonly pictures: string[] }> = {
  'graph-study': {
    overrides: ['zoo=procedural', 'count=10', 'pictureSize=16', 'drawn=1', 'permutations=19'],
    pictures: ['map-weights.png', 'map-pictures.png'],
  },
};
const isPng = (path: string) =>
  assert.equal([...readFileSync(path).subarray(1, 4)], [...Buffer.from('PNG')], path);

async function runKeepingNoTensor(name: string, overrides: readonly string[]) {
  await startBackend();
  const experiment = await loadExperiment(name);
  const { value } = await settle(loadConfig(experiment.parameters, name, { overrides }));
  const before = tf.memory().numTensors;
  const run = await runExperiment(experiment, value, {
    folder: join(scratch, name),
    command: `test of ${name}`,
  });
  assert.is(tf.memory().numTensors, before);
  return run;
}

for (const [name, { overrides, pictures }] of Object.entries(STUDIES)) {
  test(`${name} runs, writes a report and its results, and keeps no tensor`, async () => {
    const run = await runKeepingNoTensor(name, overrides);
    const results = JSON.parse(readFileSync(run.file('results.json'), 'utf8'));
    assert.is(results.version, 1);
    assert.is(results.experiment, name);
    assert.is(results.ncas.length, 10);
    // JSON makes null of what is not finite.
    assert.not.match(JSON.stringify([results.graphs, results.weights, results.maps]), /null/);
    assert.not.match(readFileSync(run.file('report.html'), 'utf8'), /(src|href)="(?!data:)/);
    for (const picture of pictures) isPng(run.file(picture));
  });
}

/** These want a trained model: they are tested with the commands that make one, and that are made of them. */
const TRAINED = ['evaluate', 'photographs'];

for (const name of experimentNames().filter(name => !(name in STUDIES) && !TRAINED.includes(name))) {
  test(`${name} runs, writes a report and every number of it, and keeps no tensor`, async () => {
    const run = await runKeepingNoTensor(name, [...SMALL, ...(MORE[name] ?? [])]);

    const results = await readResults(run.path);
    assert.is(results.experiment, name);
    assert.is(results.textures.length, 3);
    for (const baseline of Object.keys({ ...BASELINES, ...ORBIT_BASELINES })) {
      assert.ok(
        results.summary.some(({ method, kind }) => method === baseline && kind === 'baseline'),
        baseline,
      );
    }
    assert.ok(results.summary.some(({ kind }) => kind === 'denoiser'));
    assert.ok(results.summary.some(({ kind }) => kind === 'bound'));
    const { audit } = JSON.parse(readFileSync(run.file('results.json'), 'utf8'));
    const denoisers = results.summary.filter(({ kind }) => kind === 'denoiser').map(({ method }) => method);
    assert.equal(Object.keys(audit), denoisers);
    const report = readFileSync(run.file('report.html'), 'utf8');
    for (const { method } of results.summary) assert.ok(report.includes(method), method);
    assert.not.match(report, /(src|href)="(?!data:)/, 'nothing is loaded from elsewhere');
    isPng(run.file('gallery.png'));
    // Every number's NCA is kept, row by row.
    const { kept, targets } = await readKeptNcas(run.file(KEPT_METHODS));
    assert.equal(
      kept.columns.map(({ name, kind }) => [name, kind]),
      results.summary.map(({ method, kind }) => [method, kind]),
    );
    assert.equal(kept.textures, results.textures);
    assert.ok(targets);
    assert.match(report, /<button class="live" data-row="2"/);
  });
}

/** Keys that say what an experiment is about: with none of them there is nothing to be found out. */
const NOT_EMPTY = ['seeds', 'denoisers', 'variants', 'placements', 'shares', 'counts', 'orders', 'starts'];
const REFUSED: Record<string, readonly unknown[]> = {
  ...Object.fromEntries(NOT_EMPTY.map(key => [key, [[]]])),
  methods: [{}],
  encoders: [{}],
  seed: [-1, 0.5],
  seeds: [[], [-1], [0.5]],
  count: [0, 1.5],
  permutations: [0],
  'training.steps': [0, -2, 1.5],
  'training.batch': [0],
  'sampling.steps': [0, 2.5],
  'limit.heldOut': [0, 1.5],
  'evaluation.seed': [0.5],
  'fineTuning.pool': [-1],
  'fineTuning.checkpoints': [[0, 1.5]],
  'fineTuning.learningRates': [[0], 0, []],
};
const at = (config: unknown, path: string) =>
  path.split('.').reduce((value, key) => (value as Record<string, unknown> | undefined)?.[key], config);

for (const name of experimentNames().filter(name => name !== 'quickstart' && !TRAINED.includes(name))) {
  test(`${name} has a quick and a full preset`, async () => {
    const { parameters } = await loadExperiment(name);
    for (const preset of ['quick', 'full']) {
      const { value } = await settle(loadConfig(parameters, name, { overrides: [`preset=${preset}`] }));
      assert.is((value as { preset: string }).preset, preset);
    }
  });
}

for (const name of experimentNames()) {
  test(`${name} refuses empty lists, and counts that are none, with a sentence that names the key`, async () => {
    const { parameters } = await loadExperiment(name);
    const { config } = await settle(composeConfig(name));
    const keys = Object.keys(REFUSED).filter(key => at(config, key) !== undefined);
    assert.ok(keys.length > 0);
    for (const [key, value] of keys.flatMap(key => REFUSED[key].map(value => [key, value] as const))) {
      const override = `${key}=${JSON.stringify(value)}`;
      const outcome = await loadConfig(parameters, name, { overrides: [override] })();
      assert.is(outcome._tag, 'Left', override);
      if (outcome._tag === 'Right') continue;
      const sentence = describe(outcome.left);
      assert.ok(sentence.startsWith(`command line (${override}): ${key}`), sentence);
      assert.match(sentence, /: expected a (whole number|number|list|mapping)[^|]*, found /);
    }
  });
}

test.run();
