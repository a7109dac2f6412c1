/** The command as a user runs it, on a file outside the repository. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';

const command = fileURLToPath(new URL('../weightloom.mjs', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'weightloom-verify-'));

function verify(...options: string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [command, 'verify', ...options], {
    cwd: folder,
    encoding: 'utf8',
  });
  return { status, stdout, stderr };
}

/** A denoiser whose layer on hidden unit biases has a position of its own for each, or not. */
const source = (position: string) => `
import * as t from 'io-ts';
import { blockOf } from 'weightloom/nca';
import { type DenoiserKind, tf, weightCount } from 'weightloom';
import { slope } from './slope.ts';

const kind: DenoiserKind<object> = {
  name: 'mine',
  summary: 'a test',
  config: t.strict({}),
  defaults: {},
  build(_, { spec }) {
    const flat = new Float32Array(weightCount(spec));
    blockOf(spec, flat, 'b1').forEach((_, i, block) => { block[i] = ${position}; });
    const bias = tf.variable(tf.tensor1d(flat));
    return {
      name: 'mine',
      spec,
      variables: {},
      symmetries: ['hidden-permutation'],
      apply: (weights, noise) =>
        tf.tidy(() => tf.add(tf.tanh(tf.add(weights, bias)), tf.mul(slope, tf.expandDims(noise, 1))) as tf.Tensor2D),
      dispose: () => bias.dispose(),
    };
  },
};
export default kind;
`;
writeFileSync(join(folder, 'slope.ts'), 'export const slope: number = 0.5;\n');
writeFileSync(join(folder, 'good.ts'), source('0.3'));
writeFileSync(join(folder, 'broken.ts'), source('0.1 * i'));
writeFileSync(join(folder, 'throws.ts'), 'throw new Error("bang");\n');
writeFileSync(
  join(folder, 'partial.ts'),
  "export default { name: 'x', summary: 'y', config: {}, defaults: {} };\n",
);

test('a group of one’s own has to say whether it is orthogonal and keeps the picture', () => {
  writeFileSync(
    join(folder, 'group.ts'),
    "export default { name: 'mine', summary: 'a test', orthogonal: true, keepsPicture: 'yes', sample: () => null };\n",
  );
  const { status, stderr } = verify('./good.ts', '--symmetry', './group.ts');
  assert.is(status, 1);
  assert.match(stderr, './group.ts: default export: keepsPicture: expected a boolean, found "yes".');
});

test('a true claim is confirmed', () => {
  const { status, stdout } = verify('./good.ts', '--symmetry', 'hidden-permutation');
  assert.is(status, 0);
  assert.match(stdout, /hidden-permutation.*yes.*yes/);
  assert.match(stdout, /^Checked up to \d+ hidden units: on .*, and on those it takes of 5 or 6 channels/m);
});

test('a false claim ends with 1 and the smallest counterexample, as JSON too', () => {
  const { status, stdout, stderr } = verify('./broken.ts', '--symmetry', 'hidden-permutation', '--json');
  assert.is(status, 1);
  assert.match(stderr, 'mine claims hidden-permutation and does not keep it');
  const { verdicts } = JSON.parse(stdout);
  assert.is(
    verdicts[0].counterexample.text,
    '5 channels, 2 hidden; hidden units 1 -> 0, 0 -> 1; all weights 0; noise label 0; no condition',
  );
});

test('files that throw, break the contract or are not there get one sentence', () => {
  const sentences: [string, RegExp][] = [
    ['./throws.ts', /throws\.ts: expected a file that loads, found an error: bang\.\n$/],
    ['./partial.ts', /default export: build: expected a function, found undefined\.\n$/],
    ['./nowhere.ts', /expected a TypeScript file, found no such file\.\n$/],
  ];
  for (const [file, sentence] of sentences) {
    const { status, stderr } = verify(file);
    assert.is(status, 1);
    assert.match(stderr, sentence);
  }
});

test.after(() => rmSync(folder, { recursive: true }));

test.run();
