/** Files of weights: PyTorch's and safetensors, of one NCA each or, as `writeWeights` writes them, of several. */
import { existsSync } from 'node:fs';
import { basename, dirname, extname, join } from 'node:path';
import type * as TE from 'fp-ts/lib/TaskEither.js';
import { attempt, decode, type Failure, orThrow, refuse, settle } from '../../config/index.ts';
import {
  parseJson,
  readSafetensors,
  readSafetensorsHeader,
  readTorchState,
  shapeText,
  type TensorInfo,
} from '../../formats/index.ts';
import {
  type NcaSpec,
  NcaSpecCodec,
  type NcaWeights,
  ncaWeights,
  SPECS,
  weightCount,
} from '../../nca/index.ts';
import { assembleNca, type FoundNca, findNca } from '../nca-tensors.ts';
import { type GivenSpec, overrule } from '../spec-option.ts';
import { shortNames } from '../split.ts';
import type { ZooSource } from './source.ts';

const TORCH = ['.pt', '.pth', '.ckpt', '.bin'];

export const isTorchFile = (path: string) => TORCH.includes(extname(path).toLowerCase());
export const isWeightFile = (path: string) =>
  isTorchFile(path) || extname(path).toLowerCase() === '.safetensors';

/**
 * Reads the NCA of a file of torch.save: a state dictionary, a checkpoint that holds one, or a whole module. `key` names the part of the file
 * that holds it, where there are several.
 */
export const readTorchNca = (
  path: string,
  { key, spec }: { key?: string; spec?: GivenSpec } = {},
): TE.TaskEither<Failure, NcaWeights> =>
  attempt(path, async () => {
    let found: FoundNca | undefined;
    const choose = (tensors: ReadonlyMap<string, TensorInfo>) => {
      found = findNca(tensors, spec, path);
      return found.names;
    };
    const tensors = await settle(readTorchState(path, { key, choose }));
    return assembleNca(found!, tensors, path);
  });

function specIn(text: string, path: string): NcaSpec {
  if (Object.hasOwn(SPECS, text)) return SPECS[text as keyof typeof SPECS];
  const where = `${path} (metadata spec)`;
  return orThrow(decode(NcaSpecCodec, parseJson(text, where), where));
}

/**
 * Reads the NCAs of a safetensors file: a float32 tensor `weights` [D] or [N, D], as `writeWeights` writes it, its spec as JSON in the metadata;
 * or tensors of one NCA by any names. `key` is what the names of the wanted ones begin with.
 */
export const readSafetensorsNcas = (
  path: string,
  { key, spec: given }: { key?: string; spec?: GivenSpec } = {},
): TE.TaskEither<Failure, NcaWeights[]> =>
  attempt(path, async () => {
    const { entries, metadata } = await settle(readSafetensorsHeader(path));
    const stored = metadata.spec === undefined ? undefined : specIn(metadata.spec, path);
    const whole = entries.get('weights');
    if (whole === undefined || key !== undefined) {
      const prefix = key === undefined ? '' : `${key}.`;
      const part = new Map(
        [...entries]
          .filter(([name]) => name.startsWith(prefix))
          .map(([name, entry]) => [name.slice(prefix.length), entry]),
      );
      if (key !== undefined && part.size === 0)
        refuse(path, `tensors whose names begin with ${prefix}`, 'none');
      const found = findNca(part, given ?? stored, path);
      const { tensors } = await settle(
        readSafetensors(path, { names: found.names.map(name => prefix + name) }),
      );
      const named = Object.fromEntries(found.names.map(name => [name, tensors[prefix + name]]));
      return [assembleNca(found, named, path)];
    }
    const last = whole.shape.at(-1);
    const spec =
      stored ??
      Object.values<NcaSpec>(SPECS).find(one => weightCount(one) === last) ??
      refuse(path, 'a spec in the metadata', 'none');
    const size = weightCount(spec);
    if (whole.type !== 'f32' || whole.shape.length > 2 || last !== size) {
      refuse(
        path,
        `[N, ${size}] float32 for the spec ${spec.name}`,
        `${shapeText(whole.shape)} ${whole.stored}`,
        {
          field: 'weights',
        },
      );
    }
    const { tensors } = await settle(readSafetensors(path, { names: ['weights'] }));
    const all = tensors.weights.data as Float32Array;
    return Array.from({ length: all.length / size }, (_, i) => {
      const nca = orThrow(ncaWeights(spec, all.subarray(i * size, (i + 1) * size), path));
      return given ? { ...nca, spec: overrule(spec, given, path) } : nca;
    });
  });

/** runs/bubbles/weights.safetensors is called bubbles, dots.pt dots. */
const stem = (path: string) => {
  const name = basename(path).replace(/\.[^.]+$/, '');
  return name === 'weights' ? basename(dirname(path)) || name : name;
};

/** Several such files as one set, each NCA named for its file. Pictures are those that `nca train` leaves beside its weights. */
export const openWeightFiles = (
  paths: readonly string[],
  spec?: GivenSpec,
): TE.TaskEither<Failure, ZooSource> =>
  attempt(paths[0] ?? 'weight files', async () => {
    const all: { path: string; name: string; nca: NcaWeights }[] = [];
    for (const path of paths) {
      const ncas = isTorchFile(path)
        ? [await settle(readTorchNca(path, { spec }))]
        : await settle(readSafetensorsNcas(path, { spec }));
      ncas.forEach((nca, i) => {
        all.push({ path, name: ncas.length === 1 ? stem(path) : `${stem(path)}-${i}`, nca });
      });
    }
    if (all.length === 0) refuse(paths[0], 'at least one NCA', 'none');
    const [first] = all;
    for (const { path, nca } of all) {
      if (JSON.stringify(nca.spec) !== JSON.stringify(first.nca.spec)) {
        refuse(path, `NCAs of one spec (${first.path} has ${first.nca.spec.name})`, nca.spec.name);
      }
    }
    const size = weightCount(first.nca.spec);
    const beside = (path: string, name: string) => {
      const file = join(dirname(path), name);
      return basename(path) === 'weights.safetensors' && existsSync(file) ? file : null;
    };
    return {
      spec: first.nca.spec,
      names: shortNames(all.map(({ name }) => name)),
      async rows(start, count) {
        const out = new Float32Array(count * size);
        for (let i = 0; i < count; i++) out.set(all[start + i].nca.flat, i * size);
        return out;
      },
      picture: (index, kind) => beside(all[index].path, kind === 'image' ? 'target.png' : 'final.png'),
      provenance: index => ({ file: basename(all[index].path) }),
      close: async () => {},
    };
  });
