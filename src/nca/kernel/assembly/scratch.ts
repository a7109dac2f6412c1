// A thread's working space: the active cells of a band are taken in blocks, and everything a block needs stays in the first-level cache.
// All of it is row by row, a row for every cell. P = 4 channels, the perception's size.
import { bands, batch, channels, hidden, keptBlocks, keptHidden, scratch, scratchStride } from "./job";

/** Active cells in a block; a multiple of 4. */
export const BLOCK: i32 = 64;

// Addresses, set by `layOut`.
/** [BLOCK] the cells: y (16 bits), x (16 bits). */
export let places: usize = 0;
/** [BLOCK, P] perception before its clip, and clipped. */
export let unclipped: usize = 0;
export let perceived: usize = 0;
/** [BLOCK, hidden]: relu(w1 y + b1) where it is not kept, and the same with its clip. */
let activations: usize = 0;
export let clippedActivations: usize = 0;
/** [BLOCK, channels]: updates before their clip. */
export let updates: usize = 0;
/** [BLOCK, channels]: gradients of the new states before the state clip, and of the updates. */
export let stateGradient: usize = 0;
export let updateGradient: usize = 0;
/** [BLOCK, hidden] */
export let hiddenGradient: usize = 0;
/** [BLOCK, P] */
export let perceptionGradient: usize = 0;
/** A word nobody reads. */
export let touched: usize = 0;
/** [BLOCK, channels] zeros. */
export let zeros: usize = 0;

let top: usize = 0;
function take(floats: i32): usize {
  const address = top;
  top += (floats << 2) + 63 & ~63;
  return address;
}

function layOutFrom(start: usize, channels: i32, hidden: i32): void {
  const cell = BLOCK * channels, hid = BLOCK * hidden;
  top = start;
  places = take(BLOCK);
  touched = take(1);
  zeros = take(cell);
  unclipped = take(4 * cell);
  perceived = take(4 * cell);
  activations = take(hid);
  clippedActivations = take(hid);
  updates = take(cell);
  stateGradient = take(cell);
  updateGradient = take(cell);
  hiddenGradient = take(hid);
  perceptionGradient = take(4 * cell);
}

export function layOut(thread: i32): void {
  layOutFrom(scratch + <usize>thread * scratchStride, channels, hidden);
  memory.fill(zeros, 0, BLOCK * channels * 4);
}

/** Bytes of working space one thread needs, a multiple of 64. */
export function ncaScratchBytes(channels: i32, hidden: i32): i32 {
  layOutFrom(0, channels, hidden);
  return <i32>top;
}

/** Whether the hidden units of this block of the band are kept from the forward pass for the backward pass. */
// @ts-ignore: decorator
@inline
export function isKept(block: i32): bool {
  return keptHidden != 0 && block < keptBlocks;
}

/** Where the hidden units relu(w1 y + b1) of a block lie, [BLOCK, hidden]. */
export function activationsOf(sample: i32, band: i32, t: i32, block: i32): usize {
  if (!isKept(block)) return activations;
  return keptHidden + <usize>((((t * batch + sample) * bands + band) * keptBlocks + block) * BLOCK * hidden) * 4;
}

/** Active cells in a block. */
export function ncaBlock(): i32 {
  return BLOCK;
}
