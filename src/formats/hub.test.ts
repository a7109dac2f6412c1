import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as E from 'fp-ts/lib/Either.js';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { torchStateFile } from '../../property-tests/crafted.ts';
import { sentence } from '../../property-tests/refusal.ts';
import { type StandInFile, StandInHub, type StandInRepo } from '../../property-tests/stand-in-hub.ts';
import { failure, settle, UserError } from '../config/index.ts';
import {
  type FetchOptions,
  fetchWeights,
  pullFolder,
  readSafetensors,
  verifyFetched,
  writeSafetensors,
} from './index.ts';

const hub = new StandInHub();
const folder = mkdtempSync(join(tmpdir(), 'weightloom-hub-'));
const net: StandInRepo = { commits: { main: 'a'.repeat(40) }, files: new Map() };
const environment = { HF_TOKEN: process.env.HF_TOKEN, HF_ENDPOINT: process.env.HF_ENDPOINT };
const test = suite('hub');

const lfs = (bytes: Buffer) => ({ bytes, lfs: true });
const data = (value: number, size: number) => ({ shape: [size], data: new Float32Array(size).fill(value) });
test.before(async () => {
  await hub.start();
  const path = join(folder, 'source.safetensors');
  await settle(
    writeSafetensors(path, {
      first: data(1, 10),
      head: data(2, 100_000),
      middle: data(5, 80_000),
      last: data(3, 20),
      whole: { shape: [2], data: new Int8Array([4, 5]) },
    }),
  );
  net.files.set('model.safetensors', lfs(readFileSync(path)));
});
test.after(() => {
  Object.assign(process.env, environment);
  hub.stop();
  rmSync(folder, { recursive: true });
});
test.before.each(() => {
  for (const name of Object.keys(environment)) delete process.env[name];
  Object.assign(hub, { busy: 0, patience: Number.POSITIVE_INFINITY, breaks: [], oddity: undefined });
  hub.asked.length = 0;
  hub.tokens.length = 0;
  hub.repos.clear();
  hub.repos.set('them/net', net);
});

let targets = 0;
const waits: number[] = [];
const options = (more: Partial<FetchOptions> = {}): FetchOptions => ({
  repo: 'them/net',
  files: ['model.safetensors'],
  target: join(folder, `cache-${targets++}`, 'net.safetensors'),
  hubUrl: hub.url,
  tensors: name => name !== 'head' && name !== 'middle',
  pause: async seconds => void waits.push(seconds),
  ...more,
});
const beside = (target: string) => readdirSync(join(target, '..')).sort();
const all = () => true;
const size = () => net.files.get('model.safetensors')!.bytes.length;

test('a whole file is verified by the hash the hub states, not by the tag of the other host, and pinned', async () => {
  const wanted = options({ tensors: name => name !== 'first' });
  const { commit, transferred, sha256, verified } = await settle(fetchWeights(wanted));
  assert.equal([commit, verified], [net.commits.main, true]);
  const { tensors } = await settle(readSafetensors(wanted.target));
  assert.equal(Object.keys(tensors).sort(), ['head', 'last', 'middle', 'whole']);
  assert.ok(tensors.head.data.every(value => value === 2));
  assert.ok(transferred >= size());
  const lock = JSON.parse(readFileSync(join(wanted.target, '..', 'lock.json'), 'utf8'));
  assert.is(
    lock['net.safetensors'].sha256,
    createHash('sha256').update(readFileSync(wanted.target)).digest('hex'),
  );
  hub.asked.length = 0;
  const again = { path: wanted.target, commit, sha256, verified, transferred: 0 };
  assert.equal(await settle(fetchWeights(wanted)), again);
  assert.equal(hub.asked, []);
  assert.equal(beside(wanted.target), ['lock.json', 'net.safetensors']);
});

test('of which less than half is wanted, only that comes, by joined ranges; it is not pinned, until all of it was verified', async () => {
  const wanted = options();
  const { transferred, verified } = await settle(fetchWeights(wanted));
  assert.is(verified, false);
  assert.ok(transferred < 100_000 && transferred >= 4 * 30 + 2);
  const { tensors } = await settle(readSafetensors(wanted.target));
  assert.equal(Object.keys(tensors).sort(), ['first', 'last', 'whole']);
  assert.equal(tensors.last.data, new Float32Array(20).fill(3));
  const lockFile = join(wanted.target, '..', 'lock.json');
  assert.is(JSON.parse(readFileSync(lockFile, 'utf8'))['net.safetensors'].sha256, null);
  // Length and content of the header, then `first` apart from what lies 720 kB behind it.
  assert.is(hub.asked.filter(line => line.startsWith('cdn')).length, 4);
  assert.is((await settle(fetchWeights(wanted))).verified, false);
  const whole = await settle(fetchWeights({ ...wanted, whole: true }));
  assert.is(whole.verified, true);
  assert.is(JSON.parse(readFileSync(lockFile, 'utf8'))['net.safetensors'].sha256, whole.sha256);
  // Both ways lead to the same file: the pin verifies a part.
  rmSync(wanted.target);
  assert.equal((await settle(fetchWeights(wanted))).verified, true);
});

