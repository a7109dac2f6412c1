/** What the studio was given, found out: zoos, runs, files of weights. What cannot be read is told in a sentence, and the rest is served. */
import { existsSync, readdirSync, statSync } from 'node:fs';
import { basename, join, relative, resolve } from 'node:path';
import { describe, failure, UserError } from '../../config/index.ts';
import { KEPT_METHODS, KEPT_TRAJECTORY, MODEL, zooFolder } from '../../experiment/index.ts';
import { fileInside } from '../../formats/index.ts';
import { metricLabel } from '../../report/index.ts';
import { isComparison, RESULTS, readResults, readResultsHead } from '../../runs/index.ts';
import type { RunInfo, SourceInfo } from '../api.ts';
import { type NcaSet, weightsSet, zooSet } from './sets.ts';

/** A source with what is served of it. */
export interface Source {
  readonly info: SourceInfo;
  readonly sets: readonly NcaSet[];
  /** Results of a comparison, where there are any. */
  readonly run: RunInfo | null;
  /** Files of it that are served as they are, by name. */
  readonly files: Readonly<Record<string, string>>;
}

const ZOO = 'zoo.json';
const isFolder = (path: string) => existsSync(path) && statSync(path).isDirectory();

/** Without arguments: the embedded zoo, and every run in `runs`, the newest first. */
export function defaultPaths(): string[] {
  return [...(isFolder('runs') ? runsIn('runs') : []), 'embedded'];
}

/** Folders in a folder of runs that look like runs, newest first. Links are not followed. */
const runsIn = (folder: string): string[] =>
  readdirSync(folder, { withFileTypes: true })
    .filter(entry => entry.isDirectory() && !entry.name.startsWith('.'))
    .map(entry => join(folder, entry.name))
    .filter(path => isRun(path) || weightFiles(path).length > 0)
    .sort((a, b) => statSync(b).mtimeMs - statSync(a).mtimeMs);

const isRun = (path: string) => ['config.yaml', RESULTS].some(name => existsSync(join(path, name)));
const weightFiles = (path: string): string[] =>
  readdirSync(path, { withFileTypes: true })
    .filter(
      entry => entry.isFile() && entry.name.endsWith('.safetensors') && entry.name !== 'model.safetensors',
    )
    .map(entry => join(path, entry.name));

/** What a path stands for: itself, or in a folder of runs each of them. */
function expand(path: string): string[] {
  const folder = existsSync(path) ? path : shortest(zooFolder(path));
  if (!isFolder(folder) || existsSync(join(folder, ZOO)) || isRun(folder)) return [folder];
  const files = weightFiles(folder);
  if (files.length > 0) return files;
  const runs = runsIn(folder);
  return runs.length > 0 ? runs : [folder];
}

/** A path as one would type it here. */
function shortest(path: string): string {
  const short = relative('', path);
  return short.startsWith('..') ? path : short;
}

/**
 * Opens everything given. Never rejects for what is wrong with one of them.
 * @param before what was opened of it before: what was whole then stays, the rest may have come right
 */
export async function openSources(
  paths: readonly string[],
  before: readonly Source[] = [],
): Promise<Source[]> {
  const sources: Source[] = [];
  const taken = new Set(before.map(({ info }) => info.id));
  for (const path of paths.flatMap(expand)) {
    const known = before.find(({ info }) => info.path === path);
    if (known) {
      const { id, title, problem } = known.info;
      sources.push(problem === null ? known : await openSource(id, title, path));
      continue;
    }
    const title = titleOf(path);
    let id = title.replaceAll(/[^\w.-]+/g, '-') || 'source';
    for (let n = 2; taken.has(id); n++) id = `${id.replace(/~\d+$/, '')}~${n}`;
    taken.add(id);
    sources.push(await openSource(id, title, path));
  }
  return sources;
}

/** The folder's or file's own name; a weights.safetensors is called after its folder. */
function titleOf(path: string): string {
  const name = basename(resolve(path)).replace(/\.(safetensors|pt|pth|json)$/, '');
  return name === 'weights' ? basename(resolve(path, '..')) : name;
}

