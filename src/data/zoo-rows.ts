/** A zoo whose weights stay on the disk: for programs that look at some NCAs of many. */
import { join } from 'node:path';
import type * as TE from 'fp-ts/lib/TaskEither.js';
import { attempt, type Failure, refuse, settle } from '../config/index.ts';
import { fileInside, readSafetensorsHeader, readSafetensorsRows, shapeText } from '../formats/index.ts';
import { weightCount } from '../nca/index.ts';
import { checkFinite, MANIFEST, readManifest, verifiedWeights, WEIGHTS, type Zoo } from './zoo.ts';

/** A zoo of which only the manifest has been read. */
export interface ZooRows extends Pick<Zoo, 'folder' | 'spec' | 'entries' | 'manifest'> {
  /** Weights [count, D] of entries first .. first + count - 1, finite. @throws UserError when they cannot be read, or are not finite */
  rows(first: number, count: number): Promise<Float32Array>;
  /** Reads all weights once. @throws UserError when they are not those that the manifest was written for */
  verify(): Promise<void>;
}

/**
 * Opens a zoo: its manifest decoded and checked, of the weights type and shape. That the file is the one of the manifest, `verify` says.
 * @returns a TaskEither: run it with settle()
 */
export const openZoo = (folder: string): TE.TaskEither<Failure, ZooRows> =>
  attempt(folder, async () => {
    const manifest = await readManifest(folder);
    const { spec, entries } = manifest;
    const path = await fileInside(folder, WEIGHTS, join(folder, MANIFEST), 'files');
    const { entries: tensors } = await settle(readSafetensorsHeader(path));
    const { type, shape, stored } = tensors.get('weights') ?? refuse(path, 'a tensor weights', 'none');
    const expected = shapeText([entries.length, weightCount(spec)]);
    if (type !== 'f32' || shapeText(shape) !== expected) {
      return refuse(path, `float32 of shape ${expected}`, `${stored} of shape ${shapeText(shape)}`, {
        field: 'weights',
      });
    }
    return {
      folder,
      spec,
      entries,
      manifest,
      async rows(first, count) {
        const weights = (await settle(readSafetensorsRows(path, 'weights', first, count))) as Float32Array;
        checkFinite(spec, weights, i => entries[first + i].name, path);
        return weights;
      },
      verify: async () => {
        await verifiedWeights(folder, manifest);
      },
    };
  });
