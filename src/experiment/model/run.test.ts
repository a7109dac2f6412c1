import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { refusal } from '../../../property-tests/refusal.ts';
import { writeTinyZoo } from '../../../property-tests/tiny-zoo.ts';
import { describe, orThrow } from '../../config/index.ts';
import { sampleWeights } from '../../diffusion/index.ts';
import { readMetrics } from '../../runs/tracking.ts';
import { startBackend, tf } from '../../tensor/index.ts';
import { trainConfig } from './config.ts';
import { planTraining, prepareTraining } from './job.ts';
import { readModel } from './model.ts';
import { runTraining } from './run.ts';

const test = suite('training runs');
const root = mkdtempSync(join(tmpdir(), 'weightloom-train-'));
const zoo = join(root, 'zoo');
test.before(async () => {
  await startBackend();
  await writeTinyZoo(zoo);
});
test.after(() => rmSync(root, { recursive: true, force: true }));
let folders = 0;
const fresh = () => join(root, `run-${folders++}`);

const small = {
  zoo,
  denoiser: { kind: 'transformer', width: 16, layers: 1, heads: 2, noiseWidth: 8 },
  training: { steps: 6, batch: 4, warmup: 2, validationBins: 3 },
  preview: { everySteps: 4, textures: 2, ncaSteps: 4 },
  diffusion: { process: 'edm', sampling: { steps: 3 } },
  checkpoint: { everySteps: 2 },
  logEvery: 2,
};
const prepare = (more: Record<string, unknown> = {}) =>
  prepareTraining(orThrow(trainConfig({ ...small, ...more }, 'test')), 'test');
const silent = () => ({ update: () => {}, stop: () => {} });

test('a model around a prior comes back from its file and samples as the trained one does', async () => {
  const before = tf.memory().numTensors;
  for (const process of ['edm', 'regression']) {
    const folder = fresh();
    const job = await prepare({ diffusion: { process, prior: 'gaussian' } });
    assert.ok(job.diffusion.prior && job.data.means && job.validation.means);
    assert.is((await runTraining(job, { folder, resume: false, progress: silent })).stopped, 'steps');
    const model = await readModel(folder);
    const [ours, read] = await Promise.all(
      [job, model].map(({ denoiser, encoder, diffusion, normaliser }) =>
        sampleWeights({
          denoiser,
          encoder,
          diffusion,
          normaliser,
          features: job.study.heldOut.features,
          seed: 2,
          steps: 3,
        }),
      ),
    );
    // The ridge's coefficients are kept in float32.
    assert.ok(ours.every((w, i) => Math.abs(w - read[i]) < 1e-4 * (1 + Math.abs(w))));
    model.denoiser.dispose();
    model.encoder?.dispose();
    job.dispose();
  }
  assert.is(tf.memory().numTensors, before);
});

test('a prior is not fitted to weights that are augmented', async () => {
  const job = await prepare({
    diffusion: { process: 'edm', prior: 'gaussian' },
    augmentation: { groups: ['hidden-permutation'], cached: [] },
  });
  assert.match(
    await refusal(() => runTraining(job, { folder: fresh(), resume: false, progress: silent })),
    'no augmentation where the process has a prior',
  );
  job.dispose();
});

test('a run leaves metrics, events, previews, checkpoints and a model that samples as the trained one does', async () => {
  const before = tf.memory().numTensors;
  const folder = fresh();
  const job = await prepare();
  const result = await runTraining(job, { folder, resume: false, progress: silent });
  assert.is(result.stopped, 'steps');
  const files = readdirSync(folder, { recursive: true }).map(String);
  for (const part of [
    'samples/step-00000004.png',
    'model.safetensors',
    'events.out.tfevents',
    'step-00000006',
  ]) {
    assert.ok(
      files.some(name => name.includes(part)),
      part,
    );
  }
  const metrics = readMetrics(folder);
  assert.equal(
    metrics.filter(record => 'loss' in record).map(({ step }) => step),
    [2, 4, 6],
  );
  assert.is(Object.keys((metrics.at(-1)!.validation as { bins: object }).bins).length, 3);

  const model = await readModel(folder);
  const sampleOf = ({ denoiser, encoder, diffusion, normaliser }: typeof model) => {
    const { features } = job.study.heldOut;
    return sampleWeights({ denoiser, encoder, diffusion, normaliser, features, seed: 2 });
  };
  assert.equal(await sampleOf(model), await sampleOf({ ...model, ...job } as typeof model));
  assert.is(model.pictureSize, 16);
  assert.is(model.ncaSteps, 20);
  model.denoiser.dispose();
  model.encoder?.dispose();
  job.dispose();
  assert.is(tf.memory().numTensors, before);
});

