/** Weights of one NCA, wherever they lie: the arguments every command takes. */
import { existsSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { basename, extname } from 'node:path';
import type * as TE from 'fp-ts/lib/TaskEither.js';
import { attempt, type Failure, orThrow, refuse, settle } from '../config/index.ts';
import { writeSafetensors } from '../formats/index.ts';
import { type NcaWeights, ncaWeights, weightCount } from '../nca/index.ts';
import { openModelsJson } from './importers/models-json.ts';
import { isTorchFile, readSafetensorsNcas, readTorchNca } from './importers/weight-files.ts';
import { type GivenSpec, overrule } from './spec-option.ts';
import { entryIndex, readZoo, zooWeights } from './zoo.ts';

/** The forms in which weights of one NCA can be given, for --help and for failures. */
export const WEIGHTS_HELP =
  'file.pt[#part], file.json#name, zoo-folder#name or file.safetensors[#index or part]';

/** `path#name` taken apart; a path that has the sign in it and exists is left whole. */
function splitArgument(argument: string): { path: string; name: string | undefined } {
  const sign = argument.lastIndexOf('#');
  return sign < 0 || existsSync(argument)
    ? { path: argument, name: undefined }
    : { path: argument.slice(0, sign), name: argument.slice(sign + 1) };
}

function onlyOne(names: readonly string[], path: string): string {
  if (names.length === 1) return names[0];
  return refuse(path, `the name of one of its ${names.length} NCAs, as in ${path}#${names[0]}`, 'no name');
}

async function load(argument: string, spec: GivenSpec | undefined): Promise<NcaWeights> {
  const { path, name } = splitArgument(argument);
  const as = (nca: NcaWeights) => (spec ? { ...nca, spec: overrule(nca.spec, spec, path) } : nca);
  if ((await stat(path)).isDirectory()) {
    const zoo = await settle(readZoo(path));
    const names = zoo.entries.map(entry => entry.name);
    return as(zooWeights(zoo, entryIndex(names, name ?? onlyOne(names, path), path)));
  }
  if (isTorchFile(path)) return settle(readTorchNca(path, { key: name, spec }));
  switch (extname(path).toLowerCase()) {
    case '.json': {
      const source = await settle(openModelsJson(path));
      const index = entryIndex(source.names, name ?? onlyOne(source.names, path), path);
      return as(orThrow(ncaWeights(source.spec, await source.rows(index, 1), argument)));
    }
    case '.safetensors': {
      // A number chooses a row, anything else the part of the file.
      const key = name !== undefined && !/^\d+$/.test(name) ? name : undefined;
      const all = await settle(readSafetensorsNcas(path, { key, spec }));
      const names = all.map((_, i) => String(i));
      return all[entryIndex(names, key === undefined ? (name ?? onlyOne(names, path)) : '0', path)];
    }
  }
  return refuse(argument, WEIGHTS_HELP, `the file ${basename(path)}`);
}

/**
 * Loads weights from `file.pt[#part]`, `models.json#name`, `zoo-folder#name` or `file.safetensors[#index or part]`. Where the file does not say what
 * they are, names and shapes of its tensors do, and `spec` over all: the spec of the result says what was taken.
 */
export const loadWeights = (
  argument: string,
  { spec }: { spec?: GivenSpec } = {},
): TE.TaskEither<Failure, NcaWeights> => attempt(splitArgument(argument).path, () => load(argument, spec));

/**
 * Writes weights of one NCA ([D]) or of several of one spec ([N, D]) with their spec: a file `loadWeights` takes.
 * @returns a TaskEither: run it with settle()
 */
export function writeWeights(
  path: string,
  weights: NcaWeights | readonly NcaWeights[],
): TE.TaskEither<Failure, void> {
  const all = [weights].flat() as NcaWeights[];
  const [{ spec }] = all;
  const size = weightCount(spec);
  const data = new Float32Array(all.length * size);
  all.forEach(({ flat }, i) => {
    data.set(flat, i * size);
  });
  const shape = Array.isArray(weights) ? [all.length, size] : [size];
  return writeSafetensors(path, { weights: { shape, data } }, { spec: JSON.stringify(spec) });
}
