/**
 * Weights from the Hugging Face hub, kept as safetensors of only the tensors that are needed. Of a safetensors file only those are
 * transferred (HTTP ranges); a file of torch.save is transferred whole and read without running anything in it. A transfer that was
 * interrupted goes on where it stopped. The commit and the SHA-256 of the first download are noted in `lock.json` beside the file;
 * ever after the file is verified against it.
 */
import { createHash } from 'node:crypto';
import { createReadStream, existsSync } from 'node:fs';
import { open, rename, rm } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import type { HubApiError } from '@huggingface/hub';
import * as E from 'fp-ts/lib/Either.js';
import type * as TE from 'fp-ts/lib/TaskEither.js';
import * as t from 'io-ts';
import {
  attempt,
  decode,
  type Failure,
  failure,
  orThrow,
  refuse,
  settle,
  UserError,
} from '../config/index.ts';
import { makeFolder, readJson, writeAtomically } from './files.ts';
import { parseSafetensorsHeader, safetensorsStart, writeSafetensors } from './safetensors.ts';
import { readTorchState } from './torch-state.ts';

const LockCodec = t.record(
  t.string,
  t.strict({ repo: t.string, file: t.string, revision: t.string, commit: t.string, sha256: t.string }),
);
type Lock = t.TypeOf<typeof LockCodec>;

/** What is fetched from the hub, where it goes, and what of it is kept. */
export interface FetchOptions {
  /** Repository, such as `owner/name`. */
  readonly repo: string;
  /** File in it, or several names in the order they are tried. */
  readonly files: readonly string[];
  /** Branch, tag or commit; the commit it means at the first download is kept. */
  readonly revision?: string;
  /** The safetensors file to write. */
  readonly target: string;
  /** Which tensors are kept; all by default. */
  readonly tensors?: (name: string) => boolean;
  /** Says whether the file is what was looked for; one that fails is not kept. */
  readonly check?: (path: string) => TE.TaskEither<Failure, unknown>;
  /** Forgets what was fetched before and takes what the revision means now. */
  readonly update?: boolean;
  /** Another hub than https://huggingface.co. */
  readonly hubUrl?: string;
  /** Ends the transfer with a UserError; what has come stays for the next try. */
  readonly signal?: AbortSignal;
  /** Told of the bytes in the file so far and of all that it will have. */
  readonly onProgress?: (bytes: number, total: number) => void;
}

/** A file that was fetched and verified. */
export interface FetchedWeights {
  readonly path: string;
  /** Hash of the commit it was taken from. */
  readonly commit: string;
  /** Of the file that was written. */
  readonly sha256: string;
  /** Bytes that came over the network. */
  readonly transferred: number;
}

const PIECE = 4 << 20;

const lockPath = (target: string) => join(dirname(resolve(target)), 'lock.json');

async function readLock(path: string): Promise<Lock> {
  return existsSync(path) ? orThrow(decode(LockCodec, await settle(readJson(path)), path)) : {};
}

async function sha256Of(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) hash.update(chunk as Buffer);
  return hash.digest('hex');
}

/**
 * Verifies a file against the lock file beside it; the lock's entry, or undefined where it has none.
 * @returns a TaskEither: run it with settle()
 */
export const verifyFetched = (path: string): TE.TaskEither<Failure, Lock[string] | undefined> =>
  attempt(path, async () => {
    const entry = (await readLock(lockPath(path)))[basename(path)];
    if (entry && (await sha256Of(path)) !== entry.sha256) {
      refuse(
        path,
        `the file fetched from ${entry.repo} at ${entry.commit.slice(0, 12)}`,
        'another one (SHA-256)',
        {
          hint: 'Remove it and fetch it again.',
        },
      );
    }
    return entry;
  });

/** What failed between here and the hub, as a failure; other errors are thrown on. */
function hubFailure(where: string, error: unknown): never {
  if (error instanceof UserError || !(error instanceof Error)) throw error;
  const status = (error as HubApiError).statusCode;
  if (status === 401 || status === 403 || status === 404) {
    return refuse(where, 'a public repository, revision and file', `the answer ${status} of the hub`, {
      hint: 'The repository is a setting: name another one.',
    });
  }
  if (status !== undefined)
    return refuse(where, 'the file', `the answer ${status} of the hub`, { hint: 'Try again later.' });
  const cause = (error as { cause?: { code?: string } }).cause?.code;
  if (error.name === 'TypeError' || cause !== undefined) {
    return refuse(where, 'an answer of the Hugging Face hub', `no connection (${cause ?? error.message})`, {
      hint: 'Connect to the network; what has come stays, and the transfer goes on from there.',
    });
  }
  throw error;
}

