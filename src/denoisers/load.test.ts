/** Denoisers from files: what works is taken, and every broken clause gets one sentence that names file and clause. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { UserError } from '../config/index.ts';
import { SPECS } from '../nca/index.ts';
import { startBackend, tf } from '../tensor/index.ts';
import { type DenoiserContext, loadDenoiser } from './index.ts';

const test = suite('denoisers from files');
const folder = mkdtempSync(join(tmpdir(), 'weightloom-load-'));
test.before(async () => {
  await startBackend();
});
test.after(() => rmSync(folder, { recursive: true }));

const context: DenoiserContext = {
  spec: { ...SPECS.compact, channels: 3, hidden: 4 },
  condition: { tokens: 1, width: 3 },
  seed: 0,
};

/** A file with a denoiser that passes its weights through, except for what is put instead. */
function write(
  name: string,
  parts: { kind?: string; denoiser?: string; apply?: string; build?: string } = {},
): string {
  const path = join(folder, `${name}.ts`);
  writeFileSync(
    path,
    `import { t, tf } from 'weightloom';
const build = (config, { spec }) => {
  ${parts.build ?? ''}
  return {
    name: 'mine',
    spec,
    variables: {},
    symmetries: [],
    apply: (weights, noise, condition) => ${parts.apply ?? 'tf.clone(weights)'},
    dispose() {},
    ${parts.denoiser ?? ''}
  };
};
export default { name: 'mine', summary: 'x', config: t.strict({}), defaults: {}, build, ${parts.kind ?? ''} };
`,
  );
  return path;
}

async function sentence(path: string): Promise<string> {
  try {
    (await loadDenoiser(path)).build({}, context).dispose();
  } catch (error) {
    assert.instance(error, UserError, String(error));
    assert.ok((error as Error).message.startsWith(`${path}: `), (error as Error).message);
    return (error as Error).message.slice(path.length + 2);
  }
  return 'nothing was refused';
}

test('a file that keeps the contract is built, and leaves no tensor behind', async () => {
  const kind = await loadDenoiser(write('good'));
  const before = tf.memory().numTensors;
  const denoiser = kind.build({}, context);
  assert.is(tf.memory().numTensors, before);
  assert.is(denoiser.name, 'mine');
});

test('every broken clause is named', async () => {
  const cases: [string, Parameters<typeof write>[1], string | RegExp][] = [
    [
      'no-summary',
      { kind: 'summary: undefined' },
      'default export: summary: expected a string, found undefined.',
    ],
    [
      'no-codec',
      { kind: 'config: {}' },
      'default export: config: decode: expected a function, found undefined.',
    ],
    ['no-build', { kind: 'build: 3' }, 'default export: build: expected a function, found 3.'],
    [
      'throws',
      { build: 'throw new Error("no room");' },
      'build: expected no error, found "no room" (line 3).',
    ],
    [
      'nothing',
      { build: 'return;' },
      'what build returns: expected a denoiser { name, spec, variables, symmetries, apply, dispose }, found undefined.',
    ],
    ['no-apply', { denoiser: 'apply: null' }, 'what build returns: apply: expected a function, found null.'],
    [
      'no-dispose',
      { denoiser: 'dispose: undefined' },
      'what build returns: dispose: expected a function, found undefined.',
    ],
    [
      'symmetry',
      { denoiser: "symmetries: ['mirror']" },
      /^what build returns: symmetries: expected names out of hidden-permutation, .*, found "mirror"\.$/,
    ],
    ['shape', { apply: 'tf.sum(weights, 1)' }, 'apply: expected weights [B, D], here [2, 64], found [2].'],
    ['no-tensor', { apply: '3' }, 'apply: expected weights [B, D], here [2, 64], found number.'],
    [
      'not-finite',
      { apply: 'tf.log(tf.mul(weights, 0))' },
      'apply: expected finite numbers, found -Infinity.',
    ],
    [
      'unconditional',
      { apply: 'tf.tidy(() => tf.mul(weights, condition.tokens.shape[1]))' },
      /^apply without a condition: expected no error, found "Cannot read properties of null/,
    ],
    [
      'leaks',
      { apply: 'tf.add(weights, tf.mul(weights, 2))' },
      'apply: expected an apply that keeps no tensors (wrap it in tf.tidy), found 1 left behind.',
    ],
  ];
  for (const [name, parts, expected] of cases) {
    const found = await sentence(write(name, parts));
    if (typeof expected === 'string') assert.is(found, expected);
    else assert.match(found, expected);
  }
});

test('a file without a default export, that does not parse, or that is not there', async () => {
  const file = (name: string, text: string) => {
    writeFileSync(join(folder, name), text);
    return join(folder, name);
  };
  assert.is(
    await sentence(file('named.ts', 'export const kind = {};')),
    'default export: expected a denoiser kind { name, summary, config, defaults, build }, found undefined.',
  );
  assert.match(
    await sentence(file('broken.ts', 'export default {')),
    /^expected a file that loads, found an error: /,
  );
  assert.is(await sentence(join(folder, 'nowhere.ts')), 'expected a TypeScript file, found no such file.');
});

test('a name that a file beside it bears is told to be given as its path', async () => {
  const before = process.cwd();
  write('beside');
  process.chdir(folder);
  try {
    const sentence = await loadDenoiser('beside').catch(error => (error as Error).message);
    assert.match(String(sentence), /A file is named by its path: \.\/beside\.ts/);
  } finally {
    process.chdir(before);
  }
});

test.run();
