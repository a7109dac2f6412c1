/**
 * Update masks: which cells a step updates. A bit is a hash of (seed, step, y, x), so a sample's rollout depends neither on the batch it is in
 * nor on the number of threads; each bit is 1 with probability 1/2.
 */
import { randomStream } from '../tensor/index.ts';

/** A bijection of 32-bit words that mixes every bit into every other (an xorshift-multiply hash; Wellons 2018, "lowbias32"). */
function mix(x: number): number {
  x = Math.imul(x ^ (x >>> 16), 0x7feb352d);
  x = Math.imul(x ^ (x >>> 15), 0x846ca68b);
  return x ^ (x >>> 16);
}

/** Mask bits of the cells 32 block .. 32 block + 31 of row y, lowest bit first. The kernel's version is kernel/assembly/mask.ts. */
export function maskWord(seed: number, step: number, y: number, block: number): number {
  return mix(mix(mix(seed ^ 0x9e3779b9) ^ step) ^ ((y << 16) | block)) >>> 0;
}

/** Whether step `step` updates cell (y, x) of the sample with this seed. */
export const maskBit = (seed: number, step: number, y: number, x: number): boolean =>
  ((maskWord(seed, step, y, x >>> 5) >>> (x & 31)) & 1) === 1;

/** The mask seed of a seed of any size: itself where it has 32 bits, else both its words mixed, so that no two seeds fold into one by their low word. */
export const maskSeed = (seed: number): number => (seed >>> 0 === seed ? seed : seedsFor(seed, 1)[0]);

/** Mask seeds of a batch, one per sample; the first ones do not depend on how many are asked for. */
export function seedsFor(seed: number, batch: number): number[] {
  const stream = randomStream(seed, 'nca masks');
  return Array.from({ length: batch }, () => stream.uint32());
}