/** A remote file: its size and how to read a part of it. */
interface Remote {
  readonly file: string;
  readonly commit: string;
  readonly size: number;
  /** Tells versions of the file apart. */
  readonly etag: string;
  read(begin: number, end: number): Promise<Uint8Array>;
}

async function openRemote(
  { repo, files, revision, hubUrl, signal }: FetchOptions,
  locked?: Lock[string],
): Promise<Remote> {
  const hub = await import('@huggingface/hub');
  const request: typeof fetch = (input, init) => fetch(input, { ...init, signal });
  const common = { hubUrl, fetch: request };
  const commit =
    locked?.commit ??
    (await hub.modelInfo({ name: repo, revision: revision ?? 'main', additionalFields: ['sha'], ...common }))
      .sha;
  for (const path of locked ? [locked.file] : files) {
    const place = { repo, path, revision: commit, ...common };
    const downloadInfo = await hub.fileDownloadInfo(place);
    if (!downloadInfo) continue;
    // Plain HTTP ranges, whatever the hub stores the file in.
    const blob = await hub.downloadFile({ ...place, downloadInfo, xet: false });
    if (!blob) continue;
    const { size, etag } = downloadInfo;
    return {
      file: path,
      commit,
      size,
      etag,
      async read(begin, end) {
        const part = new Uint8Array(await blob.slice(begin, end).arrayBuffer());
        if (part.length !== end - begin) {
          refuse(`${repo}/${path}`, `${end - begin} bytes`, `${part.length}`, { hint: 'Try again later.' });
        }
        return part;
      },
    };
  }
  return refuse(repo, `one of the files ${files.join(', ')}`, 'none of them');
}

/** What of the remote file is wanted: bytes that go in front, then ranges of it. */
interface Plan {
  readonly start: Uint8Array;
  readonly ranges: readonly { readonly begin: number; readonly end: number }[];
}

/** The header of a safetensors file with only the wanted tensors, and where their data lies remotely. */
async function planSafetensors(
  remote: Remote,
  where: string,
  wanted: (name: string) => boolean,
): Promise<Plan> {
  const length = Number(Buffer.from(await remote.read(0, 8)).readBigUInt64LE());
  if (length > Math.min(remote.size - 8, 100_000_000))
    refuse(where, 'a safetensors file', `a header of ${length} bytes`);
  const text = Buffer.from(await remote.read(8, 8 + length)).toString('utf8');
  const { entries, dataStart } = parseSafetensorsHeader(text, where, remote.size - 8 - length);
  const kept = [...entries].filter(([name]) => wanted(name)).sort(([, a], [, b]) => a.begin - b.begin);
  return {
    start: safetensorsStart(
      kept.map(([name, { type, shape }]) => ({ name, type, shape })),
      { commit: remote.commit },
    ),
    ranges: kept.map(([, { begin, end }]) => ({ begin: dataStart + begin, end: dataStart + end })),
  };
}

/** Brings what the plan wants into a file, going on after what a former transfer left there. Returns the bytes that came. */
async function transfer(
  remote: Remote,
  { start, ranges }: Plan,
  path: string,
  { signal, onProgress }: FetchOptions,
): Promise<number> {
  const total = start.length + ranges.reduce((sum, { begin, end }) => sum + end - begin, 0);
  const file = await open(path, existsSync(path) ? 'r+' : 'w+');
  let came = 0;
  try {
    let done = Math.min((await file.stat()).size, total);
    if (done < start.length) {
      await file.write(start, 0, start.length, 0);
      done = start.length;
    }
    let position = start.length;
    for (const { begin, end } of ranges) {
      const from = begin + Math.max(0, done - position);
      position += end - begin;
      for (let at = from; at < end; at += PIECE) {
        if (signal?.aborted) throw new UserError('Stopped; fetch again to go on from here.');
        const part = await remote.read(at, Math.min(at + PIECE, end));
        await file.write(part, 0, part.length, done);
        done += part.length;
        came += part.length;
        onProgress?.(done, total);
      }
    }
    await file.truncate(total);
    await file.sync();
    return came;
  } finally {
    await file.close();
  }
}

