/**
 * A run folder: everything about one run of an experiment, written so that a reader (or a resumed run) never meets half a file.
 *
 *   config.yaml  environment.json  inputs.json  metrics.jsonl  and what the experiment itself writes
 *   parts/       finished parts of a run that is not finished: see `once`
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { appendFileSync, existsSync, readdirSync, readFileSync, renameSync, rmSync, statSync } from 'node:fs';
import { availableParallelism, cpus, platform, totalmem } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { stringify } from 'yaml';
import { about, packageRoot, parseYaml, refuse, systemError, UserError } from '../config/index.ts';
import { lock, makeFolder, writeAtomicallyNow } from '../formats/index.ts';
import { INPUTS, pinInput } from './inputs.ts';
import { readPart, writePart } from './parts.ts';

/** What a run ran on: enough to run it again, or to see why it came out otherwise. */
export interface Environment {
  /** Version of the package. */
  readonly weightloom: string;
  /** Of the source tree, with `+` when it has uncommitted changes; null outside a git checkout. */
  readonly commit: string | null;
  /** Version of Node. */
  readonly node: string;
  /** System and processor, such as `linux x64`. */
  readonly platform: string;
  readonly cpu: string;
  /** How many this process may use. */
  readonly cores: number;
  readonly memoryGiB: number;
  readonly [key: string]: unknown;
}

let known: string | null | undefined;
/** The commit of the source tree, with `+` when it has uncommitted changes; null outside a git checkout. Git is asked once. */
function commit(): string | null {
  if (known !== undefined) return known;
  try {
    const git = (...args: string[]) =>
      execFileSync('git', args, { cwd: packageRoot, stdio: ['ignore', 'pipe', 'ignore'] })
        .toString()
        .trim();
    known =
      git('rev-parse', '--short', 'HEAD') + (git('status', '--porcelain', '--untracked-files=no') ? '+' : '');
  } catch {
    known = null;
  }
  return known;
}

/** The environment of this process, with `more` keys beside the usual ones. */
export function environment(more: Record<string, unknown> = {}): Environment {
  return {
    weightloom: about.version,
    commit: commit(),
    node: process.version,
    platform: `${platform()} ${process.arch}`,
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: availableParallelism(),
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    ...more,
  };
}

/** The folder of one run. Made by `createRunFolder`; its methods throw when the folder cannot be written. */
export interface RunFolder {
  /** Absolute. */
  readonly path: string;
  /** The folder's own name. */
  readonly name: string;
  /** Appends one record to metrics.jsonl; a resumed run begins it anew, and repeats what its finished parts logged. */
  log(record: Record<string, unknown>): void;
  /**
   * Does a part of the run, or takes its result (with its records of metrics) from where an earlier try of the run left it.
   * @param key all that the result depends on besides the configuration: JSON and typed arrays
   * @param work its result is plain data: JSON, typed arrays, undefined
   */
  once<T>(key: unknown, work: () => Promise<T>): Promise<T>;
  /**
   * Notes the SHA-256 of what the run is made from besides its configuration.
   * @param what in words that tell it from others: `the zoo zoos/mine`
   * @throws UserError when an earlier try of the run had another one
   */
  pin(what: string, sha256: string): void;
  /** How many parts earlier tries of the run have finished. */
  readonly finishedParts: number;
  /** Removes what only an unfinished run has a use for. */
  finish(): void;
  /** Writes a file of the run under a temporary name, then renames it. */
  write(name: string, content: string | Uint8Array): void;
  /** Absolute path of a file of the run. */
  file(name: string): string;
  /** Removes the folder when it holds nothing but what its creation wrote: for a run that was refused before it began. */
  removeIfUnused(): void;
  /** Gives the folder free for other processes, which are refused until then. */
  leave(): Promise<void>;
}

/** The lock of a folder that a process works in. */
const LOCK = 'run.lock';
/** What stands in the folder of a run that has done nothing yet. */
const CREATED = ['config.yaml', 'environment.json', INPUTS, LOCK];

/** @throws UserError when the folder of a run was removed while the run was at work: nothing is put into a new one of that name */
export function checkThere(folder: string): void {
  if (!existsSync(folder)) refuse(folder, 'the folder of this run', 'nothing there: it was removed');
}

/**
 * Takes a run folder for this process alone: two would overwrite each other's files. The function returned gives it back.
 * @throws UserError while another process that lives works in it
 */
export const lockRun = (folder: string): Promise<() => Promise<void>> =>
  lock(join(folder, LOCK), `the run ${folder}`);

/** The folder of what is finished of an unfinished run. */
export const PARTS = 'parts';

/** How many parts an unfinished run has done. */
export const finishedParts = (run: string): number =>
  existsSync(join(run, PARTS))
    ? readdirSync(join(run, PARTS)).filter(name => name.endsWith('.safetensors')).length
    : 0;

/** `2026-03-01T10-20-30` */
const timestamp = () => new Date().toISOString().slice(0, 19).replaceAll(':', '-');

interface Part {
  readonly value: unknown;
  readonly logged: readonly Record<string, unknown>[];
}

