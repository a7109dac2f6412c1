/** Encoders from files: built and checked as those by name are; every broken clause gets one sentence. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { settle, UserError } from '../config/index.ts';
import { startBackend, tf } from '../tensor/index.ts';
import { createEncoder } from './index.ts';

const test = suite('encoders from files');
const folder = mkdtempSync(join(tmpdir(), 'weightloom-encoder-'));
test.before(async () => {
  await startBackend();
});
test.after(() => rmSync(folder, { recursive: true }));

const GOOD = 'tf.tidy(() => tf.mul(tf.reshape(tf.mean(images, [1, 2]), [-1, 1, 3]), gain))';

/** A file with an encoder that gives the mean colour, except for what is put instead. */
function write(name: string, parts: { kind?: string; encoder?: string; features?: string } = {}): string {
  const path = join(folder, `${name}.ts`);
  writeFileSync(
    path,
    `import { attempt, t, tf } from 'weightloom';
const encoder = gain => ({
  name: 'mine',
  tokens: 1,
  featureWidth: 3,
  width: 3,
  fingerprint: 'mine-' + gain,
  variables: {},
  features: images => ${parts.features ?? GOOD},
  project: features => tf.clone(features),
  dispose() {},
  ${parts.encoder ?? ''}
});
const build = ({ gain }) => attempt('mine', async () => encoder(gain));
export default { name: 'mine', summary: 'x', config: t.strict({ gain: t.number }), defaults: { gain: 1 }, build, ${parts.kind ?? ''} };
`,
  );
  return path;
}

async function sentence(path: string, parameters = {}): Promise<string> {
  const images = tf.ones<tf.Rank.R4>([2, 4, 4, 3]);
  try {
    const encoder = await settle(createEncoder(path, parameters, { seed: 0 }));
    tf.dispose(encoder.project(encoder.features(images)));
  } catch (error) {
    assert.instance(error, UserError, String(error));
    return (error as Error).message.replace(path, 'FILE');
  } finally {
    images.dispose();
  }
  return 'nothing was refused';
}

test('a file that keeps the contract works with its parameters', async () => {
  const before = tf.memory().numTensors;
  const encoder = await settle(createEncoder(write('good'), { gain: 2 }, { seed: 0 }));
  const images = tf.ones<tf.Rank.R4>([2, 4, 4, 3]);
  const features = encoder.features(images);
  assert.equal(features.arraySync(), [[[2, 2, 2]], [[2, 2, 2]]]);
  assert.is(encoder.fingerprint, 'mine-2');
  tf.dispose([images, features]);
  encoder.dispose();
  assert.is(tf.memory().numTensors, before);
});

test('build may give the encoder itself, or a promise of it', async () => {
  for (const [name, build] of [
    ['itself', '({ gain }) => encoder(gain)'],
    ['promised', 'async ({ gain }) => encoder(gain)'],
  ]) {
    const path = write(name, { kind: `build: ${build}` });
    const encoder = await settle(createEncoder(path, { gain: 3 }, { seed: 0 }));
    assert.is(encoder.fingerprint, 'mine-3', name);
    encoder.dispose();
  }
});

test('every broken clause is named', async () => {
  const cases: [string, Parameters<typeof write>[1], string | RegExp][] = [
    [
      'no-defaults',
      { kind: 'defaults: null' },
      'FILE: default export: defaults: expected an object, found null.',
    ],
    [
      'no-encoder',
      { kind: 'build: () => 3' },
      /^FILE: what build gives: expected an encoder \{ name, .* \}, found 3\.$/,
    ],
    [
      'rejects',
      { kind: 'async build() { throw new Error("no weights"); }' },
      /^FILE: build: expected no error, found "no weights" \(line \d+\)\.$/,
    ],
    [
      'throws',
      { kind: 'build() { throw new Error("no weights"); }' },
      /^FILE: build: expected no error, found "no weights" \(line \d+\)\.$/,
    ],
    [
      'no-fingerprint',
      { encoder: 'fingerprint: undefined' },
      'FILE: what build gives: fingerprint: expected a string, found undefined.',
    ],
    ['shape', { features: 'tf.mean(images, [1, 2])' }, 'FILE: features: expected [2, 1, 3], found [2, 3].'],
    ['project', { encoder: 'width: 5' }, 'FILE: project: expected [2, 1, 5], found [2, 1, 3].'],
  ];
  for (const [name, parts, expected] of cases) {
    const found = await sentence(write(name, parts));
    if (typeof expected === 'string') assert.is(found, expected);
    else assert.match(found, expected);
  }
  assert.is(
    await sentence(write('parameters'), { gian: 2 }),
    'encoder FILE: gian: expected one of the keys gain, found the unknown key gian. Did you mean gain?',
  );
});

test.run();
