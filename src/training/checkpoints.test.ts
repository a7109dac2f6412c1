import { spawn, spawnSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { refusal } from '../../property-tests/refusal.ts';
import { tinyData, tinyDenoiser, tinyEncoder, tinySpec } from '../../property-tests/tiny.ts';
import { settle } from '../config/index.ts';
import { edm, fitNormaliser } from '../diffusion/index.ts';
import { readSafetensors } from '../formats/index.ts';
import { randomStream, startBackend } from '../tensor/index.ts';
import { type CheckpointOptions, checkpointSteps } from './checkpoints.ts';
import { averageOfWidth } from './post-hoc.ts';
import { TRAINING_DEFAULTS } from './settings.ts';
import { type TrainOptions, trainDenoiser } from './train.ts';

const test = suite('checkpoints');
test.before(async () => {
  await startBackend();
});

const root = mkdtempSync(join(tmpdir(), 'weightloom-checkpoints-'));
test.after(() => rmSync(root, { recursive: true, force: true }));
let folders = 0;
const fresh = () => join(root, `run-${folders++}`);

const data = tinyData(40);

/** Trains until step `until` of 30 and gives the denoiser's and encoder's values. */
async function run(
  folder: string,
  {
    until = 30,
    checkpoint = {},
    ...more
  }: { until?: number; checkpoint?: Partial<CheckpointOptions> } & Omit<
    Partial<TrainOptions>,
    'checkpoint'
  > = {},
) {
  const controller = new AbortController();
  const [denoiser, encoder] = [tinyDenoiser({ tokens: 3 }), tinyEncoder(3)];
  try {
    const result = await trainDenoiser({
      denoiser,
      encoder,
      diffusion: edm(),
      normaliser: fitNormaliser(tinySpec, data.weights),
      data,
      checkpoint: {
        folder,
        identity: { config: { denoiser: { width: 16 } }, dataHash: 'aaaa' },
        everySteps: 7,
        resume: true,
        ...checkpoint,
      },
      signal: controller.signal,
      onStep: ({ step }) => step === until && controller.abort(),
      ...more,
      settings: { steps: 30, batch: 8, warmup: 5, learningRate: 1e-2, ...more.settings },
    });
    const variables = [...Object.values(denoiser.variables), ...Object.values(encoder.variables)];
    return { result, values: variables.flatMap(v => [...v.dataSync()]) };
  } finally {
    denoiser.dispose();
    encoder.dispose();
  }
}

test('interrupted at any step and resumed, a run ends with the same weights', async () => {
  const whole = await run(fresh());
  for (const until of [1, 7, 16, 29]) {
    const folder = fresh();
    const { result } = await run(folder, { until });
    assert.is(result.stopped, 'interrupted');
    assert.is(result.steps, until);
    assert.equal(checkpointSteps(folder).at(-1), until);
    const resumed = await run(folder);
    assert.is(resumed.result.steps, 30);
    assert.equal(resumed.values, whole.values);
    // And once more, when there is nothing left to do.
    assert.equal((await run(folder)).values, whole.values);
  }
});

test('the last two are kept, with averages of all when asked for', async () => {
  const folder = fresh();
  await run(folder, { checkpoint: { keepAverages: true } });
  assert.equal(checkpointSteps(folder), [28, 30]);
  assert.equal(
    readdirSync(join(folder, 'averages')).sort(),
    [7, 14, 21, 28, 30].map(step => `step-${String(step).padStart(8, '0')}.safetensors`),
  );
  // An average that was kept is put together from itself alone; the denoiser ended with it.
  const { values } = await run(folder);
  const average = await averageOfWidth(folder, TRAINING_DEFAULTS.finalAverage!);
  const found = Object.values(average).flatMap(part => [...part]);
  assert.is(found.length, values.length);
  assert.ok(found.every((x, i) => Math.abs(x - values[i]) < 1e-5));
  assert.match(await refusal(() => averageOfWidth(fresh(), 0.1)), /keepAverages=true/);
});

test('a damaged newest checkpoint is named and set aside, and training goes on from the one before to the same weights', async () => {
  const whole = fresh();
  const { values } = await run(whole);
  const folder = fresh();
  await run(folder, { until: 20 });
  const damages: [RegExp, (at: string) => void][] = [
    [
      /state\.safetensors: expected content with SHA-256/,
      at => truncateSync(join(at, 'state.safetensors'), 1000),
    ],
    [
      /expected content with SHA-256/,
      at => {
        const bytes = readFileSync(join(at, 'state.safetensors'));
        bytes[bytes.length - 5] ^= 1;
        writeFileSync(join(at, 'state.safetensors'), bytes);
      },
    ],
    [/manifest\.json: expected JSON/, at => writeFileSync(join(at, 'manifest.json'), '{')],
    [/expected the manifest of a checkpoint/, at => writeFileSync(join(at, 'manifest.json'), '{}')],
    [/state\.safetensors: expected a file/, at => rmSync(join(at, 'state.safetensors'))],
  ];
  const { error } = console;
  for (const [sentence, damage] of damages) {
    const copy = fresh();
    cpSync(folder, copy, { recursive: true });
    damage(join(copy, 'step-00000020'));
    let said = '';
    console.error = (line: string) => {
      said += line;
    };
    try {
      assert.equal((await run(copy)).values, values);
    } finally {
      console.error = error;
    }
    assert.match(said, sentence);
    assert.match(said, 'set aside as step-00000020.damaged; training goes on from step 14.');
    assert.ok(existsSync(join(copy, 'step-00000020.damaged')));
  }
});

test('the only checkpoint damaged, of another configuration, data set or model: one sentence each, and nothing is touched', async () => {
  const folder = fresh();
  await run(folder, { until: 20 });
  const names = readdirSync(folder).sort();
  const latest = join(folder, 'step-00000020');
  const only = fresh();
  cpSync(folder, only, { recursive: true });
  rmSync(join(only, 'step-00000014'), { recursive: true });
  truncateSync(join(only, 'step-00000020', 'state.safetensors'), 1000);
  assert.match(
    await refusal(() => run(only)),
    /state\.safetensors: expected content with SHA-256 .*The checkpoint is damaged\. There is no earlier checkpoint\.$/,
  );
  assert.equal(readdirSync(only), ['step-00000020']);

  const identity = (config: unknown, dataHash = 'aaaa') => ({
    checkpoint: { identity: { config, dataHash } },
  });
  assert.match(
    await refusal(() => run(folder, identity({ denoiser: { width: 32 } }))),
    /manifest\.json: config\.denoiser\.width: expected 32, as in this run's configuration, found 16\.$/,
  );
  assert.match(
    await refusal(() => run(folder, identity({ denoiser: { width: 16 } }, 'bbbb'))),
    /dataHash: expected the data set with hash bbbb, found aaaa\.$/,
  );
  const other = tinyDenoiser({ tokens: 3, width: 8 });
  assert.match(
    await refusal(() => run(folder, { denoiser: other })),
    /expected a tensor of shape \[36,8\], found \[36,16\]\.$/,
  );
  other.dispose();
  assert.match(
    await refusal(() => run(folder, { checkpoint: { resume: false } })),
    /expected no checkpoints, found 2 of an earlier run\. Resume that run or choose another folder\.$/,
  );
  assert.equal(readdirSync(folder).sort(), names);
  assert.ok(existsSync(latest));
});

test('a loss that is not finite leaves the batch and the state for study', async () => {
  const folder = fresh();
  const broken = { ...data, weights: data.weights.slice() };
  broken.weights[3] = Number.NaN;
  const { result } = await run(folder, { data: broken });
  assert.is(result.stopped, 'non-finite');
  const { tensors } = await settle(readSafetensors(join(result.studyFolder!, 'batch.safetensors')));
  assert.ok(tensors.clean.data.some(x => Number.isNaN(Number(x))));
  assert.ok(existsSync(join(result.studyFolder!, 'state.safetensors')));
});

const repository = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
const command = ['--import', 'tsx', join(repository, 'property-tests', 'train-tiny.ts')];

/** Kills the training at a random moment after its first step. @returns what it printed */
function killed(folder: string, afterMs: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [...command, folder], {
      cwd: repository,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let output = '';
    child.stdout.on('data', chunk => {
      if (output === '') setTimeout(() => child.kill('SIGKILL'), afterMs);
      output += chunk;
    });
    child.on('error', reject);
    child.on('close', () => resolve(output));
  });
}

