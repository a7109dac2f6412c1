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

/** Largest difference over the largest value, for lists of equal length. */
export function deviation(found: ArrayLike<number>, expected: NdArray): number {
  if (found.length !== expected.data.length)
    throw new Error(`${found.length} numbers for ${expected.data.length}`);
  let difference = 0;
  let scale = 0;
  for (let i = 0; i < found.length; i++) {
    // A NaN must not slip through a comparison.
    const gap = Math.abs(found[i] - Number(expected.data[i]));
    difference = gap <= difference ? difference : gap;
    scale = Math.max(scale, Math.abs(Number(expected.data[i])));
  }
  return difference / scale;
}