test('a revision that is a commit is not asked for', async () => {
  const commit = net.commits.main;
  assert.is((await settle(fetchWeights(options({ revision: commit })))).commit, commit);
  assert.ok(hub.asked.every(line => !line.includes('/revision/')));
});

test('files are tried in order, and what the hub has not is one sentence', async () => {
  await settle(fetchWeights(options({ files: ['other.safetensors', 'model.safetensors'] })));
  assert.match(
    await sentence(fetchWeights(options({ files: ['x.safetensors', 'y.bin'] }))),
    'expected one of the files x.safetensors, y.bin, found none of them',
  );
  assert.match(
    await sentence(fetchWeights(options({ revision: 'v9' }))),
    'expected a public repository, revision and file, found the answer 404 of the hub',
  );
  const nothing = await sentence(fetchWeights(options({ repo: 'them/nothing' })));
  assert.match(nothing, 'found the answer 401 of the hub. One that is private or gated needs HF_TOKEN');
});

test('a token goes to the hub of the environment and nowhere else, and is told to nobody', async () => {
  hub.repos.set('them/secret', { ...net, token: 'hf_secret' });
  process.env.HF_TOKEN = 'hf_secret';
  process.env.HF_ENDPOINT = `${hub.url}/`;
  const wanted = options({ repo: 'them/secret', tensors: all, hubUrl: undefined });
  assert.is((await settle(fetchWeights(wanted))).verified, true);
  const seen = new Set(hub.tokens.map(({ host, token }) => `${host} ${token}`));
  assert.equal([...seen].sort(), ['cdn undefined', 'hub Bearer hf_secret']);
  // A hub that only a command line names gets none.
  process.env.HF_ENDPOINT = 'https://huggingface.co';
  hub.tokens.length = 0;
  const says = await sentence(fetchWeights(options({ repo: 'them/secret' })));
  assert.match(says, 'found the answer 401');
  assert.not.match(says, 'hf_secret');
  assert.ok(hub.tokens.every(({ token }) => token === undefined));
  process.env.HF_TOKEN = 'hf_a b';
  assert.match(
    await sentence(fetchWeights(options())),
    'environment variable HF_TOKEN: expected a token without spaces',
  );
  process.env.HF_ENDPOINT = 'ftp://x';
  assert.match(
    await sentence(fetchWeights(options({ hubUrl: undefined }))),
    'environment variable HF_ENDPOINT: expected an address such as https://huggingface.co, found "ftp://x"',
  );
});

test('a hub that is busy is waited for, as long as it says', async () => {
  hub.busy = 2;
  waits.length = 0;
  const told: number[] = [];
  await settle(fetchWeights(options({ onWait: seconds => told.push(seconds) })));
  assert.equal(
    [waits, told],
    [
      [7, 7],
      [7, 7],
    ],
  );
  hub.busy = 100;
  assert.match(await sentence(fetchWeights(options())), 'found the answer 429 of the hub. Try again later.');
});

test('a signed address that has expired is asked for again', async () => {
  hub.oddity = 'expired-once';
  assert.is((await settle(fetchWeights(options({ tensors: all })))).verified, true);
});

test('an answer without Content-Range is one sentence, unless it is all that was asked for', async () => {
  hub.oddity = 'no-range';
  assert.match(
    await sentence(fetchWeights(options({ tensors: all, whole: true }))),
    /net\/model\.safetensors: expected bytes 0 to \d+ of \d+ \(Content-Range\), found an answer without/,
  );
  hub.oddity = 'whole';
  assert.is((await settle(fetchWeights(options({ tensors: all, whole: true })))).verified, true);
  assert.match(await sentence(fetchWeights(options())), 'expected bytes 0 to 8 of');
});

test('a connection that breaks is taken up where it broke; one that brings nothing more is one sentence', async () => {
  hub.breaks = [50_000, 100_000];
  const wanted = options({ tensors: all, whole: true });
  const { transferred } = await settle(fetchWeights(wanted));
  assert.is(transferred, size());
  const ranges = hub.asked.filter(line => line.startsWith('cdn'));
  assert.is(ranges.length, 3);

  const other = options({ tensors: all, whole: true });
  hub.breaks = [70_000, 0, 0, 0, 0];
  assert.match(
    await sentence(fetchWeights(other)),
    'expected an answer of the Hugging Face hub, found no connection',
  );
  const [part] = beside(other.target);
  assert.match(part, /\.part$/);
  hub.breaks = [];
  const rest = await settle(fetchWeights(other));
  assert.equal([rest.transferred, rest.verified], [size() - 70_000, true]);
});

