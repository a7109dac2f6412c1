/**
 * A run folder: everything about one run of an experiment, written so that a reader (or a resumed run) never meets half a file.
 *
 *   config.yaml  environment.json  metrics.jsonl  and what the experiment itself writes
 */
import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  existsSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { availableParallelism, cpus, platform, totalmem } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { stringify } from 'yaml';
import { systemFailure, UserError } from '../config/index.ts';
import { makeFolder } from '../formats/index.ts';

const packageRoot = join(dirname(fileURLToPath(import.meta.url)), '..', '..');

export interface Environment {
  readonly weightloom: string;
  readonly commit: string | null;
  readonly node: string;
  readonly platform: string;
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGiB: number;
  readonly [key: string]: unknown;
}

/** The commit of the source tree, with `+` when it has uncommitted changes; null outside a git checkout. */
function commit(): string | null {
  try {
    const git = (...args: string[]) =>
      execFileSync('git', args, { cwd: packageRoot, stdio: ['ignore', 'pipe', 'ignore'] })
        .toString()
        .trim();
    return (
      git('rev-parse', '--short', 'HEAD') + (git('status', '--porcelain', '--untracked-files=no') ? '+' : '')
    );
  } catch {
    return null;
  }
}

export function environment(more: Record<string, unknown> = {}): Environment {
  const { version } = JSON.parse(readFileSync(join(packageRoot, 'package.json'), 'utf8'));
  return {
    weightloom: version,
    commit: commit(),
    node: process.version,
    platform: `${platform()} ${process.arch}`,
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: availableParallelism(),
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    ...more,
  };
}

export interface RunFolder {
  readonly path: string;
  readonly name: string;
  /** Appends one record to metrics.jsonl. */
  log(record: Record<string, unknown>): void;
  /** Writes a file of the run under a temporary name, then renames it. */
  write(name: string, content: string | Uint8Array): void;
  /** Absolute path of a file of the run. */
  file(name: string): string;
  /** Removes the folder when it holds nothing but what its creation wrote: for a run that was refused before it began. */
  removeIfUnused(): void;
}

/** What the creation of a run folder writes. */
const CREATED = ['config.yaml', 'environment.json'];

/** `2026-03-01T10-20-30` */
const timestamp = () => new Date().toISOString().slice(0, 19).replaceAll(':', '-');

/**
 * Creates a run folder and writes the resolved configuration and the environment into it.
 * @param folder where; by default `runs/<experiment>-<time>`
 * @throws UserError when the folder cannot be written, or already holds a run
 */
export async function createRunFolder(
  experiment: string,
  config: unknown,
  options: { folder?: string; command?: string; environment?: Record<string, unknown> } = {},
): Promise<RunFolder> {
  const path = resolve(options.folder ?? join('runs', `${experiment}-${timestamp()}`));
  if (existsSync(join(path, 'config.yaml'))) {
    throw new UserError(`${path}: expected a new run folder, found one that already holds a run.`);
  }
  try {
    await makeFolder(path);
    const write = (name: string, content: string | Uint8Array) => {
      const target = join(path, name);
      writeFileSync(`${target}.${process.pid}.part`, content);
      renameSync(`${target}.${process.pid}.part`, target);
    };
    write('config.yaml', stringify(config));
    write(
      'environment.json',
      `${JSON.stringify({ ...environment(options.environment), command: options.command }, null, 2)}\n`,
    );
    return {
      path,
      name: basename(path),
      write,
      log: record => appendFileSync(join(path, 'metrics.jsonl'), `${JSON.stringify(record)}\n`),
      file: name => join(path, name),
      removeIfUnused() {
        if (readdirSync(path).every(name => CREATED.includes(name))) rmSync(path, { recursive: true });
      },
    };
  } catch (error) {
    const known = systemFailure(path, error);
    throw known ? new UserError(known) : error;
  }
}
