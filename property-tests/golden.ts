/** Reference numbers that the tests compare with: golden/NAME.npz beside this file. */
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { settle } from '../src/config/index.ts';
import { type NdArray, readNpz } from '../src/formats/index.ts';
import { tf } from '../src/tensor/index.ts';

const FOLDER = join(dirname(fileURLToPath(import.meta.url)), 'golden');

/** Every numeric array of one golden file. */
export async function golden(name: string): Promise<Record<string, NdArray>> {
  const arrays = await settle(readNpz(join(FOLDER, `${name}.npz`)));
  return Object.fromEntries(
    Object.entries(arrays).filter((entry): entry is [string, NdArray] => !Array.isArray(entry[1].data)),
  );
}

/** A picture of a golden file, bytes [H, W, 3], as [1, H, W, 3] in [0, 1]. */
export const goldenPicture = ({ data, shape }: NdArray): tf.Tensor4D =>
  tf.tidy(() => tf.div(tf.tensor4d(Float32Array.from(data), [1, shape[0], shape[1], 3]), 255) as tf.Tensor4D);

/** Largest difference over the largest expected value, for lists of equal length. NaN where a NaN is found. */
export function deviation(found: ArrayLike<number>, wanted: NdArray | ArrayLike<number>): number {
  const expected: ArrayLike<number | bigint> = 'data' in wanted ? wanted.data : wanted;
  if (found.length !== expected.length) throw new Error(`${found.length} numbers for ${expected.length}`);
  let difference = 0;
  let scale = 1e-30;
  for (let i = 0; i < found.length; i++) {
    // A NaN must not slip through a comparison.
    const gap = Math.abs(found[i] - Number(expected[i]));
    difference = gap <= difference ? difference : gap;
    scale = Math.max(scale, Math.abs(Number(expected[i])));
  }
  return difference / scale;
}
