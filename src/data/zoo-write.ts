/** Writing zoos: the whole folder under a temporary name, then renamed. */
import { existsSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type * as TE from 'fp-ts/lib/TaskEither.js';
import { type Failure, settle } from '../config/index.ts';
import {
  encodePicture,
  inside,
  type NdArray,
  type Picture,
  type StreamedArray,
  writeFolderAtomically,
  writeSafetensors,
} from '../formats/index.ts';
import { type NcaSpec, weightCount } from '../nca/index.ts';
import {
  checkEntries,
  checkFinite,
  MANIFEST,
  sha256,
  sha256OfFile,
  WEIGHTS,
  type ZooEntry,
  type ZooManifest,
} from './zoo.ts';

/** What a zoo is made from. */
export interface ZooDraft {
  readonly spec: NcaSpec;
  readonly entries: readonly ZooEntry[];
  /** [N, D]; or whole rows, some at a time, for zoos too large for memory. */
  readonly weights: Float32Array | AsyncIterable<Float32Array>;
  /** [D] */
  readonly base?: Float32Array | null;
  readonly provenance?: Readonly<Record<string, unknown>>;
}

/** A picture to store at a path that an entry names: pixels (stored as the path ends: .png, .jpg or .webp), or the bytes of an image file. */
export interface ZooImage {
  /** In the zoo's folder, as its entry names it. */
  readonly path: string;
  /** A picture to encode, or the bytes of a file. */
  readonly content: Picture | Uint8Array;
}

async function* checked(draft: ZooDraft, folder: string): AsyncIterable<Float32Array> {
  const { spec, entries, weights } = draft;
  let row = 0;
  for await (const rows of weights instanceof Float32Array ? [weights] : weights) {
    const first = row;
    checkFinite(spec, rows, i => entries[first + i]?.name ?? `row ${first + i}`, folder);
    row += rows.length / weightCount(spec);
    yield rows;
  }
}

/**
 * Writes a zoo and its pictures. A folder that is there already is refused, unless `replace` is set and it holds a zoo.
 * Weights that are not finite are refused, and so is a path that leaves the folder; then nothing is written at all.
 * @returns a TaskEither: run it with settle()
 */
export const writeZoo = (
  folder: string,
  draft: ZooDraft,
  images: Iterable<ZooImage> | AsyncIterable<ZooImage> = [],
  { replace = false }: { replace?: boolean } = {},
): TE.TaskEither<Failure, void> =>
  writeFolderAtomically(
    folder,
    async temporary => {
      const { spec, entries, base } = draft;
      const size = weightCount(spec);
      checkEntries(temporary, entries, folder);
      if (base) checkFinite(spec, base, () => 'base', folder);
      const tensors: Record<string, NdArray | StreamedArray> = {
        weights: { shape: [entries.length, size], chunks: checked(draft, folder) },
        ...(base ? { base: { shape: [size], data: base } } : {}),
      };
      await settle(writeSafetensors(join(temporary, WEIGHTS), tensors, { spec: JSON.stringify(spec) }));
      const files: Record<string, string> = { [WEIGHTS]: await sha256OfFile(join(temporary, WEIGHTS)) };
      for await (const { path, content } of images) {
        const target = inside(temporary, path, folder, 'picture');
        const bytes = content instanceof Uint8Array ? content : await encodePicture(content, path);
        files[path] = sha256(bytes);
        await mkdir(dirname(target), { recursive: true });
        await writeFile(target, bytes, { flag: 'wx' });
      }
      for (const { name, image, rendering } of entries) {
        for (const path of [image, rendering]) {
          if (path !== null && files[path] === undefined)
            throw new Error(`${name}: no picture was given for ${path}`);
        }
      }
      const manifest: ZooManifest = {
        format: 'weightloom-zoo',
        version: 2,
        spec,
        entries: [...entries],
        provenance: { ...draft.provenance },
        files,
      };
      await writeFile(join(temporary, MANIFEST), `${JSON.stringify(manifest, null, 1)}\n`);
    },
    { replace: standing => replace && existsSync(join(standing, MANIFEST)) },
  );
