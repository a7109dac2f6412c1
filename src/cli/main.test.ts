import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { torchNcaFile } from '../../property-tests/crafted.ts';
import { SPECS, weightCount } from '../nca/index.ts';
import { COMMANDS, main } from './main.ts';

const folder = mkdtempSync(join(tmpdir(), 'weightloom-cli-'));
const file = (name: string) => join(folder, name);
const test = suite('command line');
test.after(() => rmSync(folder, { recursive: true }));

/** Runs a command line in this process: its exit code and what it printed. */
async function run(...argv: string[]): Promise<{ code: number; out: string; err: string }> {
  let [out, err] = ['', ''];
  const { log, error } = console;
  const writes = [process.stdout.write, process.stderr.write] as const;
  console.log = (...parts: unknown[]) => {
    out += `${parts.join(' ')}\n`;
  };
  console.error = (...parts: unknown[]) => {
    err += `${parts.join(' ')}\n`;
  };
  process.stdout.write = ((text: string) => {
    out += text;
    return true;
  }) as typeof process.stdout.write;
  process.stderr.write = ((text: string) => {
    err += text;
    return true;
  }) as typeof process.stderr.write;
  try {
    process.exitCode = 0;
    await main(argv);
    return { code: Number(process.exitCode), out, err };
  } finally {
    process.exitCode = 0;
    Object.assign(console, { log, error });
    [process.stdout.write, process.stderr.write] = writes;
  }
}

/** A command that fails: its exit code, and its only line. */
async function failing(...argv: string[]) {
  const { code, out, err } = await run(...argv);
  assert.is(out, '');
  const lines = err.trim().split('\n');
  assert.is(lines.length, 1, err);
  return { code, sentence: lines[0] };
}

torchNcaFile(
  file('nca.pt'),
  SPECS.hypernca,
  new Float32Array(weightCount(SPECS.hypernca)).map((_, i) => Math.sin(i) / 50),
);

test('help and version succeed, in every group', async () => {
  for (const argv of [['--help'], ['nca', '--help'], ['zoo', '--help'], ['zoo', 'import', '--help']]) {
    const { code, out } = await run(...argv);
    assert.is(code, 0);
    assert.match(out, 'Usage: weightloom');
  }
  assert.match((await run('nca', 'render', '--help')).out, 'Examples:');
  const { code, out } = await run('--version');
  assert.is(code, 0);
  assert.match(out, /^\d+\.\d+\.\d+\n$/);
});

test('--json prints the same as the table, for programs', async () => {
  const zoo = 'configs/zoo/embedded';
  const json = async (...argv: string[]) => {
    const { code, out, err } = await run(...argv, '--json');
    assert.is(code, 0, err);
    return JSON.parse(out);
  };
  for (const what of ['denoisers', 'encoders', 'experiments', 'symmetries']) {
    const rows: { name: string; about: string }[] = await json('list', what);
    const { out } = await run('list', what);
    assert.ok(rows.length > 3);
    for (const { name, about } of rows) assert.ok(out.includes(name) && about.length > 10, name);
  }
  const names: { name: string }[] = await json('zoo', 'info', zoo, '--names');
  assert.is((await json('zoo', 'info', zoo)).NCAs, names.length);
  const one = `${zoo}#${names[0].name}`;
  assert.ok((await json('encoders', 'list')).networks.length > 3);
  const exported = await json('export', one, '--to', 'onnx', '--out', file('one.onnx'));
  assert.equal(exported, { to: 'onnx', NCAs: 1, files: [file('one.onnx')] });
  assert.is((await json('graph', one, '--out', file('one.gexf'))).edges, 1312);
  assert.equal(await json('runs', 'list', folder), []);
});

test('keys of a cluster want a cluster, and a cluster wants many runs', async () => {
  const lonely = await failing('run', 'quickstart', '--launch', 'time=5');
  assert.equal(lonely, { code: 2, sentence: 'option --launch: expected --launcher slurm beside it.' });
  const single = await failing('run', 'quickstart', '--launcher', 'slurm');
  assert.equal(single, { code: 2, sentence: 'option --launcher slurm: expected --multirun beside it.' });
  const build = await failing(
    'zoo',
    'build',
    'configs/zoo/embedded.yaml',
    '--jobs',
    '2',
    '--launch',
    'time=5',
  );
  assert.equal(build, lonely);
});

test('an export says what spec it took, and takes another by --spec', async () => {
  writeFileSync(file('clamp.yaml'), 'rgb: { offset: 0 }\n');
  writeFileSync(file('other.yaml'), 'channels: 16\n');
  const out = file('clamp.safetensors');
  const words = ['export', file('nca.pt'), '--to', 'safetensors', '--out', out];
  assert.match((await run(...words)).err, /^spec hypernca/m);
  assert.match((await run(...words, '--spec', file('clamp.yaml'))).err, /as given/);
  assert.match(
    (await run('nca', 'render', '--weights', out, '--steps', '2', '--out', file('c.png'))).err,
    /as given/,
  );
  const zoo = 'configs/zoo/procedural';
  for (const what of [zoo, `${zoo}#dots-007`]) {
    const { sentence, code } = await failing(
      ...['export', what, '--to', 'npy', '--out', file('none'), '--spec', file('other.yaml')],
    );
    assert.is(code, 1);
    assert.match(
      sentence,
      `${zoo}: expected 16 channels, 32 hidden units, no output bias (option --spec), found 8 channels`,
    );
  }
  assert.match(
    (await failing('export', folder, '--to', 'denoiser', '--out', out, '--spec', 'compact')).sentence,
    'option --spec: expected a target for NCAs',
  );
});

