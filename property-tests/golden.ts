/** Reference numbers that the tests compare with: golden/NAME.npz beside this file. */
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { settle } from '../src/config/index.ts';
import { type NdArray, readNpz } from '../src/formats/index.ts';

const FOLDER = join(dirname(fileURLToPath(import.meta.url)), 'golden');

/** Every numeric array of one golden file. */
export async function golden(name: string): Promise<Record<string, NdArray>> {
  const arrays = await settle(readNpz(join(FOLDER, `${name}.npz`)));
  return Object.fromEntries(
    Object.entries(arrays).filter((entry): entry is [string, NdArray] => !Array.isArray(entry[1].data)),
  );
}
