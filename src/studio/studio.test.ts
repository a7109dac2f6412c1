import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { settle } from '../config/index.ts';
import { renderNcas, writeWeights, writeZoo } from '../data/index.ts';
import { KEPT_METHODS, writeKeptNcas } from '../experiment/index.ts';
import { pictureBytes } from '../formats/index.ts';
import { Growth, type NcaSpec, SPECS, weightCount } from '../nca/index.ts';
import { randomStream, startBackend } from '../tensor/index.ts';
import { type RunningServer, serve } from './server/server.ts';
import { openSources, type Source } from './server/sources.ts';

const test = suite('studio');
const folder = realpathSync(mkdtempSync(join(tmpdir(), 'weightloom-studio-')));
const at = (...names: string[]) => join(folder, ...names);
const spec: NcaSpec = { ...SPECS.compact, name: 'tiny', channels: 4, hidden: 4 };
const size = weightCount(spec);
const weights = randomStream(1, 'studio').normals(3 * size, 0, 0.2);
const picture = { width: 2, height: 2, data: new Float32Array(12).fill(0.25) };
const SECRET = 'nobody else should read this';

let server: RunningServer;
let sources: Source[];

/** A request as it is written, its path not made simpler. */
function ask(
  path: string,
  { method = 'GET', headers = {} }: { method?: string; headers?: Record<string, string> } = {},
): Promise<{ status: number; headers: Record<string, unknown>; body: Buffer }> {
  return new Promise((resolve, reject) => {
    const asked = request({ host: '127.0.0.1', port: server.port, path, method, headers }, response => {
      const parts: Buffer[] = [];
      response.on('data', part => parts.push(part));
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(parts) }),
      );
    });
    asked.on('error', reject);
    asked.end();
  });
}
const json = async (path: string) => JSON.parse((await ask(path)).body.toString());

function results(extra: Record<string, unknown> = {}) {
  const interval = { mean: 0.5, low: 0.4, high: 0.6, std: 0.1, count: 2 };
  return {
    version: 1,
    experiment: 'quickstart',
    command: 'weightloom run quickstart',
    config: {},
    textures: ['a', 'b'],
    metrics: [{ name: 'patch-sw', better: 'lower' }],
    summary: [{ method: 'dit', kind: 'denoiser', metrics: { 'patch-sw': interval }, diverged: 0 }],
    perTexture: [{ method: 'dit', health: ['sound', 'sound'], 'patch-sw': [0.4, 0.6] }],
    ...extra,
  };
}

test.before(async () => {
  await startBackend();
  await settle(
    writeZoo(
      at('zoo'),
      {
        spec,
        weights,
        base: null,
        entries: ['one', '<b>two</b>', 'three'].map((name, i) => ({
          name,
          split: i === 0 ? 'held-out' : 'train',
          group: name,
          image: i < 2 ? `images/${i}.png` : null,
          rendering: null,
          provenance: {},
        })),
      },
      [0, 1].map(i => ({ path: `images/${i}.png`, content: picture })),
    ),
  );
  writeFileSync(at('secret.txt'), SECRET);
  writeFileSync(at('secret.json'), JSON.stringify(results({ experiment: SECRET })));
  // A zoo whose picture is a link out of it.
  mkdirSync(at('linked', 'images'), { recursive: true });
  for (const name of ['zoo.json', 'weights.safetensors', 'images/1.png'])
    writeFileSync(at('linked', name), readFileSync(at('zoo', name)));
  symlinkSync(at('zoo', 'images', '0.png'), at('linked', 'images', '0.png'));
  // A damaged manifest, a run not finished, one whose results are a link out of it, a whole one.
  mkdirSync(at('damaged'));
  writeFileSync(at('damaged', 'zoo.json'), readFileSync(at('zoo', 'zoo.json'), 'utf8').slice(0, 200));
  for (const name of ['unfinished', 'outside', 'run', 'model', 'study']) {
    mkdirSync(at(name));
    writeFileSync(at(name, 'config.yaml'), 'seed: 0\n');
  }
  symlinkSync(at('secret.json'), at('outside', 'results.json'));
  symlinkSync(at('secret.txt'), at('outside', 'report.html'));
  writeFileSync(at('run', 'results.json'), JSON.stringify(results()));
  writeFileSync(at('run', 'report.html'), '<p>a report</p>');
  writeFileSync(at('model', 'model.safetensors'), '');
  writeFileSync(at('study', 'results.json'), '{"version": 1, "experiment": "graph-study"}');
  await writeKeptNcas(
    at('run', KEPT_METHODS),
    spec,
    {
      kind: 'methods',
      label: 'quickstart',
      columns: [{ name: 'dit', kind: 'denoiser' }],
      textures: ['a', 'b'],
      steps: 5,
      size: 2,
      seeds: [1, 2],
    },
    [weights.subarray(0, 2 * size)],
    new Float32Array(24).fill(0.5),
  );
  await settle(writeWeights(at('single.safetensors'), { spec, flat: weights.slice(0, size) }));
  mkdirSync(at('empty'));
  mkdirSync(at('page'));
  writeFileSync(at('page', 'index.html'), '<title>page</title>');
  sources = await openSources(
    [
      'zoo',
      'linked',
      'damaged',
      'unfinished',
      'outside',
      'run',
      'single.safetensors',
      'model',
      'study',
      'empty',
      'nowhere',
    ].map(name => at(name)),
  );
  server = await serve({ sources, page: at('page'), kernels: { simd: at('secret.txt') } });
});
test.after(async () => {
  await server.close();
  rmSync(folder, { recursive: true });
});

