/** results.json of finished runs, read back: for reports over several runs and for sweeps. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import * as t from 'io-ts';
import { decode, orThrow, refuse, settle, UserError } from '../config/index.ts';
import type { MethodResult, PairMetric, RolloutHealth } from '../evaluation/index.ts';
import { readJson } from '../formats/index.ts';

/** An end of an interval: the mean of a single texture has an open one, and infinity is no JSON. */
const end = (open: number) =>
  new t.Type<number, number | null>(
    'a number, or null for an open end',
    (value): value is number => typeof value === 'number',
    (value, context) => (value === null ? t.success(open) : t.number.validate(value, context)),
    value => (Number.isFinite(value) ? value : null),
  );
const Interval = t.strict({
  mean: t.number,
  low: end(-Infinity),
  high: end(Infinity),
  std: t.number,
  count: t.number,
});

/** Codec of a comparison's results.json, version 1; further keys are left alone. */
export const ResultsCodec = t.type({
  version: t.literal(1),
  experiment: t.string,
  command: t.string,
  config: t.UnknownRecord,
  textures: t.array(t.string),
  metrics: t.array(t.strict({ name: t.string, better: t.keyof({ lower: null, higher: null }) })),
  summary: t.array(
    t.strict({
      method: t.string,
      kind: t.keyof({ denoiser: null, baseline: null, bound: null }),
      metrics: t.record(t.string, Interval),
      diverged: t.number,
    }),
  ),
  perTexture: t.array(t.UnknownRecord),
});
/** The numbers of a comparison, as results.json has them. */
export type Results = t.TypeOf<typeof ResultsCodec>;

/** The file of results in a run folder: a run that has it is finished. */
export const RESULTS = 'results.json';

/** Whether results that were read are a comparison of methods: an experiment may write others. */
export const isComparison = (raw: unknown): boolean =>
  typeof raw === 'object' && raw !== null && 'summary' in raw;

/** What any results.json begins with: told apart first, for a file of another version differs in much else. */
const Head = t.type({ version: t.literal(1), experiment: t.string });

const VERSION = 'version';

/** Whether reading results failed because the file is damaged. One of another version is whole, and one that is not there no damage. */
export const isDamage = (error: unknown, folder: string): error is UserError =>
  error instanceof UserError && error.failure?.field !== VERSION && existsSync(join(folder, RESULTS));

/** What is wrong with the results of a run that has some; null where nothing is. */
export async function damageOf(folder: string): Promise<UserError | null> {
  try {
    if (existsSync(join(folder, RESULTS))) await readResultsHead(folder);
    return null;
  } catch (error) {
    if (isDamage(error, folder)) return error;
    if (error instanceof UserError) return null;
    throw error;
  }
}

/** Whether a run is finished: it has results that can be read. What is wrong with damaged ones is said. */
export async function isFinished(folder: string): Promise<boolean> {
  const damage = await damageOf(folder);
  if (damage) console.error(damage.message);
  return damage === null && existsSync(join(folder, RESULTS));
}

/** The experiment that a run's results are of. @throws UserError when there are none, or none of this version */
export async function readResultsHead(folder: string): Promise<t.TypeOf<typeof Head> & { raw: unknown }> {
  const path = join(folder, RESULTS);
  if (!existsSync(path)) {
    const found = existsSync(folder) ? `none${stateOf(folder)}` : 'nothing there';
    return refuse(folder, `a finished run, with ${RESULTS} in it`, found);
  }
  const raw = await settle(readJson(path));
  const version = (raw as { version?: unknown } | null)?.version;
  if (version === undefined) refuse(path, 'the results of a run', 'something else');
  if (version !== 1) {
    refuse(path, 'results of version 1', `version ${JSON.stringify(version)}`, {
      field: VERSION,
      hint: 'Another version of weightloom wrote it: run it again with this one.',
    });
  }
  return { ...orThrow(decode(Head, raw, path, { unknownKeys: 'allow' })), raw };
}

const stateOf = (folder: string) => (existsSync(join(folder, 'config.yaml')) ? ': it did not finish' : '');

/**
 * A comparison's results.json, read and decoded.
 * @throws UserError naming file and field when the folder holds no comparison of this version
 */
export async function readResults(folder: string): Promise<Results> {
  const { raw, experiment } = await readResultsHead(folder);
  if (!isComparison(raw)) refuse(folder, 'results of a comparison of methods', `others, of ${experiment}`);
  return orThrow(decode(ResultsCodec, raw, join(folder, RESULTS), { unknownKeys: 'allow' }));
}

const numbers = t.array(t.number);

/**
 * The methods of a comparison as they were measured, without their pictures and weights: what tables, plots and paired differences
 * are made from.
 * @param where names the run in a failure
 */
export function methodsOf(
  { summary, perTexture, metrics, textures }: Results,
  where: string,
): MethodResult[] {
  return summary.map(({ method, kind }) => {
    const row = perTexture.find(values => values.method === method);
    if (!row) return refuse(where, `values of ${method}`, 'none', { field: 'perTexture' });
    const values = metrics.map(({ name }) => {
      const found = orThrow(decode(numbers, row[name], `${where}: perTexture: ${method}: ${name}`));
      if (found.length !== textures.length) {
        refuse(where, `${textures.length} values`, `${found.length}`, {
          field: `perTexture: ${method}: ${name}`,
        });
      }
      return [name, Float64Array.from(found)] as const;
    });
    return {
      name: method,
      kind,
      values: Object.fromEntries(values),
      health: row.health as RolloutHealth[],
      weights: new Float32Array(),
      pictures: new Float32Array(),
    };
  });
}

/** Metrics that were measured elsewhere: they have a name and a direction, and nothing left to compare. */
export const metricsOf = ({ metrics }: Pick<Results, 'metrics'>): PairMetric[] =>
  metrics.map(metric => ({
    ...metric,
    compare: () => Promise.reject(new Error(`${metric.name} was read from a file`)),
  }));
