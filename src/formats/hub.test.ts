import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as E from 'fp-ts/lib/Either.js';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { torchStateFile } from '../../property-tests/crafted.ts';
import { sentence } from '../../property-tests/refusal.ts';
import { failure, settle, UserError } from '../config/index.ts';
import {
  type FetchOptions,
  fetchWeights,
  readSafetensors,
  verifyFetched,
  writeSafetensors,
} from './index.ts';

/** A hub with one repository, a commit for each revision, and files that take HTTP ranges. */
const files = new Map<string, Buffer>();
const tags = new Map<string, string>();
const commits: Record<string, string> = { main: 'a'.repeat(40) };
const requests: string[] = [];
/** How many more requests are answered before the connection breaks. */
let patience = Number.POSITIVE_INFINITY;

function answer(request: IncomingMessage, response: ServerResponse) {
  requests.push(`${request.url?.replace(/\?.*/, '')} ${request.headers.range ?? ''}`.trim());
  if (patience-- <= 0) return request.socket.destroy();
  const parts = (request.url ?? '').replace(/\?.*/, '').split('/').map(decodeURIComponent);
  if (parts[1] === 'api') {
    const sha = commits[parts[6]];
    response.writeHead(sha && parts[4] === 'net' ? 200 : 404, { 'content-type': 'application/json' });
    return response.end(JSON.stringify({ _id: '1', id: 'them/net', sha, lastModified: '2026-01-01' }));
  }
  const [, , , , commit, name] = parts;
  const bytes = Object.values(commits).includes(commit) ? files.get(name) : undefined;
  if (!bytes) {
    response.writeHead(404, { 'x-error-code': 'EntryNotFound' });
    return response.end();
  }
  const [, from, to] = /bytes=(\d+)-(\d+)/.exec(request.headers.range ?? '') ?? [
    0,
    '0',
    String(bytes.length - 1),
  ];
  response.writeHead(206, {
    // Large files have their SHA-256 as tag.
    etag: tags.get(name) ?? `"${name}-1"`,
    'content-range': `bytes ${from}-${to}/${bytes.length}`,
  });
  return response.end(bytes.subarray(Number(from), Number(to) + 1));
}

const server = createServer(answer);
const folder = mkdtempSync(join(tmpdir(), 'weightloom-hub-'));
const test = suite('hub');
test.before(async () => {
  await new Promise<void>(done => server.listen(0, '127.0.0.1', done));
  const path = join(folder, 'source.safetensors');
  const data = (value: number, size: number) => ({ shape: [size], data: new Float32Array(size).fill(value) });
  await settle(
    writeSafetensors(path, {
      first: data(1, 10),
      head: data(2, 100_000),
      last: data(3, 20),
      whole: { shape: [2], data: new Int8Array([4, 5]) },
    }),
  );
  files.set('model.safetensors', readFileSync(path));
});
test.after(() => {
  server.close();
  rmSync(folder, { recursive: true });
});
test.before.each(() => {
  requests.length = 0;
  patience = Number.POSITIVE_INFINITY;
});

let targets = 0;
const options = (more: Partial<FetchOptions> = {}): FetchOptions => ({
  repo: 'them/net',
  files: ['model.safetensors'],
  target: join(folder, `cache-${targets++}`, 'net.safetensors'),
  hubUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
  tensors: name => name !== 'head',
  ...more,
});
test('only the wanted tensors are transferred, and nothing the second time', async () => {
  const wanted = options();
  const { commit, transferred, sha256 } = await settle(fetchWeights(wanted));
  assert.is(commit, commits.main);
  assert.is(transferred, 4 * 30 + 2);
  const { tensors } = await settle(readSafetensors(wanted.target));
  assert.equal(Object.keys(tensors).sort(), ['first', 'last', 'whole']);
  assert.equal(tensors.last.data, new Float32Array(20).fill(3));
  assert.equal(tensors.whole.data, new Int8Array([4, 5]));
  requests.length = 0;
  assert.equal(await settle(fetchWeights(wanted)), { path: wanted.target, commit, sha256, transferred: 0 });
  assert.equal(requests, []);
  assert.equal(readdirSync(join(wanted.target, '..')).sort(), ['lock.json', 'net.safetensors']);
});

test('files are tried in order, and what the hub has not is one sentence', async () => {
  await settle(fetchWeights(options({ files: ['other.safetensors', 'model.safetensors'] })));
  assert.match(
    await sentence(fetchWeights(options({ files: ['x.safetensors', 'y.bin'] }))),
    'expected one of the files x.safetensors, y.bin, found none of them',
  );
  assert.match(
    await sentence(fetchWeights(options({ repo: 'them/nothing' }))),
    'expected a public repository, revision and file, found the answer 404 of the hub',
  );
});

test('a broken transfer goes on where it stopped', async () => {
  const wanted = options({ tensors: () => true });
  // Commit, file information, header length, header, then one of the tensors.
  patience = 5;
  assert.match(
    await sentence(fetchWeights(wanted)),
    'expected an answer of the Hugging Face hub, found no connection',
  );
  const left = readdirSync(join(wanted.target, '..'));
  assert.is(left.length, 1);
  assert.match(left[0], /\.part$/);
  patience = Number.POSITIVE_INFINITY;
  const { transferred } = await settle(fetchWeights(wanted));
  assert.is(transferred, 4 * 100_020 + 2);
  const { tensors } = await settle(readSafetensors(wanted.target));
  assert.ok(tensors.first.data.every(value => value === 1));
  assert.ok(tensors.head.data.every(value => value === 2));
});

