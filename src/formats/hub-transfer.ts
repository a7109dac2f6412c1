/** Bytes of the hub into files: what has come stays, a broken transfer goes on where it stopped, and a whole file is verified whole. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { type FileHandle, open, rm, stat } from 'node:fs/promises';
import { refuse, UserError } from '../config/index.ts';
import type { Hub, HubFile, RepoName } from './hub-client.ts';

/** A file of a repository at a commit. */
export interface Remote {
  readonly repo: RepoName;
  readonly commit: string;
  readonly file: HubFile;
}

export interface TransferOptions {
  readonly signal?: AbortSignal;
  readonly onProgress?: (bytes: number, total: number) => void;
}

export interface Range {
  readonly begin: number;
  readonly end: number;
}

async function hashOf(path: string, hash: ReturnType<typeof createHash>): Promise<string> {
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) hash.update(chunk as Buffer);
  return hash.digest('hex');
}

export const sha256Of = (path: string): Promise<string> => hashOf(path, createHash('sha256'));

/** Whether a file is, from its first byte to its last, the one whose hash the hub states; undefined where it states none. */
export async function isVerified(
  path: string,
  { size, sha256, gitSha1 }: HubFile,
): Promise<boolean | undefined> {
  if ((await stat(path)).size !== size) return false;
  if (sha256 !== undefined) return (await sha256Of(path)) === sha256;
  if (gitSha1 === undefined) return undefined;
  return (await hashOf(path, createHash('sha1').update(`blob ${size}\0`))) === gitSha1;
}

/** Gaps up to this many bytes are transferred too, and dropped: a request costs more. */
const GAP = 1 << 18;

/** Neighbouring ranges (in the order of the file) as one, each with those it holds. */
export function joined(ranges: readonly Range[]): { begin: number; end: number; parts: Range[] }[] {
  const runs: { begin: number; end: number; parts: Range[] }[] = [];
  for (const range of ranges) {
    if (range.begin === range.end) continue;
    const last = runs.at(-1);
    if (last && range.begin - last.end <= GAP) {
      last.end = range.end;
      last.parts.push(range);
    } else runs.push({ ...range, parts: [range] });
  }
  return runs;
}

/** A connection that breaks is taken up again as long as it brings something. */
const PATIENCE = 3;

/** Brings one run of bytes in; `sink` is told where each chunk lies in the remote file. */
async function bring(
  hub: Hub,
  { repo, commit, file }: Remote,
  { begin, end }: Range,
  signal: AbortSignal | undefined,
  sink: (chunk: Uint8Array, at: number) => Promise<void>,
): Promise<void> {
  let at = begin;
  let sinking = false;
  for (let failures = 0; at < end; ) {
    const before = at;
    try {
      for await (const chunk of hub.read(repo, commit, file, at, end)) {
        sinking = true;
        await sink(chunk, at);
        sinking = false;
        at += chunk.length;
        if (signal?.aborted) throw new UserError('Stopped; the same command goes on from here.');
      }
    } catch (error) {
      const final =
        sinking || error instanceof UserError || signal?.aborted || 'statusCode' in (error as object);
      failures = at > before ? 1 : failures + 1;
      if (final || failures === PATIENCE) throw error;
    }
  }
}

/**
 * Writes `start` and then the ranges of a remote file, one behind the other, to `path`, going on after what is there from a former transfer.
 * Returns the bytes that came over the network.
 */
export async function transferRanges(
  hub: Hub,
  remote: Remote,
  { start, ranges }: { start: Uint8Array; ranges: readonly Range[] },
  path: string,
  { signal, onProgress }: TransferOptions,
): Promise<number> {
  const total = start.length + ranges.reduce((sum, { begin, end }) => sum + end - begin, 0);
  const file = await openPart(path);
  let came = 0;
  try {
    let done = Math.min((await file.stat()).size, total);
    if (done < start.length) {
      await file.write(start, 0, start.length, 0);
      done = start.length;
    }
    // What of the ranges is still missing.
    let skip = done - start.length;
    const missing = ranges.flatMap(({ begin, end }) => {
      const there = Math.min(skip, end - begin);
      skip -= there;
      return there === end - begin ? [] : [{ begin: begin + there, end }];
    });
    for (const { parts, ...run } of joined(missing)) {
      let next = 0;
      await bring(hub, remote, run, signal, async (chunk, at) => {
        came += chunk.length;
        // The chunk may end in a gap, or hold several small parts.
        for (; next < parts.length && parts[next].begin < at + chunk.length; next++) {
          const { begin, end } = parts[next];
          const part = chunk.subarray(Math.max(0, begin - at), Math.min(chunk.length, end - at));
          await file.write(part, 0, part.length, done);
          done += part.length;
          if (end > at + chunk.length) break;
        }
        onProgress?.(done, total);
      });
    }
    await file.truncate(total);
    await file.sync();
    return came;
  } finally {
    await file.close();
  }
}

const openPart = (path: string): Promise<FileHandle> =>
  open(path, 'r+').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return open(path, 'w+');
    throw error;
  });

/** Brings a whole file to `path` and verifies all of it; one with other bytes is removed and refused. Returns the bytes that came. */
export async function transferWhole(
  hub: Hub,
  remote: Remote,
  path: string,
  options: TransferOptions,
): Promise<number> {
  const { file, repo } = remote;
  const plan = { start: new Uint8Array(0), ranges: [{ begin: 0, end: file.size }] };
  const came = await transferRanges(hub, remote, plan, path, options);
  const verified = await isVerified(path, file);
  if (verified) return came;
  if (verified === false) await rm(path);
  return refuse(
    `${repo}/${file.path}`,
    'the file whose hash the hub states',
    verified === false ? 'other bytes' : 'no hash',
    { hint: verified === false ? 'Fetch it again.' : undefined },
  );
}
