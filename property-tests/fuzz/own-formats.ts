/** The project's own files: manifests of zoos and checkpoints, parts of runs, and what lies in a run folder. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { orThrow, parseYaml, printConfig, settle, UserError } from '../../src/config/index.ts';
import { readZoo, readZooImage } from '../../src/data/index.ts';
import { trainingCurve } from '../../src/experiment/curve.ts';
import { TRAIN_CONFIG_DEFAULTS, trainConfig } from '../../src/experiment/index.ts';
import { readResults } from '../../src/runs/index.ts';
import { readPart, writePart } from '../../src/runs/parts.ts';
import { readMetrics } from '../../src/runs/tracking.ts';
import { startBackend, tf } from '../../src/tensor/index.ts';
import { checkpoints } from '../../src/training/checkpoints.ts';
import type { StepRecord } from '../../src/training/index.ts';
import { weightloom } from '../command-line.ts';
import { countingTrainer } from '../counting-trainer.ts';
import { writeTinyZoo } from '../tiny-zoo.ts';
import type { Format } from './formats.ts';

await startBackend();
const home = mkdtempSync(join(tmpdir(), 'weightloom-fuzzed-'));
process.on('exit', () => rmSync(home, { recursive: true, force: true }));

const zoo = await writeTinyZoo(join(home, 'zoo'), { train: 2, heldOut: 1, size: 8 });

/** A checkpoint of a training with its curve, at step 3. */
const training = join(home, 'training');
const { trainer, go } = countingTrainer();
async function resume(): Promise<void> {
  const curve = trainingCurve(2, () => {});
  const identity = { config: { a: [1, { b: null }] }, dataHash: 'x' };
  const store = checkpoints(trainer, { folder: training, identity, resume: true, beside: curve.beside });
  await store.resume();
  if (trainer.step > 0) return;
  for (let step = 1; step <= 3; step++) {
    curve.record({ step, steps: 9, seconds: 1, loss: 1 / step, rolloutLoss: 2 } as StepRecord);
  }
  go(3);
  await store.save(1);
}
await resume();
const manifest = join(training, 'step-00000003', 'manifest.json');

const part = join(home, 'part.safetensors');
await writePart(part, { a: Float32Array.of(1, 2), b: [null, undefined, Number.NaN, 'x'] });

const interval = { mean: 1, low: 0, high: 2, std: 1, count: 2 };
const results = {
  version: 1,
  experiment: 'x',
  command: 'x',
  config: {},
  textures: ['a', 'b'],
  metrics: [{ name: 'm', better: 'lower' }],
  summary: [{ method: 'n', kind: 'baseline', metrics: { m: interval }, diverged: 0 }],
  perTexture: [{ method: 'n', m: [1, 2] }],
};

/** A format that is one file of a folder: `read` is given the folder with that file in it. */
const inFolder = (
  name: string,
  file: string,
  seed: string | Buffer,
  read: (folder: string) => unknown,
  others: Readonly<Record<string, string>> = {},
): Format => ({
  name,
  extension: 'bytes',
  seeds: [[Buffer.from(seed)]],
  assemble: ([bytes]) => bytes,
  async read(_, bytes) {
    const folder = join(home, name.replaceAll(' ', '-'));
    mkdirSync(folder, { recursive: true });
    for (const [other, content] of Object.entries(others)) writeFileSync(join(folder, other), content);
    writeFileSync(join(folder, file), bytes);
    await read(folder);
    return undefined;
  },
});

export const OWN_FORMATS: readonly Format[] = [
  {
    name: 'manifest of a zoo',
    extension: 'json',
    seeds: [[readFileSync(join(zoo, 'zoo.json'))]],
    assemble: ([bytes]) => bytes,
    async read(_, bytes) {
      writeFileSync(join(zoo, 'zoo.json'), bytes);
      const found = await settle(readZoo(zoo));
      for (const kind of ['image', 'rendering'] as const) {
        if (found.entries[0]?.[kind]) await settle(readZooImage(found, 0, kind, { size: 8 }));
      }
      return { weights: { shape: [found.weights.length], data: found.weights } };
    },
  },
  {
    name: 'manifest of a checkpoint',
    extension: 'json',
    seeds: [[readFileSync(manifest)]],
    assemble: ([bytes]) => bytes,
    async read(_, bytes) {
      mkdirSync(dirname(manifest), { recursive: true });
      writeFileSync(manifest, bytes);
      const before = tf.memory().numTensors;
      await resume();
      if (tf.memory().numTensors !== before) throw new Error('tensors are left');
      return undefined;
    },
  },
  {
    name: 'part of a run',
    extension: 'safetensors',
    seeds: [[readFileSync(part)]],
    assemble: ([bytes]) => bytes,
    read: async path => void (await readPart(path)),
  },
  inFolder('results', 'results.json', JSON.stringify(results), readResults),
  inFolder('metrics', 'metrics.jsonl', '{"step":1,"loss":0.5}\n{"step":2,"bins":{"b1":1}}\n', folder =>
    readMetrics(folder),
  ),
  inFolder('configuration of a training', 'config.yaml', printConfig(TRAIN_CONFIG_DEFAULTS), folder => {
    const path = join(folder, 'config.yaml');
    orThrow(trainConfig(parseYaml(readFileSync(path, 'utf8'), path), path));
  }),
  inFolder(
    'environment of a run',
    'environment.json',
    '{"command":"weightloom run x","experiment":"x","commit":null,"modules":{}}',
    async folder => {
      const { code, text } = await weightloom('runs', 'show', folder);
      if (code !== 0) throw new UserError(text.trimEnd());
    },
    { 'config.yaml': 'seed: 0\n' },
  ),
];
