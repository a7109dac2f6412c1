/**
 * Weights from the Hugging Face hub, kept as safetensors of only the tensors that are needed. A file is transferred whole and verified against
 * the hash that the hub states for it (large-file storage's SHA-256, never an ETag, which is the CDN's after a redirect). Of a safetensors
 * file of which less than half is needed, only that is transferred, by ranges: then nothing can be verified. A transfer that was interrupted
 * goes on where it stopped. `lock.json` beside the file notes where it came from and, when it was verified, pins its SHA-256.
 */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { open, rm } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
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
import { makeFolder, putInPlace, writeAll, writeAtomically } from './atomic.ts';
import { readInto, readJson } from './files.ts';
import { Hub, type HubOptions, hubFailure } from './hub-client.ts';
import { type Range, type Remote, sha256Of, transferRanges, transferWhole } from './hub-transfer.ts';
import { safetensorsStart, writeSafetensors } from './safetensors.ts';
import { MOST_HEADER, parseSafetensorsHeader } from './safetensors-header.ts';
import { readTorchState } from './torch-state.ts';

const LockCodec = t.record(
  t.string,
  t.strict({
    repo: t.string,
    file: t.string,
    revision: t.string,
    commit: t.string,
    /** Of the file kept; null where it could not be verified. */
    sha256: t.union([t.string, t.null]),
  }),
);
type Lock = t.TypeOf<typeof LockCodec>;

/** What is fetched from the hub, where it goes, and what of it is kept. */
export interface FetchOptions extends HubOptions {
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
  /** Transfers and verifies the whole file, however little of it is needed. */
  readonly whole?: boolean;
  readonly onProgress?: (bytes: number, total: number) => void;
}

/** A file that was fetched and verified. */
export interface FetchedWeights {
  readonly path: string;
  /** Hash of the commit it was taken from. */
  readonly commit: string;
  /** Of the file that was written. */
  readonly sha256: string;
  /** Whether it is verified: by the hub's hash of the whole file, or by a pin that was. */
  readonly verified: boolean;
  /** Bytes that came over the network. */
  readonly transferred: number;
}

const lockPath = (target: string) => join(dirname(resolve(target)), 'lock.json');

async function readLock(path: string): Promise<Lock> {
  return existsSync(path) ? orThrow(decode(LockCodec, await settle(readJson(path)), path)) : {};
}