test('an export that cannot be is one sentence', async () => {
  const { sentence, code } = await failing('export', folder, '--to', 'denoiser', '--out', file('no'));
  assert.is(code, 1);
  assert.is(
    sentence,
    `${folder}: expected a finished run of \`weightloom train\`, with model.safetensors in it, found none.`,
  );
  assert.match(
    (await failing('export', 'configs/zoo/embedded#no-such-one', '--to', 'onnx', '--out', file('no')))
      .sentence,
    'no-such-one',
  );
  assert.not.ok(existsSync(file('no')));
});

test('the list of commands, which loads none of them, says what they say of themselves', async () => {
  for (const { word, about, load } of COMMANDS) {
    const program = new Command();
    for (const one of load) (await one()).register(program);
    assert.equal(
      program.commands.map(command => [command.name(), command.description()]),
      [[word, about]],
    );
  }
});

test('bad usage ends with 2 and a suggestion', async () => {
  const unknown = await run('zo');
  assert.is(unknown.code, 2);
  assert.match(unknown.err, 'Did you mean zoo?');
  const sub = await run('nca', 'rendr');
  assert.is(sub.code, 2);
  assert.match(sub.err, 'Did you mean render?');
  const missing = await run('nca', 'render');
  assert.is(missing.code, 2);
  assert.match(missing.err, "required option '-w, --weights <weights>' not specified");
  const number = await run('nca', 'render', '-w', 'x.pt', '-o', 'x.png', '--steps', 'many');
  assert.is(number.code, 2);
  assert.match(number.err, 'Expected a whole number at least 0.');
  const kind = await failing('nca', 'render', '-w', file('nca.pt'), '-o', file('x.bmp'));
  assert.equal(kind, {
    code: 2,
    sentence: `--out: expected a name that ends in .png or .gif, found "${file('x.bmp')}".`,
  });
});

test('a picture and a film of an NCA', async () => {
  const options = ['--steps', '6', '--size', '8'];
  const png = await run('nca', 'render', '-w', file('nca.pt'), '-o', file('new/x.png'), ...options);
  assert.equal([png.code, png.out], [0, `${file('new/x.png')}\n`]);
  assert.is(
    (await run('nca', 'render', '-w', file('nca.pt'), '-o', file('x.gif'), '--frames', '3', ...options)).code,
    0,
  );
  assert.is(readFileSync(file('x.gif')).subarray(0, 6).toString(), 'GIF89a');
});

test('bad input ends with 1 and one sentence, and writes nothing', async () => {
  writeFileSync(file('cut.pt'), readFileSync(file('nca.pt')).subarray(0, 9000));
  writeFileSync(file('plain'), '');
  const cases: [string[], string][] = [
    [
      ['nca', 'render', '-w', file('none.pt'), '-o', file('y.png')],
      'none.pt: expected a file or folder that exists',
    ],
    [
      ['nca', 'render', '-w', file('cut.pt'), '-o', file('y.png')],
      'cut.pt: expected a .pt file of torch.save',
    ],
    [
      ['nca', 'render', '-w', file('nca.pt'), '-o', file('plain/y.png'), '--size', '4', '--steps', '0'],
      'y.png: expected a folder, found a file',
    ],
    [['zoo', 'info', folder], 'expected a zoo (a folder with zoo.json), found none'],
    [['zoo', 'import', folder, '-o', file('zoo')], 'found a folder without w1.npy'],
    [['zoo', 'import', file('x.txt'), '-o', file('zoo')], 'x.txt: expected a file or folder that exists'],
  ];
  const before = readdirSync(folder);
  for (const [argv, expected] of cases) {
    const { code, sentence } = await failing(...argv);
    assert.is(code, 1);
    assert.match(sentence, expected);
  }
  assert.equal(readdirSync(folder), before);
});

test('a zoo is imported and shown', async () => {
  const imported = await run(
    'zoo',
    'import',
    file('nca.pt'),
    '-o',
    file('zoo'),
    '--steps',
    '2',
    '--size',
    '8',
  );
  assert.is(imported.code, 0, imported.err);
  assert.match(imported.out, '1 NCAs, ');
  const info = await run('zoo', 'info', file('zoo'));
  assert.is(info.code, 0);
  assert.match(info.out, 'hypernca: w1 96x48, b1 96, w2 12x96 (5856 weights)');
  assert.match((await run('zoo', 'info', file('zoo'), '--names')).out, 'renderings/nca.png');
  assert.ok(existsSync(file('zoo/renderings/nca.png')));
});

test.run();
