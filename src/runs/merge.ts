/** Several runs as one: on the same textures their methods stand in one table, and runs that differ in the seed alone become their mean. */
import { existsSync } from 'node:fs';
import { basename, dirname, join, relative, resolve } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { refuse, type UserError } from '../config/index.ts';
import { type MethodResult, overSeeds, type PairMetric } from '../evaluation/index.ts';
import { isDamage, methodsOf, metricsOf, RESULTS, type Results, readResults } from './results.ts';

/** A finished comparison, read back from its run folder. */
export interface FinishedRun {
  /** Its folder's name, with as much of the path as tells it from the others. */
  readonly label: string;
  readonly folder: string;
  readonly results: Results;
  /** As they were measured, without weights and pictures. */
  readonly methods: readonly MethodResult[];
}

/** The ends of paths, as long as it takes to tell all from each other; the hash of a sweep's cell is left out where it is not needed. */
function labels(folders: readonly string[]): string[] {
  const plain = folders.map(folder => basename(resolve(folder)).replace(/(?<=.)-[0-9a-f]{8}$/, ''));
  if (new Set(plain).size === folders.length) return plain;
  const ends = (depth: number) =>
    folders.map(folder => {
      let start = resolve(folder);
      for (let i = 0; i < depth; i++) start = dirname(start);
      return relative(start, resolve(folder)) || resolve(folder);
    });
  for (let depth = 1; depth < 8; depth++) {
    if (new Set(ends(depth)).size === folders.length) return ends(depth);
  }
  return folders.map(folder => resolve(folder));
}

/**
 * Reads finished comparisons back, in the order given.
 * @param onDamage is told of each run whose results cannot be read, which is left out as long as there are others; without it they are refused
 * @throws UserError when a folder holds no comparison of this version, or is given twice
 */
export async function readRuns(
  folders: readonly string[],
  onDamage?: (error: UserError) => void,
): Promise<FinishedRun[]> {
  const paths = folders.map(folder => resolve(folder));
  const twice = folders.find((_, i) => paths.indexOf(paths[i]) < i);
  if (twice !== undefined) refuse(twice, 'every run once', 'the same folder twice');
  const names = labels(folders);
  const runs: FinishedRun[] = [];
  const damaged: UserError[] = [];
  for (const [i, folder] of folders.entries()) {
    if (existsSync(join(folder, 'sweep.csv')) && !existsSync(join(folder, RESULTS))) {
      const hint = `Its cells are runs: ${join(folder, '*', '')}; its own report is ${join(folder, 'report.html')}.`;
      refuse(folder, 'a run', 'a sweep', { hint });
    }
    try {
      const results = await readResults(folder);
      runs.push({ label: names[i], folder, results, methods: methodsOf(results, join(folder, RESULTS)) });
    } catch (error) {
      if (!onDamage || !isDamage(error, folder)) throw error;
      damaged.push(error);
    }
  }
  if (runs.length === 0) throw damaged[0];
  if (onDamage) damaged.forEach(onDamage);
  return runs;
}

/** Runs on the same held-out textures, and all their methods in one table. */
export interface RunGroup {
  readonly runs: readonly FinishedRun[];
  /** Names of the held-out textures, in the order of all values. */
  readonly textures: readonly string[];
  /** Measured by all of the runs; the first one leads. */
  readonly metrics: readonly PairMetric[];
  /**
   * The methods of all runs, paired by texture. Those of one seed after the other are one, the mean over seeds; a baseline that came out the
   * same in several runs stands once; else the run is part of the name.
   */
  readonly methods: readonly MethodResult[];
  /** Runs that differ in the seed alone, by the label that their mean goes by. */
  readonly merged: Readonly<Record<string, readonly FinishedRun[]>>;
}

/** What two runs have to agree on for their textures to be the same pictures. */
const setOf = ({ results: { textures, config } }: FinishedRun) =>
  JSON.stringify([textures, config.zoo ?? null, config.picture ?? null, config.pictureSize ?? null]);

