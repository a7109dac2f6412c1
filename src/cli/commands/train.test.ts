import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { weightloom } from '../../../property-tests/command-line.ts';
import { writeTinyZoo } from '../../../property-tests/tiny-zoo.ts';
import { settle } from '../../config/index.ts';
import { loadWeights } from '../../data/index.ts';
import { KEPT_TRAJECTORY, readKeptNcas } from '../../experiment/index.ts';
import { lock } from '../../formats/index.ts';

const test = suite('weightloom train, sample, runs');
const root = mkdtempSync(join(tmpdir(), 'weightloom-cli-'));
const at = (name: string) => join(root, name);
test.before(async () => {
  await writeTinyZoo(at('zoo'));
});
test.after(() => rmSync(root, { recursive: true, force: true }));

const SMALL = [
  ...[
    'training.batch=2',
    'training.validationBins=2',
    'denoiser.width=16',
    'denoiser.layers=1',
    'denoiser.heads=2',
  ],
  ...['diffusion.sampling.steps=2', 'preview=null', 'rollout=null', 'checkpoint.keepAverages=true'],
];
const train = (out: string, ...more: string[]) =>
  weightloom('train', 'quick', `zoo=${at('zoo')}`, ...SMALL, ...more, '--out', at(out));

test('an experiment is told from a training', async () => {
  const { code, text } = await weightloom('train', 'quickstart');
  assert.is(code, 2);
  assert.is(text, 'quickstart: that is an experiment: npx weightloom run quickstart\n');
});

test('one damaged run of many is told in a sentence, and the others are listed', async () => {
  const runs = at('listed');
  const add = (name: string, files: Record<string, string>) => {
    mkdirSync(join(runs, name), { recursive: true });
    for (const [file, content] of Object.entries(files)) writeFileSync(join(runs, name, file), content);
  };
  add('good', { 'config.yaml': 'seed: 0\n', 'environment.json': '{}', 'metrics.jsonl': '{"loss":0.5}\n' });
  add('empty', { 'config.yaml': '' });
  add('list', { 'config.yaml': '[1, 2]\n' });
  add('yaml', { 'config.yaml': 'a: [1\n' });
  add('environment', { 'config.yaml': 'seed: 0\n', 'environment.json': '{"a"' });
  add('null', { 'config.yaml': 'seed: 0\n', 'environment.json': 'null' });
  add('metrics', { 'config.yaml': 'seed: 0\n', 'metrics.jsonl': '{"loss":1}\nnull\n{"lo\n{"loss":2}\n' });
  add('torn', { 'config.yaml': 'seed: 0\n', 'results.json': '{"version":1,' });
  add('done', { 'config.yaml': 'seed: 0\n', 'results.json': '{"version":1,"experiment":"x"}' });
  symlinkSync(join(root, 'nowhere'), join(runs, 'dangling'));
  mkdirSync(join(runs, 'hollow'));
  symlinkSync(join(root, 'nowhere'), join(runs, 'hollow', 'config.yaml'));
  mkdirSync(join(runs, 'good', 'parts'));
  writeFileSync(join(runs, 'good', 'parts', 'x.safetensors'), '');
  const file = join(runs, 'good', 'config.yaml');
  assert.is(
    (await weightloom('runs', 'list', file)).text,
    `${file}: expected a folder of runs, found a file.\n`,
  );
  const { code, text } = await weightloom('runs', 'list', runs);
  assert.is(code, 0, text);
  assert.match(text, /good .*unfinished, 1 part done .*0\.5/);
  for (const name of ['empty', 'list', 'yaml', 'environment', 'null', 'metrics']) {
    assert.match(text, new RegExp(`^.*listed/${name}/[a-z.]+: .*expected .*, found .*$`, 'm'));
    assert.match(text, new RegExp(`${name} .*damaged`));
  }
  assert.match(text, /^.*listed\/torn\/results\.json: expected JSON, found .*$/m);
  assert.match(text, /torn .*results damaged/);
  assert.match(text, /done .*finished/);
  assert.not.match(text, /dangling|hollow/);
  assert.not.match(text, / at .*:\d+:\d+/);
});