test('stopping keeps what has come', async () => {
  const stopper = new AbortController();
  const wanted = options({ signal: stopper.signal, onProgress: () => stopper.abort() });
  await fetchWeights(wanted)().then(
    () => assert.unreachable(),
    error => assert.instance(error, UserError),
  );
  assert.is(existsSync(wanted.target), false);
  assert.ok((await settle(fetchWeights({ ...wanted, signal: undefined }))).transferred < 4 * 30 + 2);
});

test('without network and without cache: one sentence that says what to do', async () => {
  const says = await sentence(fetchWeights(options({ hubUrl: 'http://127.0.0.1:9' })));
  assert.match(
    says,
    'them/net/model.safetensors: expected an answer of the Hugging Face hub, found no connection (',
  );
  assert.match(says, 'Connect to the network');
});

test('a file that is not the one first fetched is refused, here and by whoever reads it', async () => {
  const wanted = options();
  await settle(fetchWeights(wanted));
  assert.is((await settle(verifyFetched(wanted.target)))?.repo, 'them/net');
  const bytes = readFileSync(wanted.target);
  bytes[bytes.length - 1] ^= 1;
  writeFileSync(wanted.target, bytes);
  assert.match(
    await sentence(verifyFetched(wanted.target)),
    'expected the file fetched from them/net at aaaaaaaaaaaa',
  );
  assert.match(
    await sentence(fetchWeights(wanted)),
    'found another one (SHA-256). Remove it and fetch it again.',
  );
  rmSync(wanted.target);
  await settle(fetchWeights(wanted));
  assert.match(
    await sentence(fetchWeights({ ...wanted, revision: 'v2' })),
    'Fetch with --update to replace it.',
  );
  const strange = options();
  await settle(writeSafetensors(strange.target, {}));
  assert.match(await sentence(fetchWeights(strange)), 'expected a file that lock.json knows');
  assert.is(await settle(verifyFetched(strange.target)), undefined);
});

test('the commit of the first download is kept, until an update', async () => {
  const wanted = options();
  const { sha256 } = await settle(fetchWeights(wanted));
  const first = commits.main;
  const old = files.get('model.safetensors')!;
  commits.main = 'b'.repeat(40);
  commits.former = first;
  rmSync(wanted.target);
  const again = await settle(fetchWeights(wanted));
  assert.equal([again.commit, again.sha256], [first, sha256]);
  // The repository serves other bytes under the same commit.
  const changed = Buffer.from(old);
  changed[changed.length - 1] ^= 1;
  files.set('model.safetensors', changed);
  rmSync(wanted.target);
  assert.match(await sentence(fetchWeights(wanted)), 'lock.json notes, found');
  assert.is((await settle(fetchWeights({ ...wanted, update: true }))).commit, commits.main);
  files.set('model.safetensors', old);
});

test('a torch file is transferred whole, checked, and kept as safetensors', async () => {
  const bytes = torchStateFile({
    'conv.weight': { shape: [2, 3], data: new Float32Array([1, 2, 3, 4, 5, 6]) },
    head: { shape: [1], data: new Float32Array([9]) },
  });
  files.set('net.bin', bytes);
  tags.set('net.bin', `"${createHash('sha256').update(bytes).digest('hex')}"`);
  const wanted = options({ files: ['net.bin'] });
  assert.is((await settle(fetchWeights(wanted))).transferred, bytes.length);
  const { tensors } = await settle(readSafetensors(wanted.target));
  assert.equal(tensors, { 'conv.weight': { shape: [2, 3], data: new Float32Array([1, 2, 3, 4, 5, 6]) } });
  assert.equal(readdirSync(join(wanted.target, '..')).sort(), ['lock.json', 'net.safetensors']);
  tags.set('net.bin', `"${'0'.repeat(64)}"`);
  assert.match(
    await sentence(fetchWeights(options({ files: ['net.bin'] }))),
    'found other bytes. Fetch it again.',
  );
});

test('a file that fails the check is not kept', async () => {
  const wanted = options();
  const check: FetchOptions['check'] = path => async () =>
    existsSync(path) ? E.left(failure(path, 'a tensor conv1', 'none of that name')) : E.right(undefined);
  assert.is(
    await sentence(fetchWeights({ ...wanted, check })),
    'them/net/model.safetensors: expected a tensor conv1, found none of that name.',
  );
  assert.equal(readdirSync(join(wanted.target, '..')), []);
});

test('what is no safetensors file or no torch file is refused', async () => {
  files.set('broken.safetensors', Buffer.from('\xff\xff\xff\xff\x00\x00\x00\x00{}', 'latin1'));
  assert.match(
    await sentence(fetchWeights(options({ files: ['broken.safetensors'] }))),
    'expected a safetensors file, found a header of',
  );
  files.set('broken.bin', Buffer.from('not a zip'));
  assert.match(
    await sentence(fetchWeights(options({ files: ['broken.bin'] }))),
    'expected a .pt file of torch.save',
  );
});

test.run();