const groupBy = <T>(items: readonly T[], same: (a: T, b: T) => boolean): T[][] =>
  items.reduce<T[][]>((groups, item) => {
    const group = groups.find(([first]) => same(first, item));
    if (group) group.push(item);
    else groups.push([item]);
    return groups;
  }, []);

const withoutSeed = ({ results: { experiment, config } }: FinishedRun) => {
  const { seed: _, ...rest } = config;
  return { experiment, ...rest };
};

const seedOf = ({ results }: FinishedRun) => results.config.seed;

interface Unit {
  readonly label: string;
  readonly runs: readonly FinishedRun[];
  readonly methods: readonly MethodResult[];
}

/** Runs that differ in the seed alone as one; a run with a seed that is there already stays alone. */
function units(runs: readonly FinishedRun[]): Unit[] {
  return groupBy(runs, (a, b) => isDeepStrictEqual(withoutSeed(a), withoutSeed(b))).flatMap(alike => {
    const seeds = alike.map(seedOf);
    const sameMethods = alike.every(
      ({ methods }) => methods.map(m => m.name).join() === alike[0].methods.map(m => m.name).join(),
    );
    if (alike.length === 1 || new Set(seeds).size < seeds.length || !sameMethods) {
      return alike.map(run => ({ label: run.label, runs: [run], methods: run.methods }));
    }
    const [first] = alike;
    return [
      {
        label: `${first.results.experiment}, seeds ${seeds.join(', ')}`,
        runs: alike,
        methods: first.methods.map(({ name }, i) =>
          overSeeds(
            alike.map(({ methods }) => methods[i]),
            name,
          ),
        ),
      },
    ];
  });
}

const sameValues = (a: MethodResult, b: MethodResult, metrics: readonly PairMetric[]) =>
  metrics.every(({ name }) => isDeepStrictEqual(a.values[name], b.values[name]));

function mergeUnits(all: readonly Unit[], metrics: readonly PairMetric[]): MethodResult[] {
  const distinct = all.map(({ methods }, u) =>
    methods.filter(
      method =>
        method.kind === 'denoiser' ||
        !all
          .slice(0, u)
          .some(other => other.methods.some(m => m.name === method.name && sameValues(m, method, metrics))),
    ),
  );
  const names = distinct.flat().map(({ name }) => name);
  const several = (name: string) => names.indexOf(name) < names.lastIndexOf(name);
  const methods = distinct.flatMap((own, u) =>
    own.map(method => ({
      ...method,
      name: several(method.name) ? `${method.name} (${all[u].label})` : method.name,
      values: Object.fromEntries(metrics.map(({ name }) => [name, method.values[name]])),
    })),
  );
  const kinds = ['denoiser', 'bound', 'baseline'];
  return methods.sort((a, b) => kinds.indexOf(a.kind) - kinds.indexOf(b.kind));
}

/** Runs on the same held-out textures side by side; those on others are another group. */
export function groupRuns(runs: readonly FinishedRun[]): RunGroup[] {
  return groupBy(runs, (a, b) => setOf(a) === setOf(b)).map(group => {
    const [first] = group;
    const metrics = metricsOf(first.results).filter(({ name }) =>
      group.every(({ results }) => results.metrics.some(metric => metric.name === name)),
    );
    if (metrics.length === 0) {
      const measured = ({ results }: FinishedRun) => results.metrics.map(({ name }) => name).join(', ');
      const other = group.find(run => measured(run) !== measured(first)) ?? first;
      return refuse(
        other.folder,
        `a metric in common with ${first.label} (${measured(first)})`,
        measured(other),
      );
    }
    const all = units(group);
    return {
      runs: group,
      textures: first.results.textures,
      metrics,
      methods: mergeUnits(all, metrics),
      merged: Object.fromEntries(
        all.filter(({ runs }) => runs.length > 1).map(({ label, runs }) => [label, runs]),
      ),
    };
  });
}
