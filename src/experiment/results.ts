/** results.json of finished runs, read back: for reports over several runs and for sweeps. */
import { join } from 'node:path';
import * as t from 'io-ts';
import { decode, orThrow, settle } from '../config/index.ts';
import { readJson } from '../formats/index.ts';

const Interval = t.strict({ mean: t.number, low: t.number, high: t.number, std: t.number, count: t.number });

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
export type Results = t.TypeOf<typeof ResultsCodec>;

export const RESULTS = 'results.json';

/** @throws UserError naming file and field when the folder holds no results of this version */
export async function readResults(folder: string): Promise<Results> {
  const path = join(folder, RESULTS);
  return orThrow(decode(ResultsCodec, await settle(readJson(path)), path, { unknownKeys: 'allow' }));
}