test('a training is not resumed on a zoo that has changed, whether it left a checkpoint or not', async () => {
  for (const until of [0, 4]) {
    const [folder, changing] = [fresh(), join(root, `changing-${until}`)];
    await writeTinyZoo(changing);
    const train = async (resume: boolean) => {
      const controller = new AbortController();
      const job = await prepare({ zoo: changing, preview: null });
      const progress = () => ({ update: (step: number) => step === until && controller.abort(), stop() {} });
      if (until === 0) controller.abort();
      try {
        return await runTraining(job, { folder, resume, progress, signal: controller.signal });
      } finally {
        job.dispose();
      }
    };
    assert.is((await train(false)).stopped, 'interrupted');
    rmSync(changing, { recursive: true });
    await writeTinyZoo(changing, { seed: 2 });
    assert.match(
      await refusal(() => train(true)),
      new RegExp(
        `^the zoo ${changing}: expected the content that ${folder} was begun with \\(SHA-256 .*, found another one`,
      ),
    );
    rmSync(changing, { recursive: true });
    await writeTinyZoo(changing);
    assert.is((await train(true)).stopped, until === 0 ? 'interrupted' : 'steps');
  }
});

test('a run whose folder is removed ends in one sentence, and puts nothing into a new one', async () => {
  const whenRemoved = { 'before a record': 1, 'before a checkpoint': 2, 'at the end': 6 };
  for (const [when, step] of Object.entries(whenRemoved)) {
    const folder = fresh();
    const job = await prepare({ preview: null });
    const progress = () => ({
      update: (done: number) => {
        if (done === step) rmSync(folder, { recursive: true });
      },
      stop: () => {},
    });
    assert.is(
      await refusal(() => runTraining(job, { folder, resume: false, progress })),
      `${folder}: expected the folder of this run, found nothing there: it was removed.`,
      when,
    );
    assert.not(existsSync(folder), when);
    job.dispose();
  }
});

test('interrupted and resumed, a run ends with the same metrics and model', async () => {
  const train = async (folder: string, until?: number) => {
    const controller = new AbortController();
    const job = await prepare({ logEvery: 3 });
    await runTraining(job, {
      folder,
      resume: existsSync(folder),
      signal: controller.signal,
      progress: () => ({ update: step => step === until && controller.abort(), stop: () => {} }),
    });
    const values = Object.values(job.denoiser.variables).flatMap(v => [...v.dataSync()]);
    job.dispose();
    return values;
  };
  const losses = (folder: string) =>
    readMetrics(folder).flatMap(({ step, loss }) => (loss === undefined ? [] : [[step, loss]]));
  const [straight, broken] = [fresh(), fresh()];
  const expected = await train(straight);
  await train(broken, 4);
  assert.not.ok(existsSync(join(broken, 'model.safetensors')));
  assert.equal(await train(broken), expected);
  assert.equal(losses(broken), losses(straight));
});

for (const [name, more] of Object.entries({
  'a rollout loss': { rollout: { steps: [2, 4], rows: 2 } },
  'exact augmentation, encoded anew': { augmentation: { groups: ['d4', 'hidden-permutation'] } },
  'exact augmentation from a cached orbit': { augmentation: { groups: [], cached: ['d4'] } },
  DDIM: { diffusion: { process: 'ddim', steps: 3 } },
  'no condition': { encoder: null },
  'a clean parametrisation and shared statistics': {
    diffusion: { process: 'edm', parametrisation: 'clean', sampling: { steps: 3 } },
    normaliser: { mean: ['hidden-permutation'], std: 'pooled' },
  },
})) {
  test(`trains with ${name}`, async () => {
    const folder = fresh();
    const job = await prepare({ ...more, training: { ...small.training, steps: 3 } });
    await runTraining(job, { folder, resume: false, progress: silent });
    const records = readMetrics(folder).filter(record => 'loss' in record);
    assert.ok(records.every(({ loss }) => Number.isFinite(loss)));
    if ('rollout' in more) assert.ok(records.every(({ rolloutLoss }) => Number.isFinite(rolloutLoss)));
    job.dispose();
  });
}

test('the plan counts what there is and changes nothing', async () => {
  const job = await prepare();
  const values = () => Object.values(job.denoiser.variables).flatMap(v => [...v.dataSync()]);
  const before = values();
  const numTensors = tf.memory().numTensors;
  const plan = await planTraining(job);
  assert.is(plan.train, 6);
  assert.is(plan.heldOut, 2);
  assert.is(plan.parameters.denoiser, before.length);
  assert.is(plan.epochs, 4);
  assert.ok(plan.secondsPerStep > 0);
  assert.equal(values(), before);
  assert.is(tf.memory().numTensors, numTensors);
  job.dispose();
});

test('what is wrong with a configuration is said in one sentence', () => {
  const said = (given: unknown) => {
    const decoded = trainConfig(given, 'x.yaml');
    return decoded._tag === 'Left' ? describe(decoded.left) : 'nothing';
  };
  assert.match(
    said({ training: { stpes: 3 } }),
    /^x\.yaml: training\.stpes: .*unknown key stpes\. Did you mean steps\?$/,
  );
  assert.match(
    said({ training: { steps: 0 } }),
    /^x\.yaml: training\.steps: expected a whole number from 1, found 0\.$/,
  );
  assert.match(said({ rollout: { steps: [1] } }), /^x\.yaml: rollout\.steps/);
  assert.match(
    said({ augmentation: { groups: ['hue', 'd5'] } }),
    /augmentation\.groups\[1\]: expected one of .*d4/,
  );
  assert.is(said({}), 'nothing');
});

test.run();
