/**
 * The layout of the hypernca set: a folder with w1.npy [N, hidden, 4 channels], b1.npy [N, hidden], w2.npy [N, channels, hidden] and texture_names.npy
 * [N], and beside them images/flickr+dtd_128/NAME.jpg (photographs) and images/nca_flickr+dtd_128/NAME.jpg (what the NCA renders).
 * Weights are read some rows at a time: 30,775 NCAs are 721 MB.
 */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type * as TE from 'fp-ts/lib/TaskEither.js';
import { attempt, type Failure, refuse, settle } from '../../config/index.ts';
import { openNpyRows, readNpyStrings, shapeText } from '../../formats/index.ts';
import { type NcaSpec, SPECS, weightBlocks, weightCount } from '../../nca/index.ts';
import { shortNames } from '../split.ts';
import type { ZooSource } from './source.ts';

/** Where the parts of a set in the hypernca layout lie, if not where it has them. */
export interface ReferenceOptions {
  /** What the NCAs are. Default `SPECS.hypernca`. */
  readonly spec?: NcaSpec;
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
  { spec = SPECS.hypernca, images, renderings }: ReferenceOptions = {},
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
    const blocks = weightBlocks(spec);
    const opened: Awaited<ReturnType<typeof openRows>>[] = [];
    const openRows = (name: string) => settle(openNpyRows(join(folder, `${name}.npy`)));
    const close = async () => {
      await Promise.all(opened.map(array => array.close()));
    };
    try {
      for (const { name, shape } of blocks) {
        const array = await openRows(name);
        opened.push(array);
        const expected = shapeText([found.length, ...shape]);
        if (shapeText(array.shape) !== expected) {
          refuse(
            join(folder, `${name}.npy`),
            `shape ${expected} (N of texture_names.npy first)`,
            shapeText(array.shape),
          );
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
        for (const [b, block] of blocks.entries()) {
          const rows = await opened[b].rows(start, count);
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
