/** How a run of numbers is cut into bands for the threads. */
import { share } from './kernels.ts';

/**
 * Numbers of a band of light work, such as a sum or a copy: some ten microseconds of it. To wake another thread and to share the data
 * with it costs as much.
 */
export const LIGHT = 65536;

/** The same for functions of twenty instructions and more. */
export const HEAVY = 16384;

/** How many bands, and how many numbers in each: a multiple of 16, at least `least`. */
export function bandsOf(length: number, least: number): readonly [bands: number, each: number] {
  const each = Math.ceil(share(length, least) / 16) * 16;
  return [Math.ceil(length / each), each];
}
