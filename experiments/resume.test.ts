/** Experiments that are interrupted and resumed: what was finished is not done again, and what comes out is the same. */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as t from 'io-ts';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { refusal } from '../property-tests/refusal.ts';
import { writeTinyZoo } from '../property-tests/tiny-zoo.ts';
import { loadConfig } from '../src/config/index.ts';
import { loadExperiment, type StudyKeys } from '../src/experiment/index.ts';
import {
  type Experiment,
  runExperiment,
  settle,
  startBackend,
  studyKeys,
  tf,
  UserError,
  withProtocol,
} from '../src/index.ts';

const test = suite('interrupted experiments');
const scratch = mkdtempSync(join(tmpdir(), 'weightloom-resume-'));
test.after(() => rmSync(scratch, { recursive: true, force: true }));
await startBackend();

const SMALL = [
  'training.steps=2',
  'sampling.steps=2',
  'evaluation.steps=4',
  'limit.train=4',
  'limit.heldOut=2',
  'zoo=procedural',
];

/** The experiment, which notes the bars it shows and is interrupted (as by Ctrl-C) when a certain one has gone a step. */
function watched(experiment: Experiment, until?: string) {
  const begun: string[] = [];
  const watching: Experiment = {
    ...experiment,
    run: (context, parameters) =>
      experiment.run(
        {
          ...context,
          say() {},
          progress(label) {
            begun.push(label);
            const interrupt = () => {
              // A second one would end the process.
              if (label === until && !context.signal.aborted) process.emit('SIGINT');
            };
            return { update: interrupt, stop() {} };
          },
        },
        parameters,
      ),
  };
  return { watching, begun };
}

/** What a run found, without what time and place have to do with it. */
function found(folder: string): unknown {
  const timeless = (text: string) =>
    JSON.parse(text, (key, value) =>
      /^(seconds|trainingSeconds|environment|command)$/.test(key) ? 0 : value,
    );
  const lines = readFileSync(join(folder, 'metrics.jsonl'), 'utf8').trimEnd().split('\n');
  return {
    files: readdirSync(folder).sort(),
    results: timeless(readFileSync(join(folder, 'results.json'), 'utf8')),
    metrics: lines.map(timeless),
    tables: ['results.csv', 'results.md'].map(name => readFileSync(join(folder, name), 'utf8')),
  };
}

test('an experiment is not resumed on a zoo that has changed', async () => {
  const zoo = join(scratch, 'zoo');
  await writeTinyZoo(zoo);
  let tries = 0;
  const experiment: Experiment<StudyKeys> = {
    name: 'small',
    question: 'Is it the same?',
    parameters: t.strict(studyKeys),
    run: (context, parameters) =>
      withProtocol({ ...context, say() {} }, parameters, async protocol => {
        if (tries++ === 0) throw new UserError('stopped');
        await protocol.once('part', async () => 1);
      }),
  };
  const parameters = {
    zoo,
    picture: null,
    encoder: { kind: 'random-gram' },
    evaluation: { steps: 2, seed: 0 },
    limit: { train: null, heldOut: null },
  };
  const folder = join(scratch, 'changed-zoo');
  const begin = (resume: boolean) =>
    runExperiment(experiment, parameters, { folder, command: 'a test', resume });
  // Refused before it did anything, it leaves no folder: what is to be resumed has a part, or a record.
  assert.is(await refusal(() => begin(false)), 'stopped');
  assert.not(existsSync(folder));
  tries = 1;
  await begin(false);
  rmSync(zoo, { recursive: true });
  await writeTinyZoo(zoo, { seed: 2 });
  assert.match(
    await refusal(() => begin(true)),
    new RegExp(
      `^the zoo ${zoo}: expected the content that ${folder} was begun with \\(SHA-256 .*, found another one`,
    ),
  );
});

