/**
 * The zip archives of torch.save (PyTorch 1.6 and newer): ROOT/data.pkl describes objects, ROOT/data/0, 1, ... are the raw tensor
 * storages. Here the storages are read and the pickle is left alone.
 */
import type * as TE from 'fp-ts/lib/TaskEither.js';
import { type Failure, refuse } from '../config/index.ts';
import { withZip, type ZipArchive } from './zip.ts';

export const TORCH_KIND = 'a .pt file of torch.save (a zip archive)';

/** The folder everything in the archive lies in, with its slash; refuses big-endian data. */
export async function torchRoot(archive: ZipArchive, path: string): Promise<string> {
  const pickle = archive.names.find(name => /(^|\/)data\.pkl$/.test(name));
  if (pickle === undefined) return refuse(path, TORCH_KIND, 'a zip archive without data.pkl');
  const root = pickle.slice(0, -'data.pkl'.length);
  const order = `${root}byteorder`;
  if (archive.names.includes(order) && (await archive.read(order)).toString('latin1').trim() !== 'little') {
    refuse(path, 'little-endian numbers', 'big-endian ones');
  }
  return root;
}

/** The raw storages in the order of their numbers. */
export const readTorchArchive = (path: string): TE.TaskEither<Failure, Uint8Array[]> =>
  withZip(path, TORCH_KIND, async archive => {
    const root = await torchRoot(archive, path);
    const storages: Uint8Array[] = [];
    while (archive.names.includes(`${root}data/${storages.length}`)) {
      storages.push(await archive.read(`${root}data/${storages.length}`));
    }
    return storages;
  });