test('a transfer that is taken up is verified from its first byte', async () => {
  const wanted = options({ tensors: all, whole: true });
  hub.breaks = [70_000, 0, 0, 0];
  await sentence(fetchWeights(wanted));
  const part = join(wanted.target, '..', beside(wanted.target)[0]);
  const bytes = readFileSync(part);
  bytes[100] ^= 1;
  writeFileSync(part, bytes);
  hub.breaks = [];
  assert.match(
    await sentence(fetchWeights(wanted)),
    'expected the file whose hash the hub states, found other bytes. Fetch it again.',
  );
  assert.equal(beside(wanted.target), []);
  assert.is((await settle(fetchWeights(wanted))).verified, true);
});

test('stopping keeps what has come', async () => {
  const stopper = new AbortController();
  const wanted = options({ tensors: all, signal: stopper.signal, onProgress: () => stopper.abort() });
  await fetchWeights(wanted)().then(
    result => assert.ok(E.isLeft(result)),
    error => assert.instance(error, UserError),
  );
  assert.is(existsSync(wanted.target), false);
  assert.ok((await settle(fetchWeights({ ...wanted, signal: undefined }))).transferred < 2 * size());
});

test('no network: one sentence that says what to do', async () => {
  const says = await sentence(fetchWeights(options({ hubUrl: 'http://127.0.0.1:9' })));
  assert.match(
    says,
    'them/net/model.safetensors: expected an answer of the Hugging Face hub, found no connection (',
  );
  assert.match(says, 'Connect to the network');
});

test('a file that is not the one first fetched is refused, here and by whoever reads it', async () => {
  const wanted = options({ tensors: all });
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
  const wanted = options({ tensors: all });
  const { sha256 } = await settle(fetchWeights(wanted));
  const first = net.commits.main;
  const old = net.files.get('model.safetensors')!;
  net.commits = { main: 'b'.repeat(40), former: first };
  rmSync(wanted.target);
  const again = await settle(fetchWeights(wanted));
  assert.equal([again.commit, again.sha256], [first, sha256]);
  // The repository serves other bytes under the same commit.
  const changed = Buffer.from(old.bytes);
  changed[changed.length - 1] ^= 1;
  net.files.set('model.safetensors', lfs(changed));
  rmSync(wanted.target);
  assert.match(await sentence(fetchWeights(wanted)), 'lock.json notes, found');
  assert.is((await settle(fetchWeights({ ...wanted, update: true }))).commit, net.commits.main);
  net.files.set('model.safetensors', old);
});

test('a torch file is transferred whole, checked, and kept as safetensors', async () => {
  const bytes = torchStateFile({
    'conv.weight': { shape: [2, 3], data: new Float32Array([1, 2, 3, 4, 5, 6]) },
    head: { shape: [1], data: new Float32Array([9]) },
  });
  for (const large of [true, false]) {
    net.files.set('net.bin', { bytes, lfs: large });
    const wanted = options({ files: ['net.bin'] });
    assert.is((await settle(fetchWeights(wanted))).transferred, bytes.length);
    const { tensors } = await settle(readSafetensors(wanted.target));
    assert.equal(tensors, { 'conv.weight': { shape: [2, 3], data: new Float32Array([1, 2, 3, 4, 5, 6]) } });
    assert.equal(beside(wanted.target), ['lock.json', 'net.safetensors']);
  }
  net.files.set('net.bin', { bytes, lfs: true, statedSha256: '1'.repeat(64) });
  const other = options({ files: ['net.bin'] });
  assert.match(await sentence(fetchWeights(other)), 'found other bytes. Fetch it again.');
  assert.equal(beside(other.target), []);
});

test('a file that fails the check is not kept', async () => {
  const wanted = options();
  const check: FetchOptions['check'] = path => async () =>
    existsSync(path) ? E.left(failure(path, 'a tensor conv1', 'none of that name')) : E.right(undefined);
  assert.is(
    await sentence(fetchWeights({ ...wanted, check })),
    'them/net/model.safetensors: expected a tensor conv1, found none of that name.',
  );
  assert.equal(beside(wanted.target), []);
});

