import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { parse } from 'yaml';
import { writeTinyZoo } from '../../property-tests/tiny-zoo.ts';
import { encoderKind } from '../conditioning/index.ts';
import { CONFIGS, composeConfig, decode, orThrow, settle } from '../config/index.ts';
import { readZoo } from '../data/index.ts';
import { denoiserKind } from '../denoisers/index.ts';
import { prepareDiffusion } from '../diffusion/index.ts';
import { readMetrics } from '../runs/tracking.ts';
import { startBackend } from '../tensor/index.ts';
import { TRAINING_DEFAULTS } from '../training/index.ts';
import { TRAIN_CONFIG_DEFAULTS, trainConfig } from './model/config.ts';
import { planTraining, prepareTraining } from './model/job.ts';
import { runTraining } from './model/run.ts';

const test = suite('presets of weightloom train');
const root = mkdtempSync(join(tmpdir(), 'weightloom-presets-'));
const zoo = join(root, 'zoo');
test.before(async () => {
  await startBackend();
  await writeTinyZoo(zoo);
});
test.after(() => rmSync(root, { recursive: true, force: true }));

const PRESETS = join(CONFIGS, 'train');
const names = (folder: string) =>
  readdirSync(join(CONFIGS, folder))
    .filter(name => name.endsWith('.yaml'))
    .map(name => name.slice(0, -5));
const compose = async (name: string, overrides: string[] = []) =>
  (await settle(composeConfig(name, { overrides, roots: [PRESETS, CONFIGS] }))).config;

test('files of denoisers and encoders hold parameters of their kind', async () => {
  const parametersOf = async (group: string, name: string) =>
    (await compose('quick', [`${group}=${name}`]))[group] as { kind: string; [key: string]: unknown };
  for (const name of names('denoiser')) {
    const { kind, ...parameters } = await parametersOf('denoiser', name);
    const { config, defaults } = orThrow(denoiserKind(kind));
    orThrow(decode(config, { ...defaults, ...parameters }, name));
  }
  for (const name of names('encoder')) {
    // The width is given to every encoder, beside its own parameters.
    const { kind, width, ...parameters } = await parametersOf('encoder', name);
    const { config, defaults } = orThrow(encoderKind(kind));
    orThrow(decode(config, { ...defaults, ...parameters }, name));
  }
});

test('the base gives every top-level value, the training file every setting, and diffusion files decode', async () => {
  const config = await compose('quick');
  assert.equal(Object.keys(config).sort(), Object.keys(TRAIN_CONFIG_DEFAULTS).sort());
  const { seed: _, ...settings } = TRAINING_DEFAULTS;
  assert.equal(Object.keys(config.training as object).sort(), Object.keys(settings).sort());
  const { spec, weights } = await settle(readZoo(zoo));
  for (const name of names('diffusion')) {
    const { diffusion } = await compose('quick', [`diffusion=${name}`]);
    await prepareDiffusion(diffusion as Record<string, unknown>, spec, weights, null, { where: name });
  }
});

/** Encoders that read downloaded weights are stood in for by one that does not, of as many tokens. */
const STAND_IN: Record<string, string> = {
  single: 'random-gram',
  pooled: 'random-gram',
  layers: 'random-gram-scales',
  patches: 'random-gram-scales',
};

for (const name of names('train').filter(name => name !== 'base')) {
  test(`${name} is planned and trains three steps on a tiny zoo`, async () => {
    const asked = await compose(name);
    const { kind, layout } = asked.encoder as { kind: string; layout: string };
    assert.ok(orThrow(encoderKind(kind)));
    const overrides = [
      `zoo=${zoo}`,
      'training.steps=3',
      'training.batch=2',
      'training.validationBins=1',
      'training.averages=[0.1]',
      'preview=null',
      // The full depth would only take longer.
      'denoiser.layers=2',
      ...(kind === 'random-gram' ? [] : [`encoder=${STAND_IN[layout]}`]),
      ...('process' in (asked.diffusion as object) && asked.rollout
        ? ['rollout.steps=[2, 4]', 'rollout.from=0']
        : []),
    ];
    const job = await prepareTraining(orThrow(trainConfig(await compose(name, overrides), name)), name);
    const plan = await planTraining(job);
    assert.is(plan.steps, 3);
    const folder = join(root, name);
    const silent = { update: () => {}, stop: () => {} };
    const result = await runTraining(job, { folder, resume: false, progress: () => silent });
    assert.is(result.steps, 3);
    assert.ok(readMetrics(folder).some(({ loss }) => Number.isFinite(loss)));
    job.dispose();
  });
}

test('presets with cross-attention have an encoder of several tokens', async () => {
  for (const name of names('train').filter(name => name !== 'base')) {
    const { denoiser, encoder } = (await compose(name)) as Record<string, Record<string, unknown>>;
    if (denoiser.conditioning !== 'cross-attention') continue;
    assert.not.ok(['single', 'pooled'].includes(encoder.layout as string), name);
  }
});

test('every configuration says in its first line what it is', () => {
  for (const folder of ['train', 'denoiser', 'encoder', 'diffusion', 'training', 'rollout', 'augmentation']) {
    for (const name of names(folder)) {
      const text = readFileSync(join(CONFIGS, folder, `${name}.yaml`), 'utf8');
      assert.match(text, /^# \S/, `${folder}/${name}`);
      assert.ok(parse(text));
    }
  }
});

test.run();
