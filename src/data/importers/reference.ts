/**
 * The layout of the hypernca set: a folder with w1.npy [N, hidden, 4 channels], b1.npy [N, hidden], w2.npy [N, channels, hidden] and texture_names.npy
 * [N], and beside them images/flickr+dtd_128/NAME.jpg (photographs) and images/nca_flickr+dtd_128/NAME.jpg (what the NCA renders).
 * Weights are read some rows at a time: 30,775 NCAs are 721 MB.
 */
import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type * as TE from 'fp-ts/lib/TaskEither.js';
import { attempt, type Failure, refuse, settle } from '../../config/index.ts';
import { type NpyRows, openNpyRows, readNpyStrings, shapeText } from '../../formats/index.ts';
import { FILTERS, type NcaSpec, weightBlocks, weightCount } from '../../nca/index.ts';
import { type GivenSpec, specFor } from '../spec-option.ts';
import { shortNames } from '../split.ts';
import type { ZooSource } from './source.ts';

/** Where the parts of a set in the hypernca layout lie, if not where it has them. */
export interface ReferenceOptions {
  /** What the NCAs are besides their sizes, which the arrays have. */
  readonly spec?: GivenSpec;
  /** Folder of the photographs; by default images/flickr+dtd_128 in the set's folder. */
  readonly images?: string;
  /** Folder of the renderings; by default images/nca_flickr+dtd_128. */
  readonly renderings?: string;
}

const EXTENSIONS = ['', '.jpg', '.jpeg', '.png', '.webp'];

/** Finds the picture of a name among the files of a folder, whatever its extension. */
async function pictureFinder(folder: string, given: boolean): Promise<(name: string) => string | null> {
  const files = new Set(
    await readdir(folder).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT' && !given) return [];
      throw error;
    }),
  );
  return name => {
    const extension = EXTENSIONS.find(extension => files.has(name + extension));
    return extension === undefined ? null : join(folder, name + extension);
  };
}

/** Opens a set in this layout. Arrays that disagree in N or do not fit the spec are refused. @returns a TaskEither: run it with settle() */
export const openReferenceSet = (
  folder: string,
  { spec: given, images, renderings }: ReferenceOptions = {},
): TE.TaskEither<Failure, ZooSource> =>
  attempt(folder, async () => {
    const namesPath = join(folder, 'texture_names.npy');
    const { shape, data: found } = await settle(readNpyStrings(namesPath));
    if (shape.length !== 1) refuse(namesPath, 'one dimension (N)', shapeText(shape));
    const pictures = {
      image: await pictureFinder(images ?? join(folder, 'images', 'flickr+dtd_128'), images !== undefined),
      rendering: await pictureFinder(
        renderings ?? join(folder, 'images', 'nca_flickr+dtd_128'),
        renderings !== undefined,
      ),
    };
    const opened = new Map<string, NpyRows>();
    const fileOf = (name: string) => join(folder, `${name}.npy`);
    const openRows = async (name: string) => {
      const array = await settle(openNpyRows(fileOf(name)));
      opened.set(name, array);
      return array;
    };
    const close = async () => {
      await Promise.all([...opened.values()].map(array => array.close()));
    };
    let spec: NcaSpec;
    try {
      const [, hidden = 0, inputs = 0] = (await openRows('w1')).shape;
      const sizes = { channels: inputs / FILTERS.length, hidden, outputBias: existsSync(fileOf('b2')) };
      if (!(Number.isInteger(sizes.channels) && sizes.channels >= 3 && hidden >= 1)) {
        refuse(fileOf('w1'), 'shape [N, hidden, 4 x channels]', shapeText(opened.get('w1')!.shape));
      }
      spec = specFor(sizes, given, folder);
      for (const { name, shape } of weightBlocks(spec)) {
        const array = opened.get(name) ?? (await openRows(name));
        const expected = shapeText([found.length, ...shape]);
        if (shapeText(array.shape) !== expected) {
          refuse(fileOf(name), `shape ${expected} (N of texture_names.npy first)`, shapeText(array.shape));
        }
      }
    } catch (error) {
      await close();
      throw error;
    }
    const size = weightCount(spec);
    return {
      spec,
      names: shortNames(found),
      async rows(start, count) {
        const out = new Float32Array(count * size);
        for (const block of weightBlocks(spec)) {
          const rows = await opened.get(block.name)!.rows(start, count);
          for (let i = 0; i < count; i++) {
            out.set(rows.subarray(i * block.size, (i + 1) * block.size), i * size + block.offset);
          }
        }
        return out;
      },
      picture: (index, kind) => pictures[kind](found[index]),
      provenance: index => ({ texture: found[index] }),
      close,
    };
  });