test('train, show, compare, sample', async () => {
  const planned = await train('planned', 'training.steps=4', '--dry-run');
  assert.is(planned.code, 0);
  assert.match(planned.text, /parameters of the denoiser/);
  assert.match(planned.text, /expected time/);
  assert.not.ok(existsSync(at('planned')));

  const trained = await train('a', 'training.steps=4', 'checkpoint.everySteps=2');
  assert.is(trained.code, 0, trained.text);
  assert.match(trained.text, /4 steps in .*validation loss/);
  assert.is((await train('b', 'training.steps=3', 'diffusion=edm', 'diffusion.sampling.steps=2')).code, 0);

  const listed = await weightloom('runs', 'list', root);
  assert.match(listed.text, /a +│ transformer +│ random-gram +│ edm +│ finished/);
  assert.match((await weightloom('runs', 'show', at('a'))).text, /weightloom train quick/);
  const compared = (await weightloom('runs', 'compare', at('a'), at('b'))).text;
  assert.match(compared, /training\.steps +│ 4 +│ 3/);
  assert.match(compared, /diffusion\.noise\.kind +│ "spectrum" +│ "log-normal"/);
  assert.not.match(compared, /denoiser\.width/);
  assert.match((await weightloom('runs', 'resume', at('a'))).text, /finished already/);

  const sampled = await weightloom(
    ...['sample', '--run', at('a'), '--image', join(at('zoo'), 'images', 'nca-7.png'), '--count', '2'],
    ...['--size', '8', '--nca-steps', '3', '--finetune', '1', '--canonical', 'd4', '--average', '0.07'],
    ...['--sampler', 'euler', '--autoguidance', at('b'), '--guidance', '2', '--no-gif', '--out', at('out')],
  );
  assert.is(sampled.code, 0, sampled.text);
  assert.equal(readdirSync(at('out')).sort(), ['nca-7-0.png', 'nca-7-1.png', 'nca-7.safetensors']);
  const nca = await settle(loadWeights(`${at('out')}/nca-7.safetensors#1`));
  assert.is(nca.spec.name, 'compact');

  const picture = ['--image', join(at('zoo'), 'images', 'nca-7.png'), '--size', '8', '--nca-steps', '3'];
  const watched = await weightloom(
    ...['sample', '--run', at('b'), ...picture, '--no-gif', '--trajectory', '--out', at('watched')],
  );
  assert.is(watched.code, 0, watched.text);
  const kept = await readKeptNcas(join(at('watched'), KEPT_TRAJECTORY));
  const last = kept.kept.columns.length - 1;
  assert.equal(
    kept.kept.columns.map(({ sigma }) => sigma! > 0),
    [...new Array(last).fill(true), false],
  );
  // The last column is the sample itself.
  assert.equal(
    (await settle(loadWeights(`${join(at('watched'), KEPT_TRAJECTORY)}#${last}`))).flat,
    (await settle(loadWeights(join(at('watched'), 'nca-7.safetensors')))).flat,
  );
  const both = await weightloom('sample', '--run', at('b'), ...picture, '--trajectory', '--canonical', 'd4');
  assert.is(both.code, 2, both.text);
});

test('a trained model is measured as experiments measure their own', async () => {
  const found = await weightloom(
    ...['evaluate', '--run', at('b'), '--zoo', at('zoo'), '--out', at('measured')],
    ...['sampling.draws=2', 'sampling.steps=2', 'evaluation.steps=3'],
  );
  assert.is(found.code, 0, found.text);
  const results = JSON.parse(readFileSync(join(at('measured'), 'results.json'), 'utf8'));
  const methods = results.summary.map(({ method }: { method: string }) => method);
  for (const method of ['transformer', 'ridge', 'nearest-orbit']) assert.ok(methods.includes(method), method);
  assert.is(results.sampling[0].count, 2);
  assert.ok(existsSync(join(at('measured'), 'report.html')));
  const none = await weightloom('evaluate', '--run', at('zoo'), '--out', at('unmeasured'));
  assert.is(none.code, 1);
  assert.match(none.text, /^.*model\.safetensors: expected .*$/m);
  assert.not(existsSync(at('unmeasured')));
});

test('of two resumes of one training the second is refused by name', async () => {
  assert.is((await train('twice', 'training.steps=2')).code, 0);
  rmSync(join(at('twice'), 'model.safetensors'));
  const leave = await lock(join(at('twice'), 'run.lock'), 'it');
  const refused = await weightloom('runs', 'resume', at('twice'));
  assert.is(refused.code, 1);
  assert.match(
    refused.text,
    `expected the run ${at('twice')} free, found process ${process.pid} at work on it.`,
  );
  await leave();
  const resumed = await weightloom('runs', 'resume', at('twice'));
  assert.is(resumed.code, 0, resumed.text);
  assert.ok(!readdirSync(at('twice')).includes('run.lock'));
});

test('what is wrong is said in one sentence', async () => {
  const said = async (expected: RegExp, code: number, ...argv: string[]) => {
    const found = await weightloom(...argv);
    assert.match(found.text, expected);
    assert.is(found.code, code, found.text);
  };
  await said(/expected one of .*quick.*Did you mean quick\?/, 1, 'train', 'quik');
  await said(/unknown key stpes.*Did you mean steps\?/, 1, 'train', 'quick', 'training.stpes=3');
  await said(
    /denoiser.*expected one of .*Did you mean transformer\?/,
    1,
    'train',
    'quick',
    'denoiser=transfomer',
  );
  await said(
    /zoo\.json|expected a zoo|expected a file or folder that exists/,
    1,
    'train',
    'quick',
    `zoo=${at('nowhere')}`,
  );
  await said(
    /model\.safetensors: expected the model of a finished training/,
    1,
    'sample',
    '--run',
    at('zoo'),
  );
  await said(/expected a run folder, with config\.yaml in it, found none/, 1, 'runs', 'show', at('zoo'));
  // Commander prints its own message.
  assert.is((await weightloom('sample', '--run', at('a'), '--sampler', 'huen')).code, 2);
});

test.run();