async function openSource(id: string, title: string, path: string): Promise<Source> {
  const about = { id, title, path };
  try {
    if (isFolder(path)) {
      if (existsSync(join(path, ZOO))) return await zooSource(about);
      if (isRun(path)) return await runSource(about);
      throw new UserError(
        failure(
          path,
          `a zoo (with ${ZOO}), a run (with config.yaml) or a file of weights`,
          'a folder without',
        ),
      );
    }
    const set = await weightsSet(id, title, path);
    const kind = set.info.kept?.kind ?? 'ncas';
    return {
      info: {
        ...about,
        kind: 'weights',
        problem: null,
        sets: { ncas: id, [kind]: id },
        compared: false,
        report: false,
      },
      sets: [set],
      run: null,
      files: {},
    };
  } catch (error) {
    return { ...broken(about, sentenceOf(error)) };
  }
}

interface About {
  readonly id: string;
  readonly title: string;
  readonly path: string;
}

const broken = (about: About, problem: string): Source => ({
  info: {
    ...about,
    kind: isFolder(about.path) ? 'run' : 'weights',
    problem,
    sets: {},
    compared: false,
    report: false,
  },
  sets: [],
  run: null,
  files: {},
});

async function zooSource(about: About): Promise<Source> {
  const set = await zooSet(about.id, about.title, about.path);
  return {
    info: { ...about, kind: 'zoo', problem: null, sets: { ncas: about.id }, compared: false, report: false },
    sets: [set],
    run: null,
    files: {},
  };
}

/** A run: its results, and what it kept. Each part may be missing without the others. */
async function runSource(about: About): Promise<Source> {
  const { id, title, path } = about;
  const problems: string[] = [];
  const attempt = async <T>(work: () => Promise<T>): Promise<T | null> =>
    work().catch(error => {
      problems.push(sentenceOf(error));
      return null;
    });
  const inside = (name: string) => fileInside(path, name, path, name);
  const run = await attempt(async () => {
    if (existsSync(join(path, RESULTS))) await inside(RESULTS);
    else if (existsSync(join(path, MODEL))) {
      throw new UserError(
        `${path}: a trained model. \`weightloom sample --run ${path} --image PICTURE --trajectory --out samples\` asks it for NCAs, and \`weightloom studio samples\` shows them.`,
      );
    }
    const { raw, experiment } = await readResultsHead(path);
    if (isComparison(raw)) return runInfo(path);
    throw new UserError(
      `${path}: results of ${experiment}, which compares no methods; its report shows them.`,
    );
  });
  const sets: Partial<Record<'methods' | 'trajectory', NcaSet>> = {};
  for (const [kind, name] of [
    ['methods', KEPT_METHODS],
    ['trajectory', KEPT_TRAJECTORY],
  ] as const) {
    if (!existsSync(join(path, name))) continue;
    const set = await attempt(async () => {
      await inside(name);
      return weightsSet(`${id}.${kind}`, title, join(path, name));
    });
    if (set?.info.kept) sets[kind] = set;
  }
  if (run && !sets.methods && problems.length === 0) {
    problems.push(`${path}: an older version ran it and kept no weights, so its NCAs cannot be grown here.`);
  }
  const files: Record<string, string> = {};
  for (const name of ['report.html', 'gallery.png']) {
    if (existsSync(join(path, name))) {
      const file = await attempt(() => inside(name));
      if (file) files[name] = file;
    }
  }
  return {
    info: {
      ...about,
      kind: 'run',
      problem: problems.join(' ') || null,
      sets: Object.fromEntries(Object.entries(sets).map(([kind, set]) => [kind, set.info.id])),
      compared: run !== null,
      report: files['report.html'] !== undefined,
    },
    sets: Object.values(sets),
    run,
    files,
  };
}

async function runInfo(path: string): Promise<RunInfo> {
  const { experiment, command, textures, metrics, summary, perTexture } = await readResults(path);
  return {
    experiment,
    command,
    textures,
    metrics,
    summary,
    perTexture,
    labels: Object.fromEntries(metrics.map(({ name }) => [name, metricLabel(name)])),
  };
}

/** What was wrong, as a sentence; a bug is thrown on. */
export function sentenceOf(error: unknown): string {
  if (!(error instanceof UserError)) throw error;
  return error.failure ? describe(error.failure) : error.message;
}
