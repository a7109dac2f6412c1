// A thread's working space: the active cells of a band are taken in blocks, and everything a block needs stays in the first-level cache.
import { channels, hidden, scratch, scratchStride } from "./job";

/** Active cells in a block; a multiple of 4. */
export const BLOCK: i32 = 32;

// Addresses, set by `layOut`. P = 4 channels, the perception's size.
/** [BLOCK, P] perception, clipped. */
export let perceived: usize = 0;
/** [BLOCK, P] perception before its clip, or the same as `perceived` without one. */
export let unclipped: usize = 0;
/** [BLOCK, hidden] relu(w1 y + b1), and the same with its clip. */
export let activations: usize = 0;
export let clippedActivations: usize = 0;
/** [BLOCK, channels] */
export let updates: usize = 0;
/** Gradients of the cells' new states before the state clip, and of their updates: [BLOCK, channels]. */
export let stateGradient: usize = 0;
export let updateGradient: usize = 0;
/** [BLOCK, hidden] and [BLOCK, P] */
export let hiddenGradient: usize = 0;
export let perceptionGradient: usize = 0;
/** [BLOCK] y and x of the cells. */
export let places: usize = 0;
/** A row of zeros, P long. */
export let zeros: usize = 0;

export function layOut(thread: i32): void {
  const cell = <usize>(BLOCK * channels * 4), hid = <usize>(BLOCK * hidden * 4);
  perceived = scratch + <usize>thread * scratchStride;
  unclipped = perceived + 4 * cell;
  perceptionGradient = unclipped + 4 * cell;
  activations = perceptionGradient + 4 * cell;
  clippedActivations = activations + hid;
  hiddenGradient = clippedActivations + hid;
  updates = hiddenGradient + hid;
  stateGradient = updates + cell;
  updateGradient = stateGradient + cell;
  zeros = updateGradient + cell;
  places = zeros + 16 * channels;
  memory.fill(zeros, 0, 16 * channels);
}

/** Bytes of working space one thread needs. */
export function ncaScratchBytes(channels: i32, hidden: i32): i32 {
  return BLOCK * (60 * channels + 12 * hidden + 8) + 16 * channels;
}