/** Runs whole; then in another folder until a bar at which it is interrupted, and from there to the end. */
async function check(name: string, overrides: readonly string[], stop: string) {
  const experiment = await loadExperiment(name);
  const { value } = await settle(loadConfig(experiment.parameters, name, { overrides }));
  const before = tf.memory().numTensors;
  const whole = watched(experiment);
  const command = 'a test';
  const { path } = await runExperiment(whole.watching, value, { folder: join(scratch, name), command });

  const folder = join(scratch, `${name}-stopped`);
  const stopped = watched(experiment, stop);
  assert.match(
    await refusal(() => runExperiment(stopped.watching, value, { folder, command })),
    /: interrupted; to go on: npx weightloom runs resume .*-stopped$/,
  );
  assert.is(stopped.begun.at(-1), stop);
  assert.not(existsSync(join(folder, 'results.json')));
  assert.not(existsSync(join(folder, 'run.lock')));
  assert.match(
    await refusal(() => runExperiment(experiment, value, { folder, command })),
    /already holds a run/,
  );
  const last = watched(experiment);
  await runExperiment(last.watching, value, { folder, command, resume: true });
  assert.equal(found(folder), found(path));
  assert.is(tf.memory().numTensors, before);
  // Trainings that were finished are taken as they are: no bar of theirs is seen again.
  const costly = (labels: readonly string[]) => labels.filter(label => /^(train|fine-tune) /.test(label));
  assert.equal([...costly(stopped.begun.slice(0, -1)), ...costly(last.begun)], costly(whole.begun));
  assert.ok(costly(stopped.begun).length > 1);
  return { folder, value, experiment };
}

test('initialisation goes on with the starts that are fine-tuned', async () => {
  const { folder, value, experiment } = await check(
    'initialisation',
    [
      ...SMALL,
      'starts=[random,base,nearest,conditional sample]',
      'fineTuning.checkpoints=[0,1,3]',
      'fineTuning.learningRates=[0.001]',
      'fineTuning.shown=[0,3]',
      'fineTuning.size=12',
      'fineTuning.pool=4',
      'fineTuning.steps=[2,4]',
    ],
    'fine-tune nearest at 0.001',
  );
  const other = { ...(value as object), seed: 1 };
  assert.match(
    await refusal(() => runExperiment(experiment, other, { folder, command: '', resume: true })),
    /config\.yaml: expected the configuration the run is resumed with, found another one/,
  );
});

test('a comparison goes on with the denoisers that are trained', async () => {
  await check(
    'quickstart',
    [
      ...SMALL,
      'denoisers=[transformer-hidden,transformer-typed]',
      'parameters={transformer-hidden: {width: 16}}',
    ],
    'train transformer-typed',
  );
});

test('Ctrl-C ends a comparison in each of its stages, in one sentence, and the last try finishes it', async () => {
  const experiment = await loadExperiment('quickstart');
  const overrides = [...SMALL, 'denoisers=[transformer-hidden]', 'regression=false', 'sampling.draws=2'];
  const audited = [...overrides.filter(word => !word.startsWith('limit.heldOut')), 'limit.heldOut=3'];
  const { value } = await settle(loadConfig(experiment.parameters, 'quickstart', { overrides: audited }));
  const folder = join(scratch, 'stages');
  const command = 'a test';
  const before = tf.memory().numTensors;
  const stages = [
    'train',
    'sample',
    'draw',
    'run and measure',
    'baselines',
    'run and measure baselines',
    'measure samples',
    'audit',
    'write the report',
  ];
  for (const [k, stage] of stages.entries()) {
    const until = ['train', 'sample', 'draw'].includes(stage) ? `${stage} transformer-hidden` : stage;
    const stopped = watched(experiment, until);
    const resume = k > 0 && existsSync(folder);
    assert.match(
      await refusal(() => runExperiment(stopped.watching, value, { folder, command, resume })),
      /^quickstart: interrupted(; to go on: npx weightloom runs resume .*| before anything was finished\.)$/,
      stage,
    );
    // Nothing is begun after the stage in which it was asked to end.
    assert.is(stopped.begun.at(-1), until);
    assert.not(existsSync(join(folder, 'results.json')));
  }
  await runExperiment(watched(experiment).watching, value, { folder, command, resume: true });
  assert.ok(existsSync(join(folder, 'results.json')));
  assert.is(tf.memory().numTensors, before);
});

test.run();
