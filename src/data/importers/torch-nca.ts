/** PyTorch files of one NCA each: the stored tensors w1, b1, w2 are taken as they lie; the pickle is never opened. */
import { basename } from 'node:path';
import type * as TE from 'fp-ts/lib/TaskEither.js';
import { attempt, type Failure, orThrow, refuse, settle } from '../../config/index.ts';
import { bytesOf, readTorchArchive, shapeText } from '../../formats/index.ts';
import { type NcaWeights, ncaWeights, SPECS, weightBlocks, weightCount } from '../../nca/index.ts';
import { shortNames } from '../split.ts';
import type { ZooSource } from './source.ts';

/**
 * Reads the weights of one NCA of the spec `hypernca`: archive/data/0 is w1, /1 is b1, /2 is w2, float32 little-endian.
 * @returns a TaskEither: run it with settle()
 */
export const readTorchNca = (path: string): TE.TaskEither<Failure, NcaWeights> =>
  attempt(path, async () => {
    const spec = SPECS.hypernca;
    const storages = await settle(readTorchArchive(path));
    const blocks = weightBlocks(spec);
    const text = blocks.map(({ name, shape }) => `${name} ${shapeText(shape)}`).join(', ');
    if (storages.length !== blocks.length) {
      refuse(path, `${blocks.length} tensors (${text})`, `${storages.length}`);
    }
    const flat = new Float32Array(weightCount(spec));
    blocks.forEach(({ name, shape, offset, size }, i) => {
      if (storages[i].length !== 4 * size) {
        refuse(path, `${shapeText(shape)} float32 (${4 * size} bytes)`, `${storages[i].length} bytes`, {
          field: `${name} (data/${i})`,
        });
      }
      bytesOf(flat).set(storages[i], 4 * offset);
    });
    return orThrow(ncaWeights(spec, flat, path));
  });

/** Several such files as one set, each named for its file. @returns a TaskEither: run it with settle() */
export const openTorchNcas = (paths: readonly string[]): TE.TaskEither<Failure, ZooSource> =>
  attempt(paths[0] ?? '.pt files', async () => {
    const all = await Promise.all(paths.map(path => settle(readTorchNca(path))));
    return {
      spec: SPECS.hypernca,
      names: shortNames(paths.map(path => basename(path).replace(/\.[^.]+$/, ''))),
      async rows(start, count) {
        const size = weightCount(SPECS.hypernca);
        const out = new Float32Array(count * size);
        for (let i = 0; i < count; i++) out.set(all[start + i].flat, i * size);
        return out;
      },
      picture: () => null,
      provenance: index => ({ file: basename(paths[index]) }),
      close: async () => {},
    };
  });