test('what is wrong with one of what was given is a sentence, and the rest is served', async () => {
  const { sources: listed } = await json('/api/library');
  const problems = Object.fromEntries(
    listed.map(({ title, problem }: { title: string; problem: string | null }) => [title, problem]),
  );
  assert.is(problems.zoo, null);
  assert.is(problems.run, null);
  assert.is(problems.single, null);
  assert.match(problems.damaged, /zoo\.json: expected .*JSON/);
  assert.match(
    problems.unfinished,
    /expected a finished run, with results\.json in it, found none: it did not/,
  );
  assert.match(problems.outside, /a link that leads out of it/);
  assert.match(problems.empty, /expected a zoo .*, a run .* or a file of weights/);
  assert.match(problems.model, /a trained model\. `weightloom sample --run .* --trajectory/);
  assert.match(problems.study, /results of graph-study, which compares no methods/);
  assert.match(problems.nowhere, /expected .*exists, found nothing there/);
});

test('weights, pictures and results come as they are on the disk', async () => {
  const set = await json('/api/sets/zoo');
  assert.equal(set.names, ['one', '<b>two</b>', 'three']);
  assert.equal(set.pictures, [true, true, false]);
  const rows = (await ask('/api/sets/zoo/rows/1/2')).body;
  assert.equal(
    new Float32Array(rows.buffer, rows.byteOffset, rows.length / 4),
    weights.subarray(size, 3 * size),
  );
  const kept = (await ask('/api/sets/run.methods/rows/1/1')).body;
  assert.is(kept.length, 4 * size);
  assert.equal((await ask('/api/sets/zoo/pictures/0')).body, readFileSync(at('zoo', 'images', '0.png')));
  assert.is((await ask('/api/sets/run.methods/pictures/1')).headers['content-type'], 'image/png');
  assert.equal((await json('/api/runs/run')).textures, ['a', 'b']);
  assert.is((await ask('/api/sets/zoo/map')).body.length, 24);
});

test('what is asked for in vain is a sentence', async () => {
  for (const path of ['/api/sets/zoo/rows/2/2', '/api/sets/zoo/pictures/2', '/api/sets/zoo/pictures/77']) {
    const { status, body } = await ask(path);
    assert.is(status, 422, path);
    assert.match(JSON.parse(body.toString()).error, /expected .*, found .*\./);
  }
  for (const path of [
    '/api/sets/zoo/rows/0/5000',
    '/api/sets/zoo/rows/-1/1',
    '/api/sets/zoo/rows/1e0/1',
    '/api/sets/zoo/other',
    '/api/sets/__proto__',
    '/api/runs/zoo',
    '/api/runs/constructor',
    '/api/',
    '/api/sets/%',
    '/nothing',
  ]) {
    assert.is((await ask(path)).status, 404, path);
  }
});

test('no path leads out of what is served', async () => {
  const ways = [
    '/../secret.txt',
    '/..%2fsecret.txt',
    '/%2e%2e/secret.txt',
    '/assets/../../secret.txt',
    at('secret.txt'),
    `/${at('secret.txt')}`,
    `//127.0.0.1${at('secret.txt')}`,
    `file://${at('secret.txt')}`,
    '/api/sets/..%2f..%2fsecret.txt',
    `/api/sets/${encodeURIComponent(at('secret.txt'))}`,
    '/api/sets/zoo/pictures/..%2f..%2fsecret.txt',
    '/runs/outside/report.html',
    '/runs/..%2fsecret.txt/report.html',
    '/kernels/..%2fsecret.txt',
    '/api/runs/outside',
    '/api/sets/linked/pictures/0',
    '/secret.txt\\..\\',
    '/index.html%00.png',
  ];
  for (const way of ways) {
    const { status, body } = await ask(way);
    assert.ok(status === 404 || status === 422, `${way}: ${status}`);
    assert.not.match(body.toString(), SECRET, way);
  }
});

