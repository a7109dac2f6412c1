/**
 * A zoo: many trained NCAs of one spec, and the pictures that belong to them, in one folder.
 *
 *   zoo.json              manifest: spec, entries, SHA-256 of every other file
 *   weights.safetensors   `weights` [N, D], and `base` [D] when all were fine-tuned from one NCA
 *   images/ ...           target textures and renderings, at the paths the manifest gives
 */
import { createHash } from 'node:crypto';
import { createReadStream, existsSync } from 'node:fs';
import { join } from 'node:path';
import type * as TE from 'fp-ts/lib/TaskEither.js';
import * as t from 'io-ts';
import { attempt, decode, type Failure, orThrow, refuse, settle, suggestion } from '../config/index.ts';
import {
  decodeImage,
  fileInside,
  type ImageOptions,
  inside,
  type Picture,
  readBytes,
  readJson,
  readSafetensors,
  shapeText,
} from '../formats/index.ts';
import { type NcaSpec, NcaSpecCodec, type NcaWeights, weightCount, weightName } from '../nca/index.ts';
import { groupOf, type Split } from './split.ts';

export const MANIFEST = 'zoo.json';
export const WEIGHTS = 'weights.safetensors';

const entryFields = {
  name: t.string,
  /** Path in the folder of the texture it was trained on. */
  image: t.union([t.string, t.null]),
  /** Path in the folder of its own picture. */
  rendering: t.union([t.string, t.null]),
  /** Where it came from: texture parameters, source file, training figures. */
  provenance: t.record(t.string, t.unknown),
};
/** Seed it was trained with. */
const seed = t.partial({ seed: t.number });

/** Codec of one NCA in a manifest. */
export const ZooEntryCodec = t.intersection([
  t.strict({
    ...entryFields,
    split: t.keyof({ train: null, validation: null, 'held-out': null } satisfies Record<Split, null>),
    /** Entries of one group (copies, recolours, variants of one picture) are never on two sides of a split. */
    group: t.string,
  }),
  seed,
]);
/** One NCA of a zoo: its name, its split, its pictures and where it came from. */
export type ZooEntry = t.TypeOf<typeof ZooEntryCodec>;

/** The fields of a manifest beside its version and entries. */
const manifestFields = {
  format: t.literal('weightloom-zoo'),
  spec: NcaSpecCodec,
  /** Where the zoo as a whole came from. */
  provenance: t.record(t.string, t.unknown),
  /** SHA-256 of every file, by path in the folder. */
  files: t.record(t.string, t.string),
};

/** Codec of zoo.json, version 2. */
export const ZooManifestCodec = t.strict({
  ...manifestFields,
  version: t.literal(2),
  entries: t.array(ZooEntryCodec),
});
/** The content of zoo.json: spec, entries, provenance, and a hash of every other file. */
export type ZooManifest = t.TypeOf<typeof ZooManifestCodec>;

/** Format 1 knew no validation and no groups; where its writers wanted them they put them into the provenance. */
const FirstManifestCodec = t.strict({
  ...manifestFields,
  version: t.literal(1),
  entries: t.array(
    t.intersection([t.strict({ ...entryFields, split: t.keyof({ train: null, 'held-out': null }) }), seed]),
  ),
});

/** Decodes a manifest of either format; what comes of it is of format 2. */
function decodeManifest(json: unknown, where: string): ZooManifest {
  const version = (json as { version?: unknown } | null)?.version;
  if (version !== 1) return orThrow(decode(ZooManifestCodec, json, where));
  const { entries, ...rest } = orThrow(decode(FirstManifestCodec, json, where));
  return {
    ...rest,
    version: 2,
    entries: entries.map(entry => {
      const { validation, group } = entry.provenance;
      return {
        ...entry,
        split: entry.split === 'train' && validation === true ? 'validation' : entry.split,
        group: typeof group === 'string' ? group : groupOf(entry.name),
      };
    }),
  };
}

/** A zoo that was read and verified: weights in memory, pictures on disk. */
export interface Zoo {
  readonly folder: string;
  readonly spec: NcaSpec;
  /** N entries, in the order of the weights. */
  readonly entries: readonly ZooEntry[];
  /** [N, D], row-major. */
  readonly weights: Float32Array;
  /** [D], the NCA they were all fine-tuned from. */
  readonly base: Float32Array | null;
  readonly manifest: ZooManifest;
}

/** SHA-256 over all that a zoo is to those who train on it: spec, entries, and the hash of every file. */
export const zooHash = ({ manifest: { spec, entries, files } }: Zoo): string =>
  sha256(JSON.stringify([spec, entries, files]));

export const sha256 = (bytes: Uint8Array | string) => createHash('sha256').update(bytes).digest('hex');

/** SHA-256 of a file of any size. */
export async function sha256OfFile(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) hash.update(chunk as Buffer);
  return hash.digest('hex');
}

/** Refuses weights that are not finite, naming entry and coordinate. `first` is the index of the first row. */
export function checkFinite(
  spec: NcaSpec,
  weights: Float32Array,
  nameOf: (index: number) => string,
  where: string,
) {
  const bad = weights.findIndex(value => !Number.isFinite(value));
  if (bad < 0) return;
  const size = weightCount(spec);
  const field = `${nameOf(Math.floor(bad / size))}: ${weightName(spec, bad % size)}`;
  refuse(where, 'finite weights', `${weights[bad]}`, { field });
}

