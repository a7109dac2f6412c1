/** What `weightloom new` writes, used as a user would in a folder that has nothing else in it. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { parse } from 'yaml';
import { main } from '../main.ts';

const test = suite('weightloom new');
const command = fileURLToPath(new URL('../weightloom.mjs', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'weightloom-new-'));
test.after(() => rmSync(folder, { recursive: true }));

// Else the tests run here would take themselves for a part of this one.
const { NODE_TEST_CONTEXT: _, ...env } = process.env;
const weightloom = (...words: string[]) =>
  spawnSync(process.execPath, [command, ...words], { cwd: folder, env, encoding: 'utf8' });

/** A command that fails, in this process: its exit code and what it complained with. */
async function refusal(...words: string[]): Promise<{ code: unknown; sentence: string }> {
  const { error } = console;
  let sentence = '';
  console.error = (text: string) => {
    sentence += text;
  };
  try {
    await main(words);
    return { code: process.exitCode, sentence };
  } finally {
    process.exitCode = 0;
    console.error = error;
  }
}

test('a new denoiser passes its test and gets its row in the comparison, on a new encoder', () => {
  const made = weightloom('new', 'denoiser', 'tidy-net');
  assert.is(made.status, 0, made.stderr);
  assert.is(made.stdout, 'tidy-net.ts\ntidy-net.test.ts\n');
  assert.match(made.stderr, 'npx weightloom test ./tidy-net.test.ts');
  const { status, stdout } = weightloom('test', 'tidy-net.test.ts');
  assert.is(status, 0, stdout);
  assert.match(stdout, /^(#|ℹ) pass 3$/m);
  assert.is(
    weightloom('new', 'encoder', 'colours', '--out', 'encoders').stdout,
    'encoders/colours.ts\nencoders/colours.test.ts\n',
  );
  const run = weightloom(
    'run',
    'quickstart',
    'denoisers=[./tidy-net.ts]',
    'encoder={kind: ./encoders/colours.ts, bins: 4}',
    ...['training.steps=2', 'limit.train=4', 'limit.heldOut=2', 'sampling.steps=2', 'evaluation.steps=4'],
    ...['--out', 'run'],
  );
  assert.is(run.status, 0, run.stderr);
  assert.match(readFileSync(join(folder, 'run', 'results.md'), 'utf8'), 'tidy-net');
});

test('a new experiment reads its configuration', () => {
  const made = weightloom('new', 'experiment', 'how-far', '--out', 'mine');
  assert.is(made.status, 0, made.stderr);
  assert.equal(readdirSync(join(folder, 'mine')).sort(), ['how-far.test.ts', 'how-far.ts', 'how-far.yaml']);
  for (const name of readdirSync(join(folder, 'mine'))) {
    assert.not.match(readFileSync(join(folder, 'mine', name), 'utf8'), 'my-experiment');
  }
  const { status, stdout } = weightloom('run', 'mine/how-far.ts', 'shares=[0.2]', '--dry-run');
  assert.is(status, 0);
  assert.match(stdout, 'shares:\n  - 0.2\n');
});

test('the lines it prints can be pasted, whatever the folder is called', () => {
  const name = "it's [mine], #1";
  for (const kind of ['denoiser', 'encoder', 'experiment']) {
    const { stderr } = weightloom('new', kind, 'a-b', '--out', join(name, kind));
    const lines = stderr.trim().split('\n').slice(1);
    assert.ok(lines.length >= 2);
    for (const line of lines) {
      assert.match(line, /^ {2}npx weightloom /);
      // A shell splits it into the words that were meant; of those the one with the path is read as YAML where it is an override.
      const { stdout } = spawnSync(
        'sh',
        ['-c', `printf '%s\\n' ${line.trim().slice('npx weightloom '.length)}`],
        {
          encoding: 'utf8',
        },
      );
      const word = stdout.trimEnd().split('\n').at(-1)!;
      const [, key, text] = /^(denoisers|encoder)=(.*)$/.exec(word) ?? [];
      const given = parse(key ? text : JSON.stringify(word));
      const path = key === 'denoisers' ? given[0] : key === 'encoder' ? given.kind : given;
      assert.match(path, `./${name}/${kind}/a-b.`);
      assert.ok(existsSync(join(folder, path)), path);
    }
  }
});

test('what cannot be made is refused with one sentence, and nothing is written', async () => {
  const before = readdirSync(folder);
  const cases: [string[], RegExp][] = [
    [
      ['denoiser', 'Mine'],
      /^weightloom new: expected a name of small letters, digits and dashes, .*found "Mine"\.$/,
    ],
    [['denoiser', '../x'], /found "\.\.\/x"\.$/],
    [
      ['denoisr', 'mine'],
      /^weightloom new: expected one of denoiser, .*found "denoisr"\. Did you mean denoiser\?$/,
    ],
    [['denoiser', 'tidy-net'], /tidy-net\.ts: expected a free name, found a file of that name\./],
  ];
  for (const [words, expected] of cases) {
    const { code, sentence } = await refusal('new', ...words, '--out', folder);
    assert.is(code, 1);
    assert.match(sentence, expected);
  }
  assert.equal(readdirSync(folder), before);
  assert.match(
    (await refusal('test', join(folder, 'none.ts'))).sentence,
    /none\.ts: expected a test file, found nothing there\.$/,
  );
});

test.run();