/** A part that was finished; a damaged one is set aside, and its work done again. */
async function undamaged(path: string): Promise<Part | undefined> {
  try {
    return (await readPart(path)) as Part;
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    renameSync(path, `${path}.damaged`);
    console.error(`${error.message} It is set aside as ${basename(path)}.damaged, and its work done again.`);
    return undefined;
  }
}

const sha256 = (content: string | Uint8Array) => createHash('sha256').update(content).digest('hex');

/** A hash of JSON and typed arrays: the same for equal ones, in any process. */
export const digest = (key: unknown): string =>
  sha256(
    JSON.stringify(key, (_, value) =>
      ArrayBuffer.isView(value)
        ? sha256(new Uint8Array(value.buffer, value.byteOffset, value.byteLength))
        : value,
    ),
  );

/** Where a run folder is, and what is kept in it about the run. */
export interface RunFolderOptions {
  /** Where; by default `runs/<experiment>-<time>`. */
  readonly folder?: string;
  /** The command line that reproduces the run. */
  readonly command?: string;
  /** More for environment.json. */
  readonly environment?: Readonly<Record<string, unknown>>;
  /** Goes on with the unfinished run that the folder holds: its configuration and environment stay as they are. */
  readonly resume?: boolean;
}

/**
 * What a run that is begun in a folder would be refused for, before there is one.
 * @throws UserError when the folder holds a run already, or there is a file in its way
 */
export function checkRunFolder(folder: string): void {
  const path = resolve(folder);
  for (let at = path; ; at = dirname(at)) {
    if (!existsSync(at)) continue;
    if (!statSync(at).isDirectory()) refuse(folder, 'a folder that can be made', `${at}, which is a file`);
    break;
  }
  checkFolder(path, undefined, false);
}

/** The folder that a run begins in. @throws UserError when it holds a run already, or none that could be gone on with */
function checkFolder(path: string, config: unknown, resume: boolean): void {
  const file = join(path, 'config.yaml');
  if (!resume) {
    if (existsSync(file)) refuse(path, 'a new run folder', 'one that already holds a run');
    return;
  }
  if (!existsSync(file)) refuse(path, 'a run folder, with config.yaml in it', 'none');
  // Both through YAML, so that what it does not keep makes no difference.
  if (!isDeepStrictEqual(parseYaml(readFileSync(file, 'utf8'), file), parseYaml(stringify(config), file))) {
    refuse(file, 'the configuration the run is resumed with', 'another one');
  }
}

/**
 * Creates a run folder and writes the resolved configuration and the environment into it; it is locked until the run leaves it.
 * @throws UserError when the folder cannot be written, already holds a run, or another process works in it
 */
export async function createRunFolder(
  experiment: string,
  config: unknown,
  { folder, command, environment: more, resume = false }: RunFolderOptions = {},
): Promise<RunFolder> {
  const path = resolve(folder ?? join('runs', `${experiment}-${timestamp()}`));
  const file = (name: string) => join(path, name);
  checkFolder(path, config, resume);
  let leave = async () => {};
  try {
    await makeFolder(path);
    leave = await lockRun(path);
    // Another process may have begun a run here since.
    checkFolder(path, config, resume);
    const write = (name: string, content: string | Uint8Array) => {
      checkThere(path);
      writeAtomicallyNow(file(name), content);
    };
    if (!resume) {
      write('environment.json', `${JSON.stringify({ ...environment(more), command }, null, 2)}\n`);
      // A run is begun when this is there.
      write('config.yaml', stringify(config));
    }
    let flag = resume ? 'w' : 'a';
    /** Records of the part that is worked on. */
    let logged: Record<string, unknown>[] | null = null;
    const log = (record: Record<string, unknown>) => {
      checkThere(path);
      try {
        appendFileSync(file('metrics.jsonl'), `${JSON.stringify(record)}\n`, { flag });
      } catch (error) {
        throw systemError(file('metrics.jsonl'), error);
      }
      flag = 'a';
      logged?.push(record);
    };
    return {
      path,
      name: basename(path),
      write,
      log,
      file,
      pin: (what, sha256) => pinInput(path, what, sha256),
      finishedParts: finishedParts(path),
      async once<T>(key: unknown, work: () => Promise<T>): Promise<T> {
        const part = file(join(PARTS, `${digest(key)}.safetensors`));
        const found = existsSync(part) ? await undamaged(part) : undefined;
        if (found) {
          for (const record of found.logged) log(record);
          return found.value as T;
        }
        if (logged) throw new Error('a part of a run within another part');
        const records: Record<string, unknown>[] = [];
        logged = records;
        try {
          const value = await work();
          checkThere(path);
          await writePart(part, { value, logged: records } satisfies Part);
          return value;
        } finally {
          logged = null;
        }
      },
      finish: () => rmSync(file(PARTS), { recursive: true, force: true }),
      removeIfUnused() {
        const used = resume || !existsSync(path) || readdirSync(path).some(name => !CREATED.includes(name));
        if (!used) rmSync(path, { recursive: true });
      },
      leave,
    };
  } catch (error) {
    await leave();
    throw systemError(path, error);
  }
}
