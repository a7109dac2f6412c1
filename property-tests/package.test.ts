/** The package as its users get it: packed, installed into an empty project, run by plain Node, checked by tsc. */
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';

const root = fileURLToPath(new URL('..', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'weightloom-package-'));
const project = join(folder, 'project');
const env = { ...process.env, NODE_OPTIONS: '', npm_config_loglevel: 'error', npm_config_audit: 'false' };

const npm = (cwd: string, ...words: string[]): string =>
  execFileSync('npm', words, { cwd, env, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });

/** Plain Node in the project: no loader, no flag. */
function node(...words: string[]): string {
  const { status, stdout, stderr } = spawnSync(process.execPath, words, {
    cwd: project,
    env,
    encoding: 'utf8',
  });
  assert.is(status, 0, `${words.join(' ')}\n${stdout}\n${stderr}`);
  return stdout + stderr;
}

test.before(() => {
  const [{ filename }] = JSON.parse(npm(root, 'pack', '--json', '--pack-destination', folder));
  mkdirSync(project);
  writeFileSync(join(project, 'package.json'), '{ "name": "project", "private": true, "type": "module" }');
  // Without optional packages: pictures are read by WebAssembly then, and everything else is the same.
  npm(project, 'install', join(folder, filename), '--omit=optional', '--no-fund', '--prefer-offline');
});
test.after(() => rmSync(folder, { recursive: true }));

test('the library example of the README runs', () => {
  const readme = readFileSync(join(root, 'README.md'), 'utf8');
  const [, code] = /## As a library[\s\S]*?```js\n([\s\S]*?)```/.exec(readme) ?? [];
  assert.ok(code, 'README.md has the example');
  writeFileSync(join(project, 'script.mjs'), code);
  assert.match(node('script.mjs'), /100 steps in \d+ s\n.*grown\.png, \d+ x \d+/);
  assert.ok(existsSync(join(project, 'grown.png')));
});

test('a failure is one sentence where it is made', () => {
  writeFileSync(
    join(project, 'wrong.mjs'),
    `import { createEncoder, UserError } from 'weightloom';
for (const given of [['random-gram', {}, 0], ['random-grim', {}, { seed: 0 }]]) {
  await createEncoder(...given).then(
    () => console.log('built'),
    error => console.log(error instanceof UserError, error.message),
  );
}`,
  );
  const [context, name] = node('wrong.mjs').trim().split('\n');
  assert.match(
    context,
    /^true encoder random-gram: third argument: expected a context \{ seed, width\? \}, found 0/,
  );
  assert.match(name, /^true .*Did you mean random-gram\?/);
});

const USE = `
import { createEncoder, type Denoiser, type NcaSpec, readZoo, SPECS } from 'weightloom';
import * as config from 'weightloom/config';
import * as conditioning from 'weightloom/conditioning';
import * as data from 'weightloom/data';
import * as denoisers from 'weightloom/denoisers';
import * as diffusion from 'weightloom/diffusion';
import * as evaluation from 'weightloom/evaluation';
import * as experiment from 'weightloom/experiment';
import * as formats from 'weightloom/formats';
import * as graphs from 'weightloom/graphs';
import * as nca from 'weightloom/nca';
import * as report from 'weightloom/report';
import * as runs from 'weightloom/runs';
import * as tensor from 'weightloom/tensor';
import * as testing from 'weightloom/testing';
import * as training from 'weightloom/training';
const spec: NcaSpec = SPECS.compact;
const width: number = (await createEncoder('random-gram', {}, { seed: 0 })).width;
const zoo: nca.NcaSpec = (await readZoo('zoo')).spec;
// @ts-expect-error: types are there, and hold
const wrong: string = spec.channels;
export type Own = Denoiser;
export { conditioning, config, data, denoisers, diffusion, evaluation, experiment, formats, graphs, report, runs, tensor, testing, training, width, wrong, zoo };
`;

for (const [module, moduleResolution] of [
  ['node16', 'node16'],
  ['esnext', 'bundler'],
]) {
  test(`tsc takes every group under moduleResolution ${moduleResolution}`, () => {
    writeFileSync(join(project, 'use.ts'), USE);
    const compilerOptions = { target: 'es2022', module, moduleResolution, strict: true, noEmit: true };
    writeFileSync(
      join(project, 'tsconfig.json'),
      // tfjs depends on types of WebGPU that clash with those of a recent lib.dom.
      JSON.stringify({ compilerOptions: { ...compilerOptions, skipLibCheck: true }, files: ['use.ts'] }),
    );
    node(join(root, 'node_modules', 'typescript', 'bin', 'tsc'), '-p', '.');
  });
}

test('the command works, and takes a denoiser in TypeScript', () => {
  const weightloom = join('node_modules', '.bin', 'weightloom');
  assert.match(node(weightloom, 'doctor'), /loom/);
  node(weightloom, 'new', 'denoiser', 'my-denoiser');
  const found = node(weightloom, 'verify', './my-denoiser.ts', '--trials', '2', '--json');
  assert.match(found, /"symmetry": "hidden-permutation",\s+"claimed": true,\s+"holds": true/);
  node(weightloom, 'run', 'graph-study', '--help');
});

test('the studio shows its page, from what was built before', async () => {
  const child = spawn(process.execPath, [join('node_modules', '.bin', 'weightloom'), 'studio'], {
    cwd: project,
    env,
  });
  const ended = new Promise(resolve => child.on('close', resolve));
  let said = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', part => (said += part));
  try {
    for (let wait = 0; wait < 300 && !/Ctrl-C/.test(said); wait++) await setTimeout(100);
    const url = /http:\/\/127\.0\.0\.1:\d+\//.exec(said)?.[0];
    assert.ok(url, said);
    const page = await (await fetch(url)).text();
    for (const [, asset] of page.matchAll(/(?:src|href)="\.\/(.*?)"/g)) {
      assert.is((await fetch(url + asset)).status, 200, asset);
    }
    const kernel = await (await fetch(`${url}kernels/simd.wasm`)).arrayBuffer();
    assert.ok(WebAssembly.validate(kernel));
    assert.is((await (await fetch(`${url}api/sets/embedded`)).json()).names.length, 472);
  } finally {
    child.kill('SIGINT');
  }
  assert.is(await ended, 0);
});

test.run();