test('killed ten times at random moments, a run ends with the weights of one never killed', async () => {
  const finish = (folder: string) => {
    const { stdout, stderr } = spawnSync(process.execPath, [...command, folder], {
      cwd: repository,
      encoding: 'utf8',
    });
    const weights = /weights (\w+)/.exec(stdout)?.[1];
    if (!weights) throw new Error(stderr);
    return weights;
  };
  const folder = fresh();
  const random = randomStream(Date.now(), 'kills');
  let kills = 0;
  for (let i = 0; i < 10; i++) {
    // A step takes about a millisecond, a checkpoint ten.
    const output = await killed(folder, random.uniform(0, 60));
    if (!output.includes('weights')) kills++;
  }
  assert.ok(kills > 0, 'at least one kill came before the end');
  assert.is(finish(folder), finish(fresh()));
});

test('when no room is left, one sentence, and earlier checkpoints stay', () => {
  const folder = fresh();
  const words = command.map(word => `"${word}"`).join(' ');
  // A limit on the size of files fails writes as a full disk does, and needs no rights.
  const train = (steps: number, limit = '') =>
    spawnSync('bash', ['-c', `${limit} exec "${process.execPath}" ${words} "${folder}" ${steps}`], {
      cwd: repository,
      encoding: 'utf8',
    });
  assert.is(train(8).status, 0);
  assert.equal(checkpointSteps(folder), [4, 8]);
  const { status, stderr } = train(12, 'ulimit -f 4;');
  assert.is.not(status, 0);
  assert.match(stderr, /step-00000012.*: expected .*, found (a full disk|the system error EFBIG)\./);
  assert.equal(readdirSync(folder).sort(), ['step-00000004', 'step-00000008']);
});

test.run();
