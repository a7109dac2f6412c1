// Runs with `npm run test:gpu`: the whole main job, and a training of one NCA, on a card or on software Vulkan.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';

const root = mkdtempSync(join(tmpdir(), 'weightloom-gpu-'));
const program = fileURLToPath(new URL('./weightloom.mjs', import.meta.url));
const picture = fileURLToPath(new URL('../../configs/zoo/procedural/images/grain-019.png', import.meta.url));
const weightloom = (...words: string[]) =>
  spawnSync(process.execPath, [program, ...words], { cwd: root, encoding: 'utf8' });

for (const backend of ['gpu', 'loom-gpu']) {
  test(`quickstart runs with backend=${backend}, and its results name the device`, () => {
    const out = join(root, `quickstart-${backend}`);
    const { status, stderr } = weightloom(
      ...[
        'run',
        'quickstart',
        `backend=${backend}`,
        'zoo=procedural',
        'training.steps=3',
        'training.batch=4',
      ],
      ...['regression=false', 'rollout={weight: 1, from: 0, rows: 2, steps: [4, 8]}', 'sampling.steps=2'],
      ...['sampling.draws=2', 'limit.train=12', 'limit.heldOut=2', 'evaluation.steps=40', '--out', out],
    );
    assert.is(status, 0, stderr);
    const { environment, config } = JSON.parse(readFileSync(join(out, 'results.json'), 'utf8'));
    assert.is(environment.backend.backend, backend);
    assert.type(environment.backend.gpu.name, 'string');
    // Where it was computed is no part of what was asked for.
    assert.not('backend' in config);
  });
}

test('nca train gives the same weights twice, bit for bit', () => {
  const train = (iterations: number, out: string) =>
    weightloom(
      ...['nca', 'train', picture, '--backend', 'gpu', '--size', '24', '--grid', '24', '--spec', 'compact'],
      ...[
        '--iterations',
        `${iterations}`,
        '--batch',
        '2',
        '--pool',
        '4',
        '--min-steps',
        '4',
        '--max-steps',
        '8',
      ],
      ...['--snapshots', '2', '--out', join(root, out)],
    );
  for (const out of ['one', 'two']) assert.is(train(4, out).status, 0);
  const [one, two] = ['one', 'two'].map(out => readFileSync(join(root, out, 'weights.safetensors')));
  assert.is(Buffer.compare(one, two), 0);
});

test('without the GPU that is asked for a command ends with one sentence', () => {
  const { status, stderr } = spawnSync(
    process.execPath,
    [program, 'nca', 'train', picture, '--backend=gpu'],
    {
      cwd: root,
      encoding: 'utf8',
      env: { ...process.env, WEIGHTLOOM_GPU: 'off' },
    },
  );
  assert.is(status, 1);
  assert.match(stderr, /^backend: expected gpu, as asked for, found WEIGHTLOOM_GPU=off\.\n$/m);
  assert.not.match(stderr, /\n\s+at /);
});

test.after(() => rmSync(root, { recursive: true }));
test.run();