test('what is no safetensors file or no torch file is refused', async () => {
  net.files.set('broken.safetensors', lfs(Buffer.from('\xff\xff\xff\xff\x00\x00\x00\x00{}', 'latin1')));
  assert.match(
    await sentence(fetchWeights(options({ files: ['broken.safetensors'] }))),
    'expected a safetensors file, found a header of',
  );
  net.files.set('broken.bin', lfs(Buffer.from('not a zip')));
  assert.match(
    await sentence(fetchWeights(options({ files: ['broken.bin'] }))),
    'expected a .pt file of torch.save',
  );
});

const pull = (target: string, source: string, more: object = {}) =>
  pullFolder({
    source,
    target,
    hubUrl: hub.url,
    select: async names => names,
    check: () => async () => E.right(undefined),
    pause: async () => {},
    ...more,
  });

test('a folder comes whole and verified, after a break from where it was, at the commit first seen', async () => {
  const bytes = Buffer.alloc(200_000, 7);
  const files = new Map<string, StandInFile>([
    ['zoo/a.bin', lfs(bytes)],
    ['zoo/deep/b.txt', { bytes: Buffer.from('small') }],
    ['zoo/empty', { bytes: Buffer.alloc(0) }],
    ['other.txt', { bytes: Buffer.from('x') }],
  ]);
  hub.repos.set('datasets/them/zoos', { commits: { main: 'c'.repeat(40), v1: 'd'.repeat(40) }, files });
  const target = join(folder, 'pulled');
  const source = 'hf://datasets/them/zoos@v1/zoo';
  const onProgress = (done: number) => {
    if (done > 0) hub.patience = 0;
  };
  const broken = pull(target, source, { onProgress });
  hub.breaks = [60_000];
  assert.match(await sentence(broken), 'found no connection');
  assert.is(existsSync(target), false);
  hub.patience = Number.POSITIVE_INFINITY;
  hub.breaks = [];
  hub.repos.get('datasets/them/zoos')!.commits = {
    main: 'c'.repeat(40),
    v1: 'e'.repeat(40),
    old: 'd'.repeat(40),
  };
  assert.match(
    await sentence(pull(target, 'hf://datasets/them/zoos@main/zoo')),
    'found files of hf://datasets/them/zoos@v1/zoo',
  );
  const pulled = await settle(pull(target, source));
  assert.equal([pulled.commit, pulled.files], ['d'.repeat(40), 3]);
  assert.equal(readdirSync(target, { recursive: true }).sort(), ['a.bin', 'deep', 'deep/b.txt', 'empty']);
  assert.equal(readFileSync(join(target, 'a.bin')), bytes);
  assert.match(await sentence(pull(target, source)), 'expected a new folder');
});

test('a folder with other bytes, a path that leaves it, or another address is refused', async () => {
  const files = new Map([['../../x', { bytes: Buffer.from('x') }]]);
  hub.repos.set('them/bad', { commits: { main: 'c'.repeat(40) }, files });
  assert.match(
    await sentence(pull(join(folder, 'bad'), 'hf://them/bad')),
    'expected a path inside the folder',
  );
  hub.repos.set('them/lie', {
    commits: { main: 'c'.repeat(40) },
    files: new Map([['x', { bytes: Buffer.from('x'), lfs: true, statedSha256: '2'.repeat(64) }]]),
  });
  assert.match(await sentence(pull(join(folder, 'lie'), 'hf://them/lie')), 'found other bytes');
  assert.is(existsSync(join(folder, 'lie')), false);
  for (const source of ['hf://x', 'hf://a/b/../c@d', 'hf://datasets/a', 'hf://a b/c', 'them/net']) {
    assert.match(
      await sentence(pull(join(folder, 'none'), source)),
      /source: expected hf:\/\/owner\/name|found the answer/,
    );
  }
});

test('a redirect from a public hub into a private network, or from https to http, is refused', async () => {
  const { fetch } = globalThis;
  process.env.HF_TOKEN = 'hf_secret';
  for (const [location, found] of [
    ['https://169.254.169.254/latest/meta-data', 'a redirect to a public host, found one to 169.254.169.254'],
    ['https://[::1]/x', 'a redirect to a public host, found one to [::1]'],
    ['https://intranet/x', 'a redirect to a public host, found one to intranet'],
    ['http://cdn.example.org/x', 'a redirect to https, found one to http://cdn.example.org'],
    ['file:///etc/passwd', 'a redirect to https, found one to file://'],
  ]) {
    const asked: string[] = [];
    globalThis.fetch = async input => {
      asked.push(String(input));
      return new Response(null, { status: 302, headers: { location } });
    };
    const said = await sentence(fetchWeights(options({ hubUrl: 'https://huggingface.co' }))).finally(() => {
      globalThis.fetch = fetch;
    });
    assert.match(said, found);
    assert.is(asked.length, 1);
  }
});

test.run();
