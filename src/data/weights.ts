/** Weights of one NCA, wherever they lie: the arguments every command takes. */
import { existsSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { basename, extname } from 'node:path';
import type * as TE from 'fp-ts/lib/TaskEither.js';
import { attempt, decode, type Failure, orThrow, refuse, settle } from '../config/index.ts';
import { readSafetensors, shapeText, writeSafetensors } from '../formats/index.ts';
import {
  type NcaSpec,
  NcaSpecCodec,
  type NcaWeights,
  ncaWeights,
  SPECS,
  weightBlocks,
  weightCount,
} from '../nca/index.ts';
import { openModelsJson } from './importers/models-json.ts';
import { readTorchNca } from './importers/torch-nca.ts';
import { entryIndex, readZoo, zooWeights } from './zoo.ts';

/** The forms in which weights of one NCA can be given, for --help and for failures. */
export const WEIGHTS_HELP = 'file.pt, file.json#name, zoo-folder#name or file.safetensors[#index]';

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

/** Weights as `writeWeights` writes them: `weights` [D] or [N, D], or w1, b1, w2(, b2), and the spec as JSON in the metadata. */
async function fromSafetensors(path: string, name: string | undefined): Promise<NcaWeights> {
  const { tensors, metadata } = await settle(readSafetensors(path));
  const spec = metadata.spec ? specOf(metadata.spec, path) : undefined;
  const floats = (tensor: string) =>
    tensors[tensor]?.data instanceof Float32Array
      ? tensors[tensor].data
      : refuse(path, `a float32 tensor ${tensor}`, tensors[tensor] ? 'another type' : 'none', {
          hint: 'NCA weights are one tensor weights [D] or [N, D], or the tensors w1, b1, w2 (and b2).',
        });
  if (tensors.w1) {
    const fits = (one: NcaSpec) =>
      weightBlocks(one).every(
        ({ name, shape }) => shapeText(tensors[name]?.shape ?? []) === shapeText(shape),
      ) && one.outputBias === 'b2' in tensors;
    const found = ['w1', 'b1', 'w2', 'b2'].filter(name => name in tensors);
    const fitting =
      [spec ?? Object.values(SPECS)].flat().find(fits) ??
      refuse(
        path,
        spec ? `the shapes of its spec ${spec.name}` : `the shapes of ${Object.keys(SPECS).join(', ')}`,
        found.map(name => `${name} ${shapeText(tensors[name].shape)}`).join(', '),
      );
    const flat = new Float32Array(weightCount(fitting));
    for (const { name, offset } of weightBlocks(fitting)) flat.set(floats(name), offset);
    return orThrow(ncaWeights(fitting, flat, path));
  }
  const all = floats('weights');
  const chosen =
    spec ??
    Object.values<NcaSpec>(SPECS).find(one => weightCount(one) === tensors.weights.shape.at(-1)) ??
    refuse(path, 'a spec in the metadata', 'none');
  const size = weightCount(chosen);
  if (tensors.weights.shape.at(-1) !== size) {
    refuse(path, `[N, ${size}] for the spec ${chosen.name}`, shapeText(tensors.weights.shape), {
      field: 'weights',
    });
  }
  const names = Array.from({ length: all.length / size }, (_, i) => String(i));
  const index = entryIndex(names, name ?? onlyOne(names, path), path);
  return orThrow(ncaWeights(chosen, all.subarray(index * size, (index + 1) * size), path));
}

function specOf(text: string, path: string): NcaSpec {
  if (text in SPECS) return SPECS[text as keyof typeof SPECS];
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return refuse(path, 'a spec as JSON', JSON.stringify(text), { field: 'metadata spec' });
  }
  return orThrow(decode(NcaSpecCodec, json, `${path} (metadata spec)`));
}

async function load(argument: string): Promise<NcaWeights> {
  const { path, name } = splitArgument(argument);
  if ((await stat(path)).isDirectory()) {
    const zoo = await settle(readZoo(path));
    const names = zoo.entries.map(entry => entry.name);
    return zooWeights(zoo, entryIndex(names, name ?? onlyOne(names, path), path));
  }
  switch (extname(path).toLowerCase()) {
    case '.json': {
      const source = await settle(openModelsJson(path));
      const index = entryIndex(source.names, name ?? onlyOne(source.names, path), path);
      return orThrow(ncaWeights(source.spec, await source.rows(index, 1), argument));
    }
    case '.safetensors':
      return fromSafetensors(path, name);
    case '.pt':
    case '.pth':
      if (name !== undefined) refuse(argument, 'no name after a .pt file (it holds one NCA)', `#${name}`);
      return settle(readTorchNca(path));
  }
  return refuse(argument, WEIGHTS_HELP, `the file ${basename(path)}`);
}

/**
 * Loads weights from `file.pt`, `models.json#name`, `zoo-folder#name` or `file.safetensors[#index]`.
 * @returns a TaskEither: run it with settle()
 */
export const loadWeights = (argument: string): TE.TaskEither<Failure, NcaWeights> =>
  attempt(splitArgument(argument).path, () => load(argument));

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
