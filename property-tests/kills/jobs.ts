/** The four kinds of long work that are killed: their command lines, and what has to come out of them. */
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { SPECS } from '../../src/nca/index.ts';
import { checkpointSteps } from '../../src/training/index.ts';

/** Work in a folder, as a user would start it and go on with it. */
export interface Job {
  /** The words after `weightloom`, the first time and every other: it is told by what is in the folder. */
  words(folder: string): string[];
  /** What came out, without times: the same for every run. */
  outcome(folder: string): Record<string, string>;
  /** Finished work by name, with the time it was finished: nobody does it again. */
  finished(folder: string): Record<string, number>;
  /** Why more is lost than one checkpoint interval; undefined where it is not. */
  lost?(folder: string): string | undefined;
}

const TIMES = /^(seconds|trainingSeconds|time|environment|command|samplesPerSecond)$/;
const timeless = (text: string, folder: string): string =>
  JSON.stringify(
    JSON.parse(text.replaceAll(folder, 'FOLDER'), (key, value) => (TIMES.test(key) ? 0 : value)),
  );

const files = (folder: string) =>
  existsSync(folder)
    ? readdirSync(folder, { recursive: true, withFileTypes: true })
        .filter(entry => entry.isFile())
        .map(entry => join(entry.parentPath, entry.name))
    : [];

/** Files whose path matches, by their path in the folder. */
const collected = <T>(folder: string, pattern: RegExp, of: (path: string) => T): Record<string, T> =>
  Object.fromEntries(
    files(folder)
      .map(path => [path.slice(folder.length + 1), path] as const)
      .filter(([name]) => pattern.test(name))
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, path]) => [name, of(path)]),
  );

const times = (folder: string, pattern: RegExp) => collected(folder, pattern, path => statSync(path).mtimeMs);
const content = (folder: string) => (path: string) => {
  if (path.endsWith('.json')) return timeless(readFileSync(path, 'utf8'), folder);
  if (path.endsWith('.jsonl')) {
    const lines = readFileSync(path, 'utf8').trimEnd().split('\n');
    return lines.map(line => timeless(line, folder)).join('\n');
  }
  return readFileSync(path, 'latin1');
};

const SMALL = fileURLToPath(new URL('small.ts', import.meta.url));

/** `weightloom run` of an experiment that trains twice. */
export const run: Job = {
  words: folder => ['run', SMALL, '--out', join(folder, 'run'), '--resume'],
  outcome: folder =>
    collected(folder, /(results\.(json|csv|md)|metrics\.jsonl|gallery\.png)$/, content(folder)),
  finished: folder => times(folder, /parts\/[0-9a-f]+\.safetensors$/),
};

/** A sweep of four cells. */
export const sweep: Job = {
  words: folder => [
    ...['run', SMALL, '--multirun', 'seed=0,1', 'training.steps=8,12', 'denoisers=[transformer-hidden]'],
    ...['--out', join(folder, 'sweep')],
  ],
  outcome: folder =>
    collected(folder, /(results\.(json|csv|md)|metrics\.jsonl|sweep\.(csv|md))$/, content(folder)),
  finished: folder => times(folder, /^sweep\/[^/]+\/results\.json$/),
};

/** Steps between checkpoints. */
const EVERY = 5;

/** `weightloom train`, with a record of metrics for every third step. */
export const train: Job = {
  words(folder) {
    const out = join(folder, 'train');
    if (existsSync(join(out, 'config.yaml'))) return ['runs', 'resume', out];
    return [
      ...['train', 'quick', 'zoo=procedural', 'training.steps=60', 'training.batch=4', 'limit.train=6'],
      ...['limit.heldOut=2', `checkpoint.everySteps=${EVERY}`, 'logEvery=3', 'preview=null', '--out', out],
    ];
  },
  outcome: folder => collected(folder, /(model\.safetensors|metrics\.jsonl)$/, content(folder)),
  finished: folder => times(folder, /checkpoints\/step-\d+\/state\.safetensors$/),
  lost(folder) {
    const path = join(folder, 'train', 'metrics.jsonl');
    if (!existsSync(path)) return undefined;
    const steps = readFileSync(path, 'utf8').match(/(?<="step":)\d+/g) ?? [];
    const kept = checkpointSteps(join(folder, 'train', 'checkpoints')).at(-1) ?? 0;
    const reached = Number(steps.at(-1) ?? 0);
    return reached - kept > EVERY
      ? `step ${reached} had been reached, and the checkpoint is of ${kept}`
      : undefined;
  },
};

const training = {
  iterations: 60,
  size: 12,
  pool: 3,
  batch: 2,
  seedEvery: 2,
  steps: [4, 8],
  overflow: 10,
  learningRate: 1e-3,
  milestones: [2],
  decay: 0.5,
  loss: { scales: 2, patch: 3, projections: 8, factor: 100, bank: 16 },
};

/** `weightloom zoo build` of twelve NCAs, two at a time. */
export const zoo: Job = {
  words(folder) {
    const config = {
      spec: { ...SPECS.compact, name: 'tiny', channels: 4, hidden: 8 },
      out: 'zoo',
      seed: 3,
      textures: [{ family: 'stripes', train: 9, heldOut: 3 }],
      picture: { kept: 12, target: 16, format: 'webp' },
      base: { textures: [{ family: 'pebbles', count: 1 }], training },
      training,
      together: 2,
      runaways: { loss: 1e6, saturated: 1, retry: 0.5 },
      rendering: { steps: 6, seed: 1 },
    };
    // JSON is YAML.
    writeFileSync(join(folder, 'zoo.yaml'), JSON.stringify(config));
    return [
      'zoo',
      'build',
      join(folder, 'zoo.yaml'),
      '--out',
      join(folder, 'zoo'),
      '--work',
      join(folder, 'work'),
    ];
  },
  outcome: folder => collected(folder, /^zoo\//, content(folder)),
  finished: folder => times(folder, /^work\/.*\.safetensors$/),
};