/** Refuses names that are there twice, groups on two sides of the split, and pictures outside `folder`. */
export function checkEntries(folder: string, entries: readonly ZooEntry[], where: string) {
  const names = new Set<string>();
  const splits = new Map<string, Split>();
  entries.forEach(({ name, group, split, image, rendering }, i) => {
    if (names.has(name)) refuse(where, 'names that differ', `${name} twice`, { field: `entries[${i}].name` });
    names.add(name);
    const first = splits.get(group) ?? split;
    splits.set(group, first);
    if (first !== split) {
      refuse(where, `${first}, as the rest of its group ${group}`, split, { field: `entries[${i}].split` });
    }
    if (image !== null) inside(folder, image, where, `entries[${i}].image`);
    if (rendering !== null) inside(folder, rendering, where, `entries[${i}].rendering`);
  });
}

/** The manifest of a zoo, decoded and checked: names, splits, and a hash for every picture. */
export async function readManifest(folder: string): Promise<ZooManifest> {
  const where = join(folder, MANIFEST);
  if (!existsSync(where)) refuse(folder, `a zoo (a folder with ${MANIFEST})`, 'none');
  await fileInside(folder, MANIFEST, folder, MANIFEST);
  const manifest = decodeManifest(await settle(readJson(where)), where);
  checkEntries(folder, manifest.entries, where);
  manifest.entries.forEach(({ image, rendering }, i) => {
    for (const [kind, path] of Object.entries({ image, rendering })) {
      if (path === null || Object.hasOwn(manifest.files, path)) continue;
      refuse(where, `the SHA-256 of ${path} in files`, 'none', { field: `entries[${i}].${kind}` });
    }
  });
  return manifest;
}

/** The path of a zoo's weights, which are those that its manifest was written for. */
export async function verifiedWeights(folder: string, { files }: ZooManifest): Promise<string> {
  const path = await fileInside(folder, WEIGHTS, join(folder, MANIFEST), 'files');
  if ((await sha256OfFile(path)) !== files[WEIGHTS]) {
    refuse(path, `the file that ${MANIFEST} was written for`, 'another one (SHA-256)');
  }
  return path;
}

/**
 * Reads a zoo: manifest decoded, weights verified against their hash, shapes and finiteness checked. Pictures are read on demand.
 * @returns a TaskEither: run it with settle()
 */
export const readZoo = (folder: string): TE.TaskEither<Failure, Zoo> =>
  attempt(folder, async () => {
    const manifest = await readManifest(folder);
    const { spec, entries } = manifest;
    const path = await verifiedWeights(folder, manifest);
    const { tensors } = await settle(readSafetensors(path));
    const tensor = (name: string, shape: number[]): Float32Array => {
      const { data, shape: found } = tensors[name] ?? refuse(path, `a tensor ${name}`, 'none');
      if (!(data instanceof Float32Array) || shapeText(found) !== shapeText(shape)) {
        return refuse(path, `float32 of shape ${shapeText(shape)}`, shapeText(found), { field: name });
      }
      return data;
    };
    const size = weightCount(spec);
    const weights = tensor('weights', [entries.length, size]);
    checkFinite(spec, weights, i => entries[i].name, path);
    const base = tensors.base ? tensor('base', [size]) : null;
    if (base) checkFinite(spec, base, () => 'base', path);
    return { folder, spec, entries, weights, base, manifest };
  });

/** The index of an entry by name; refuses an unknown one with the nearest. */
export function entryIndex(names: readonly string[], name: string, where: string): number {
  const index = names.indexOf(name);
  if (index >= 0) return index;
  const some = names.length > 6 ? `${names.length} names, such as ${names[0]}` : names.join(', ');
  return refuse(where, `one of ${some}`, `"${name}"`, { hint: suggestion(name, names) });
}

/** The weights of entry i (a view, no copy). */
export function zooWeights(zoo: Pick<Zoo, 'spec' | 'weights'>, index: number): NcaWeights {
  const size = weightCount(zoo.spec);
  return { spec: zoo.spec, flat: zoo.weights.subarray(index * size, (index + 1) * size) };
}

/** Indices of the entries of one split, in order. */
export const splitIndices = (zoo: Pick<Zoo, 'entries'>, split: Split): number[] =>
  zoo.entries.flatMap((entry, i) => (entry.split === split ? [i] : []));

/**
 * Reads a picture of an entry, its bytes verified against the manifest. `kind` is the texture it was trained on or its own
 * rendering; with 'condition' the texture, or the rendering where there is none.
 * @returns a TaskEither: run it with settle()
 */
export const readZooImage = (
  zoo: ZooPictures,
  index: number,
  kind: PictureKind,
  options: ImageOptions = {},
): TE.TaskEither<Failure, Picture> =>
  attempt(zoo.folder, async () => {
    const { bytes, path } = await settle(readZooImageFile(zoo, index, kind));
    return settle(decodeImage(bytes, path, options));
  });

/** What is needed of a zoo to read its pictures. */
export type ZooPictures = Pick<Zoo, 'folder' | 'entries' | 'manifest'>;
type PictureKind = 'image' | 'rendering' | 'condition';

/** The same picture as its file has it. @returns a TaskEither: run it with settle() */
export const readZooImageFile = (
  zoo: ZooPictures,
  index: number,
  kind: PictureKind,
): TE.TaskEither<Failure, { readonly bytes: Buffer; readonly path: string }> =>
  attempt(zoo.folder, async () => {
    const entry = zoo.entries[index];
    const where = join(zoo.folder, MANIFEST);
    const name =
      (kind === 'condition' ? (entry.image ?? entry.rendering) : entry[kind]) ??
      refuse(where, `a picture (${kind})`, 'none', { field: entry.name });
    const path = await fileInside(zoo.folder, name, where, entry.name);
    const bytes = await settle(readBytes(path));
    if (sha256(bytes) !== zoo.manifest.files[name]) {
      refuse(path, `the picture that ${MANIFEST} was written for`, 'another one (SHA-256)');
    }
    return { bytes, path };
  });
