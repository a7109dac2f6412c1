/**
 * The zip archives of torch.save (PyTorch 1.6 and newer): ROOT/data.pkl describes objects, ROOT/data/0, 1, ... are the raw tensor
 * storages. Here the storages are read and the pickle is left alone.
 */
import type * as TE from 'fp-ts/lib/TaskEither.js';
import { type Failure, refuse } from '../config/index.ts';
import { withZip, type ZipArchive } from './zip.ts';

const KIND = 'a .pt file of torch.save (a zip archive)';
const HINT = 'Files of PyTorch before 1.6 are no zip archives: load and save them once with a newer one.';

/** Opens a file of torch.save; `use` is told the folder in the archive that everything lies in, with its slash. */
export const withTorchArchive = <A>(
  path: string,
  use: (archive: ZipArchive, root: string) => Promise<A>,
): TE.TaskEither<Failure, A> =>
  withZip(path, KIND, async archive => use(archive, await rootOf(archive, path)), HINT);

/** The folder everything lies in; refuses big-endian data. */
async function rootOf(archive: ZipArchive, path: string): Promise<string> {
  const pickle = archive.names.find(name => /(^|\/)data\.pkl$/.test(name));
  if (pickle === undefined) return refuse(path, KIND, 'a zip archive without data.pkl');
  const root = pickle.slice(0, -'data.pkl'.length);
  const order = `${root}byteorder`;
  if (archive.names.includes(order) && (await archive.read(order)).toString('latin1').trim() !== 'little') {
    refuse(path, 'little-endian numbers', 'big-endian ones');
  }
  return root;
}

/** The raw storages in the order of their numbers. @returns a TaskEither: run it with settle() */
export const readTorchArchive = (path: string): TE.TaskEither<Failure, Uint8Array[]> =>
  withTorchArchive(path, async (archive, root) => {
    const storages: Uint8Array[] = [];
    while (archive.names.includes(`${root}data/${storages.length}`)) {
      storages.push(await archive.read(`${root}data/${storages.length}`));
    }
    return storages;
  });
