/**
 * Folders of the Hugging Face hub: `hf://owner/name`, of datasets `hf://datasets/owner/name`, with `@revision` behind the name and a path in the
 * repository behind that. Files come into TARGET.part, each verified whole against the hash the hub states; when all are there the folder
 * gets its name. The same command goes on where a former one stopped, at the commit that that one saw.
 */
import { existsSync } from 'node:fs';
import { rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import type * as TE from 'fp-ts/lib/TaskEither.js';
import * as t from 'io-ts';
import { attempt, decode, type Failure, orThrow, refuse, settle, UserError } from '../config/index.ts';
import { makeFolder, putInPlace, writeAtomically } from './atomic.ts';
import { inside, readJson } from './files.ts';
import { Hub, type HubFile, type HubOptions, hubFailure } from './hub-client.ts';
import { isVerified, transferWhole } from './hub-transfer.ts';
import { lock } from './lock.ts';

/** Which folder of the hub is brought where, and what of it. */
export interface PullOptions extends HubOptions {
  /** `hf://[datasets/]owner/name[@revision][/path]` */
  readonly source: string;
  /** The new folder. */
  readonly target: string;
  /**
   * Which of the files in the folder are wanted. `fetch` brings one of them and gives its path here: where a manifest says what belongs to it.
   */
  readonly select: (
    names: readonly string[],
    fetch: (name: string) => Promise<string>,
  ) => Promise<readonly string[]>;
  /** Says whether the whole folder is what was looked for, before it gets its name. */
  readonly check: (folder: string) => TE.TaskEither<Failure, unknown>;
  readonly onProgress?: (bytes: number, total: number) => void;
}

/** What came. */
export interface PulledFolder {
  readonly commit: string;
  readonly files: number;
  readonly transferred: number;
}

const SOURCE =
  /^hf:\/\/((?:datasets\/)?[A-Za-z0-9][\w.-]*\/[A-Za-z0-9][\w.-]*)(?:@([\w.-]+(?:\/[\w.-]+)*?))?((?:\/[^/@]+)*)\/?$/;

/** Repository, revision and folder of a source. */
function parseSource(source: string): { repo: string; revision: string; folder: string } {
  const [, repo, revision = 'main', folder = ''] =
    SOURCE.exec(source) ??
    refuse(
      'source',
      'hf://owner/name or hf://datasets/owner/name, then @revision and /path if wanted',
      `"${source}"`,
    );
  return { repo, revision, folder: folder.slice(1) };
}

const OriginCodec = t.strict({ source: t.string, commit: t.string });
/** Beside the files while they come: where they are from. */
const ORIGIN = '.weightloom-origin.json';
const AT_ONCE = 4;

/** The commit that an earlier transfer into the same folder saw, or the one that the revision means now. */
async function commitOf(hub: Hub, options: PullOptions, work: string): Promise<string> {
  const path = join(work, ORIGIN);
  if (existsSync(path)) {
    const origin = orThrow(decode(OriginCodec, await settle(readJson(path)), path));
    if (origin.source === options.source) return origin.commit;
    refuse(work, `what comes from ${options.source}`, `files of ${origin.source}`, {
      hint: 'Remove the folder, or choose another --out.',
    });
  }
  const { repo, revision } = parseSource(options.source);
  const commit = await hub.commitOf(repo, revision);
  await settle(writeAtomically(path, JSON.stringify({ source: options.source, commit })));
  return commit;
}

/** Does some at a time; after a failure no more are begun, and it is told when those under way have ended. */
async function inTurn(names: string[], work: (name: string) => Promise<void>): Promise<void> {
  const helper = async () => {
    for (let name = names.shift(); name !== undefined; name = names.shift()) await work(name);
  };
  const helpers = Array.from({ length: AT_ONCE }, () =>
    helper().catch(error => {
      names.length = 0;
      throw error;
    }),
  );
  for (const result of await Promise.allSettled(helpers))
    if (result.status === 'rejected') throw result.reason;
}

async function pull(options: PullOptions): Promise<PulledFolder> {
  const { source, signal } = options;
  const { repo, folder } = parseSource(source);
  const target = resolve(options.target);
  if (existsSync(target)) {
    refuse(options.target, 'a new folder', 'one that is there', {
      hint: 'Choose another name or remove it first.',
    });
  }
  const work = `${target}.part`;
  const hub = new Hub(options);
  await makeFolder(work);
  const commit = await commitOf(hub, options, work);
  const prefix = folder === '' ? '' : `${folder}/`;
  const there = new Map<string, HubFile>();
  for (const file of await hub.list(repo, commit, folder)) {
    if (!file.path.startsWith(prefix)) refuse(source, `files below ${prefix}`, file.path);
    there.set(file.path.slice(prefix.length), file);
  }
  let [transferred, done, total] = [0, 0, 0];
  const fetch = async (name: string): Promise<string> => {
    const file = there.get(name) ?? refuse(source, `a file ${name}`, 'none of that name');
    const path = inside(work, name, source, 'path');
    const before = done;
    if (!(existsSync(path) && (await stat(path)).size === file.size && (await isVerified(path, file)))) {
      await makeFolder(dirname(path));
      const part = `${path}.part`;
      transferred += await transferWhole(hub, { repo, commit, file }, part, {
        signal,
        onProgress: bytes => options.onProgress?.(Math.min(total, before + bytes), total),
      });
      await rename(part, path);
    }
    done += file.size;
    options.onProgress?.(Math.min(total, done), total);
    return path;
  };
  const names = await options.select([...there.keys()], fetch);
  total = names.reduce((sum, name) => sum + (there.get(name)?.size ?? 0), 0);
  done = 0;
  await inTurn([...names], async name => {
    if (signal?.aborted) throw new UserError('Stopped; the same command goes on from here.');
    await fetch(name);
  });
  await settle(options.check(work));
  await rm(join(work, ORIGIN));
  await putInPlace(work, target);
  return { commit, files: names.length, transferred };
}

/** Brings a folder of the hub here, whole and verified, or says in one sentence why not. */
export const pullFolder = (options: PullOptions): TE.TaskEither<Failure, PulledFolder> =>
  attempt(options.target, async () => {
    const target = resolve(options.target);
    const unlock = await lock(
      join(dirname(target), `.${basename(target)}.pull.lock`),
      `the folder ${options.target}`,
    );
    try {
      return await pull(options).catch(error => hubFailure(options.source, error));
    } finally {
      await unlock();
    }
  });