test('another host, another origin, and anything that would change something are refused', async () => {
  for (const host of ['example.org', `example.org:${server.port}`, '127.0.0.1', `127.0.0.1:${server.port}.a`])
    assert.is((await ask('/', { headers: { host } })).status, 403, host);
  assert.is((await ask('/', { headers: { host: `localhost:${server.port}` } })).status, 200);
  const own = `http://127.0.0.1:${server.port}`;
  assert.is((await ask('/api/library', { headers: { origin: 'https://example.org' } })).status, 403);
  assert.is((await ask('/api/library', { headers: { origin: 'null' } })).status, 403);
  assert.is((await ask('/api/library', { headers: { origin: own } })).status, 200);
  for (const method of ['POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS']) {
    const { status, body } = await ask('/api/library', { method, headers: { origin: own } });
    assert.is(status, 405, method);
    assert.not.match(body.toString(), 'sources');
  }
  const head = await ask('/', { method: 'HEAD' });
  assert.is(head.status, 200);
  assert.is(head.body.length, 0);
});

test('every answer isolates the page and lets no inline script run', async () => {
  for (const path of ['/', '/api/library', '/nothing']) {
    const { headers } = await ask(path);
    assert.is(headers['cross-origin-opener-policy'], 'same-origin');
    assert.is(headers['cross-origin-embedder-policy'], 'require-corp');
    assert.is(headers['x-content-type-options'], 'nosniff');
    const policy = String(headers['content-security-policy']);
    assert.match(policy, "default-src 'none'");
    assert.not.match(policy, 'unsafe-inline');
    assert.not.match(policy, "'unsafe-eval'");
  }
  // A run's report is a page of somebody's making: an origin of its own, without a way out.
  const report = await ask('/runs/run/report.html');
  assert.match(
    String(report.headers['content-security-policy']),
    /^sandbox allow-scripts allow-downloads; default-src 'none'/,
  );
});

test('what grows on the page is what the command line renders, byte for byte', async () => {
  const [rendered] = await renderNcas(spec, weights.slice(0, size), { steps: 40, size: 16, seed: 3 });
  const growth = new Growth(spec, weights.slice(0, size), { size: 16, seeds: [3] });
  for (let step = 0; step < 40; step += 8) growth.step(8);
  const painted = new Uint8ClampedArray(16 * 16 * 4);
  growth.paint(0, painted);
  growth.dispose();
  assert.equal(
    painted.filter((_, i) => i % 4 !== 3),
    new Uint8ClampedArray(pictureBytes(rendered.data)),
  );
});

test('a run that has finished meanwhile, and a new one, are there when the page is loaded again', async () => {
  mkdirSync(at('later', 'first'), { recursive: true });
  writeFileSync(at('later', 'first', 'config.yaml'), 'seed: 0\n');
  const first = await openSources([at('later'), at('zoo')]);
  assert.match(first[0].info.problem!, /it did not finish/);
  writeFileSync(at('later', 'first', 'results.json'), JSON.stringify(results()));
  mkdirSync(at('later', 'second'));
  writeFileSync(at('later', 'second', 'results.json'), JSON.stringify(results()));
  const again = await openSources([at('later'), at('zoo')], first);
  assert.equal(again.map(({ info }) => [info.title, info.id, info.compared]).sort(), [
    ['first', 'first', true],
    ['second', 'second', true],
    ['zoo', 'zoo', false],
  ]);
  // What was whole is not read again.
  assert.is(
    again.find(({ info }) => info.id === 'zoo'),
    first.find(({ info }) => info.id === 'zoo'),
  );
});

test('a port that is taken is refused in a sentence', async () => {
  try {
    await serve({ sources, page: at('page'), kernels: {} }, server.port);
    assert.unreachable();
  } catch (error) {
    assert.match((error as Error).message, /option --port: expected a port that is free/);
  }
  assert.ok(existsSync(at('page')));
});

test.run();