const partPath = (target: string, { commit, file, etag }: Remote, start: Uint8Array) =>
  `${target}.${createHash('sha256').update(`${commit}\n${file}\n${etag}\n`).update(start).digest('hex').slice(0, 12)}.part`;

/** Fetches the remote file and leaves the safetensors in a temporary file. */
async function fetchRemote(
  remote: Remote,
  options: FetchOptions,
  where: string,
): Promise<{ path: string; came: number }> {
  const wanted = options.tensors ?? (() => true);
  if (remote.file.endsWith('.safetensors')) {
    const plan = await planSafetensors(remote, where, wanted);
    const path = partPath(options.target, remote, plan.start);
    return { path, came: await transfer(remote, plan, path, options) };
  }
  const whole = { start: new Uint8Array(0), ranges: [{ begin: 0, end: remote.size }] };
  const path = partPath(options.target, remote, whole.start);
  const came = await transfer(remote, whole, path, options);
  // For files in large-file storage the hub's tag is their SHA-256.
  const tag = remote.etag.replace(/^(W\/)?"|"$/g, '');
  if (/^[0-9a-f]{64}$/.test(tag) && (await sha256Of(path)) !== tag) {
    await rm(path);
    refuse(where, 'the file whose SHA-256 the hub tells', 'other bytes', { hint: 'Fetch it again.' });
  }
  const tensors = await settle(readTorchState(path, { tensors: wanted }));
  const converted = `${path}.safetensors`;
  await settle(writeSafetensors(converted, tensors, { commit: remote.commit }));
  await rm(path);
  return { path: converted, came };
}

async function fetchOnce(options: FetchOptions): Promise<FetchedWeights> {
  const { repo, files, revision = 'main', target, update = false } = options;
  const name = basename(target);
  const lockFile = lockPath(target);
  const locked = update ? undefined : (await readLock(lockFile))[name];
  if (locked && (locked.repo !== repo || locked.revision !== revision || !files.includes(locked.file))) {
    refuse(
      lockFile,
      `${name} from ${locked.repo} (${locked.file}, ${locked.revision})`,
      `${repo} (${files.join(', ')}, ${revision})`,
      {
        hint: 'Fetch with --update to replace it.',
      },
    );
  }
  if (!update && existsSync(target)) {
    const entry = await settle(verifyFetched(target));
    if (entry) return { path: target, commit: entry.commit, sha256: entry.sha256, transferred: 0 };
    throw new UserError(
      failure(target, 'a file that lock.json knows', 'one of unknown origin', {
        hint: 'Remove it, or fetch with --update.',
      }),
    );
  }
  await makeFolder(dirname(resolve(target)));
  const where = `${repo}/${files.length === 1 ? files[0] : '...'}`;
  const remote = await openRemote(options, locked).catch(error => hubFailure(where, error));
  const { path, came } = await fetchRemote(remote, options, where).catch(error => hubFailure(where, error));
  const sha256 = await sha256Of(path);
  if (locked && locked.sha256 !== sha256) {
    await rm(path);
    refuse(
      where,
      `the tensors of SHA-256 ${locked.sha256.slice(0, 12)} that ${lockFile} notes`,
      sha256.slice(0, 12),
      {
        hint: 'The repository has changed under its commit, or the lock file was edited.',
      },
    );
  }
  if (options.check) {
    const checked = await options.check(path)();
    if (E.isLeft(checked)) {
      await rm(path);
      throw new UserError({ ...checked.left, where });
    }
  }
  const { commit, file } = remote;
  // The lock first: a file without an entry would never be verified.
  const lock = { ...(await readLock(lockFile)), [name]: { repo, file, revision, commit, sha256 } };
  await settle(writeAtomically(lockFile, `${JSON.stringify(lock, null, 2)}\n`));
  await rename(path, target);
  return { path: target, commit, sha256, transferred: came };
}

/** Fetches weights, or verifies those that were fetched before. @returns a TaskEither: run it with settle() */
export const fetchWeights = (options: FetchOptions): TE.TaskEither<Failure, FetchedWeights> =>
  attempt(options.target, () => fetchOnce(options));
