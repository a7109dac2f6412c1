/**
 * Arbitrary weights for full-size vision networks, by a rule from each tensor's name, so that networks can be compared with numbers
 * computed elsewhere without storing hundreds of megabytes: a hash of the name and index gives s in [-1, 1), scaled by kind.
 */
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { settle } from '../src/config/index.ts';
import { type NdArray, sizeOf, writeSafetensors } from '../src/formats/index.ts';
import { hashName } from '../src/tensor/index.ts';

type Shapes = Readonly<Record<string, readonly number[]>>;

/** value = offset + factor * s for the tensor of this name and shape. */
function scaling(name: string, shape: readonly number[]): readonly [offset: number, factor: number] {
  const fanIn = sizeOf(shape.slice(1));
  if (/lin\d\.model\.1\.weight$/.test(name)) return [0.5, 0.5];
  if (/running_var$/.test(name)) return [1, 0.2];
  if (/(bias|running_mean)$/.test(name)) return [0, 0.05];
  if (/(class_token|pos_embedding|class_embedding|position_embedding\.weight)$/.test(name)) return [0, 0.1];
  if (shape.length === 1) return [1, 0.1];
  return [0, Math.sqrt((shape.length === 4 ? 6 : 3) / fanIn)];
}

export function visionTensor(name: string, shape: readonly number[]): NdArray<Float32Array> {
  const start = hashName(name);
  const [offset, factor] = scaling(name, shape);
  const data = new Float32Array(sizeOf(shape));
  for (let i = 0; i < data.length; i++) {
    let z = (Math.imul(i, 0x9e3779b1) + start) | 0;
    z = Math.imul(z ^ (z >>> 16), 0x85ebca6b);
    z = Math.imul(z ^ (z >>> 13), 0xc2b2ae35);
    z ^= z >>> 16;
    data[i] = offset + factor * (2 * ((z >>> 8) / 2 ** 24) - 1);
  }
  return { shape, data };
}

export const visionTensors = (shapes: Shapes): Record<string, NdArray<Float32Array>> =>
  Object.fromEntries(Object.entries(shapes).map(([name, shape]) => [name, visionTensor(name, shape)]));

/** Writes the tensors as a safetensors file for the length of `use`. */
export async function withVisionFile<A>(shapes: Shapes, use: (path: string) => Promise<A>): Promise<A> {
  const path = join(
    tmpdir(),
    `weightloom-${process.pid}-${hashName(Object.keys(shapes).join())}.safetensors`,
  );
  try {
    await settle(writeSafetensors(path, visionTensors(shapes)));
    return await use(path);
  } finally {
    await rm(path, { force: true });
  }
}