/** Verifies a file against the lock file beside it; the lock's entry, or undefined where it has none. */
export const verifyFetched = (path: string): TE.TaskEither<Failure, Lock[string] | undefined> =>
  attempt(path, async () => {
    const lock = await readLock(lockPath(path));
    const entry = Object.hasOwn(lock, basename(path)) ? lock[basename(path)] : undefined;
    if (entry?.sha256 && (await sha256Of(path)) !== entry.sha256) {
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

async function openRemote(
  hub: Hub,
  { repo, files, revision = 'main' }: FetchOptions,
  locked?: Lock[string],
): Promise<Remote> {
  const commit = locked?.commit ?? (await hub.commitOf(repo, revision));
  const wanted = locked ? [locked.file] : files;
  const there = await hub.filesOf(repo, commit, wanted);
  for (const path of wanted) {
    const file = there.find(one => one.path === path);
    if (file) return { repo, commit, file };
  }
  return refuse(repo, `one of the files ${files.join(', ')}`, 'none of them');
}

/** What of a safetensors file is wanted: bytes that go in front, then ranges of it. */
interface Plan {
  readonly start: Uint8Array;
  readonly ranges: readonly Range[];
}

/** The header of a safetensors file with only the wanted tensors, and where their data lies in it. `read` gives bytes of the file. */
async function planSafetensors(
  { commit, file: { size } }: Remote,
  where: string,
  wanted: (name: string) => boolean,
  read: (begin: number, end: number) => Promise<Uint8Array>,
): Promise<Plan> {
  if (size < 8) refuse(where, 'a safetensors file', `only ${size} bytes`);
  const length = Number(Buffer.from(await read(0, 8)).readBigUInt64LE());
  if (length > Math.min(size - 8, MOST_HEADER))
    refuse(where, 'a safetensors file', `a header of ${length} bytes`);
  const header = await read(8, 8 + length);
  const { entries, dataStart } = parseSafetensorsHeader(header, where, size - 8 - length);
  const kept = [...entries].filter(([name]) => wanted(name)).sort(([, a], [, b]) => a.begin - b.begin);
  const tensors = kept.map(([name, { type, stored, shape }]) => ({
    name,
    type: type ?? refuse(where, 'a type that is read here', stored, { field: name }),
    shape,
  }));
  return {
    start: safetensorsStart(tensors, { commit }),
    ranges: kept.map(([, { begin, end }]) => ({ begin: dataStart + begin, end: dataStart + end })),
  };
}

const COPIED = 4 << 20;

/** What the plan wants of a file that is here. */
const keepPart = (whole: string, { start, ranges }: Plan, path: string) =>
  writeAtomically(path, async out => {
    const file = await open(whole, 'r');
    try {
      await writeAll(out, start);
      for (const { begin, end } of ranges) {
        for (let at = begin; at < end; at += COPIED) {
          const bytes = new Uint8Array(Math.min(COPIED, end - at));
          await readInto(file, bytes, at, whole);
          await writeAll(out, bytes);
        }
      }
    } finally {
      await file.close();
    }
  });

const partPath = (target: string, { commit, file }: Remote, start: Uint8Array = new Uint8Array(0)) => {
  const identity = createHash('sha256').update(`${commit}\n${file.path}\n${file.sha256 ?? file.gitSha1}\n`);
  return `${target}.${identity.update(start).digest('hex').slice(0, 12)}.part`;
};

/** A piece of a remote file in memory. */
async function pieceOf(
  hub: Hub,
  { repo, commit, file }: Remote,
  begin: number,
  end: number,
): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  if (end > begin) for await (const chunk of hub.read(repo, commit, file, begin, end)) chunks.push(chunk);
  return Buffer.concat(chunks);
}

interface Fetched {
  /** The wanted tensors as safetensors, under a temporary name. */
  readonly path: string;
  readonly came: number;
  readonly verified: boolean;
}

/** Fetches the remote file. */
async function fetchRemote(hub: Hub, remote: Remote, options: FetchOptions, where: string): Promise<Fetched> {
  const wanted = options.tensors ?? (() => true);
  const { target } = options;
  const isSafetensors = remote.file.path.endsWith('.safetensors');
  if (isSafetensors && !options.whole) {
    const plan = await planSafetensors(remote, where, wanted, (begin, end) =>
      pieceOf(hub, remote, begin, end),
    );
    const needed = plan.ranges.reduce((sum, { begin, end }) => sum + end - begin, 0);
    if (needed < remote.file.size / 2) {
      const path = partPath(target, remote, plan.start);
      return { path, came: await transferRanges(hub, remote, plan, path, options), verified: false };
    }
  }
  const whole = partPath(target, remote);
  const came = await transferWhole(hub, remote, whole, options);
  const path = `${whole}.safetensors`;
  if (isSafetensors) {
    const file = await open(whole, 'r');
    const local = async (begin: number, end: number) => {
      const bytes = new Uint8Array(end - begin);
      await readInto(file, bytes, begin, whole);
      return bytes;
    };
    const plan = await planSafetensors(remote, where, wanted, local).finally(() => file.close());
    await settle(keepPart(whole, plan, path));
  } else {
    const tensors = await settle(readTorchState(whole, { tensors: wanted }));
    await settle(writeSafetensors(path, tensors, { commit: remote.commit }));
  }
  await rm(whole);
  return { path, came, verified: true };
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
  const pinned = locked?.sha256 ?? undefined;
  if (!update && existsSync(target) && !(options.whole && locked && pinned === undefined)) {
    const entry = await settle(verifyFetched(target));
    if (entry) {
      const sha256 = entry.sha256 ?? (await sha256Of(target));
      return { path: target, commit: entry.commit, sha256, verified: entry.sha256 !== null, transferred: 0 };
    }
    throw new UserError(
      failure(target, 'a file that lock.json knows', 'one of unknown origin', {
        hint: 'Remove it, or fetch with --update.',
      }),
    );
  }
  await makeFolder(dirname(resolve(target)));
  const where = `${repo}/${files.length === 1 ? files[0] : '...'}`;
  const hub = new Hub(options);
  const remote = await openRemote(hub, options, locked).catch(error => hubFailure(where, error));
  const fetched = await fetchRemote(hub, remote, options, where).catch(error => hubFailure(where, error));
  const { path, came } = fetched;
  const sha256 = await sha256Of(path);
  if (pinned !== undefined && pinned !== sha256) {
    await rm(path);
    refuse(
      where,
      `the tensors of SHA-256 ${pinned.slice(0, 12)} that ${lockFile} notes`,
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
  const verified = fetched.verified || pinned !== undefined;
  const { commit, file } = remote;
  const entry = { repo, file: file.path, revision, commit, sha256: verified ? sha256 : null };
  // The lock first: a file without an entry would never be verified.
  const lock = { ...(await readLock(lockFile)), [name]: entry };
  await settle(writeAtomically(lockFile, `${JSON.stringify(lock, null, 2)}\n`));
  await putInPlace(path, target);
  return { path: target, commit, sha256, verified, transferred: came };
}

/** Fetches weights, or verifies those that were fetched before. @returns a TaskEither: run it with settle() */
export const fetchWeights = (options: FetchOptions): TE.TaskEither<Failure, FetchedWeights> =>
  attempt(options.target, () => fetchOnce(options));
