/**
 * The files of torch.save: a pickle that describes objects, and the raw storages of their tensors. Two kinds:
 *   zip (PyTorch 1.6 and newer)  ROOT/data.pkl, ROOT/data/KEY, ROOT/byteorder
 *   legacy                       five pickles one after the other (a magic number, 1001, facts about the machine, the objects, a list of keys),
 *                                then for each key its count (8 bytes) and its numbers
 */
import type * as TE from 'fp-ts/lib/TaskEither.js';
import { attempt, type Failure, refuse, settle } from '../config/index.ts';
import { BYTES } from './arrays.ts';
import { readInto, withFile } from './files.ts';
import { readPickle } from './pickle.ts';
import { type Storage, torchPickle } from './torch-pickle.ts';
import { withZip, type ZipArchive } from './zip.ts';

/** An open file of torch.save. */
export interface TorchFile {
  /** What was saved: containers, modules and TensorViews. */
  readonly content: unknown;
  /** The bytes of a whole storage, owned by the caller. */
  read(storage: Storage): Promise<Uint8Array>;
}

const KIND = 'a .pt file of torch.save';
const MAGIC = Number(0x1950a86a20f9469cfc6cn);
/** The pickles of a legacy file are somewhere in its first bytes. */
const MOST_PICKLES = 64 * 2 ** 20;

/** The objects of a pickle may take a fourth of the memory that the file states. */
const SHARE = 4;

/** Zip and legacy files of torch.save begin so; a safetensors file would state a header of gigabytes. */
const STARTS = ['PK\x03\x04', '\x80\x02\x8a\x0a'];

const startOf = (path: string): Promise<string> =>
  withFile(path, async (file, size) => {
    const bytes = Buffer.alloc(Math.min(size, 4));
    await readInto(file, bytes, 0, path);
    return bytes.toString('latin1');
  });

/** Whether a file begins as those of torch.save do, whatever its name. */
export const isTorchSave = (path: string): TE.TaskEither<Failure, boolean> =>
  attempt(path, async () => STARTS.includes(await startOf(path)));

/** Opens a file of torch.save for `use`, which runs while it is open. */
export const withTorchFile = <A>(
  path: string,
  use: (file: TorchFile) => Promise<A>,
): TE.TaskEither<Failure, A> =>
  attempt(path, async () =>
    (await startOf(path)).startsWith('PK')
      ? settle(withZip(path, KIND, async archive => use(await zipFile(archive, path))))
      : legacyFile(path, use),
  );

async function zipFile(archive: ZipArchive, path: string): Promise<TorchFile> {
  const pickles = archive.names.filter(name => /(^|\/)data\.pkl$/.test(name));
  if (pickles.length !== 1) {
    const found = pickles.length === 0 ? 'a zip archive without data.pkl' : `${pickles.length} of data.pkl`;
    return refuse(path, KIND, found);
  }
  const [pickle] = pickles;
  const root = pickle.slice(0, -'data.pkl'.length);
  const order = `${root}byteorder`;
  if (archive.names.includes(order)) {
    const length = archive.size(order);
    if (length > 16 || (await archive.read(order)).toString('latin1').trim() !== 'little')
      refuse(path, 'little-endian numbers', 'big-endian ones');
  }
  const whole = archive.names.reduce((sum, name) => sum + archive.size(name), 0);
  const bytes = await archive.read(pickle);
  const { value, end } = readPickle(bytes, torchPickle(path, whole / SHARE, new Map()));
  if (end !== bytes.length) refuse(path, 'one pickle in data.pkl', `${bytes.length - end} bytes behind it`);
  return {
    content: value,
    async read({ key, count, type }) {
      const name = `${root}data/${key}`;
      const expected = count * BYTES[type];
      if (archive.size(name) !== expected) {
        refuse(path, `${expected} bytes (${count} numbers of ${type})`, `${archive.size(name)}`, {
          field: name,
        });
      }
      return archive.read(name);
    },
  };
}

const legacyFile = <A>(path: string, use: (file: TorchFile) => Promise<A>): Promise<A> =>
  withFile(path, async (file, size) => {
    const not = (found: string): never => refuse(path, KIND, found);
    const head = Buffer.alloc(Math.min(size, MOST_PICKLES));
    await readInto(file, head, 0, path);
    if (head[0] !== 0x80) not('neither a zip archive nor a pickle');
    const storages = new Map<string, Storage>();
    const options = torchPickle(path, size / SHARE, storages);
    let at = 0;
    const next = (): unknown => {
      const { value, end } = readPickle(head, options, at);
      at = end;
      return value;
    };
    if (next() !== MAGIC) not('a pickle that torch.save did not write');
    if (next() !== 1001) not('a legacy file of another version than 1001');
    const machine = next();
    if (!(machine instanceof Map && machine.get('little_endian') === true))
      refuse(path, 'little-endian numbers', 'big-endian ones');
    const content = next();
    const keys = next();
    if (!Array.isArray(keys) || new Set(keys).size !== keys.length)
      not('a legacy file without its list of storages');
    const places = new Map<string, number>();
    for (const key of keys as unknown[]) {
      const storage = storages.get(key as string);
      if (!storage) return not('a storage that no tensor has');
      const count = Buffer.alloc(8);
      await readInto(file, count, at, path);
      const { key: name, count: numbers, type } = storage;
      if (count.readBigInt64LE() !== BigInt(numbers)) {
        refuse(path, `${numbers} numbers`, `${count.readBigInt64LE()}`, { field: `storage ${name}` });
      }
      places.set(name, at + 8);
      at += 8 + numbers * BYTES[type];
    }
    if (at !== size) refuse(path, `${at} bytes`, `${size}`);
    return use({
      content,
      async read({ key, count, type }) {
        const place = places.get(key) ?? refuse(path, `a storage ${key}`, 'none of that name');
        const bytes = new Uint8Array(count * BYTES[type]);
        await readInto(file, bytes, place, path);
        return bytes;
      },
    });
  });
