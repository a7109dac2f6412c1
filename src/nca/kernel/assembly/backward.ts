// The transpose of a step. Perception is computed again from the state before the step; hidden units are where they were not kept.
//
// The gradient of a state lies in bands of rows, each with one more row above and below: what its cells send across the border. Before a band
// is used the two rows its neighbours hold for it are added; so bands never write to the same place, and the order of every sum is fixed.
// There are two such buffers, for even and odd steps. Weight gradients are summed per band, over all steps.
import { clipped, look, padded, respond, update } from "./forward";
import { outerProduct, product, productGated, sumRows } from "./gemm";
import {
  bands, cellBytes, channels, clipHidden, clipPerception, clipState, clipUpdate, firstGradient, firstRow, height, hidden, lastGradient, open,
  outputBias, stateGradients, stateGradientStride, stateOf, weightGradients, weights, weightStride, width,
} from "./job";
import { maskWord } from "./mask";
import { biasAt, gradientLength, outputAt, outputBiasAt, outputTransposedAt, transposedAt } from "./packed";
import { clamp, inside, scatter } from "./perception";
import {
  activationsOf, BLOCK, hiddenGradient, isKept, layOut, perceived, perceptionGradient, places, stateGradient, touched, unclipped, updateGradient,
  updates, zeros,
} from "./scratch";
import { takeSteps } from "./team";

/** First own row of a band in the buffer of step t. */
// @ts-ignore: decorator
@inline
function bandRows(sample: i32, band: i32, t: i32): usize {
  const row = cellBytes() * width;
  const buffer = stateGradients + <usize>(2 * sample + (t & 1)) * stateGradientStride;
  return buffer + (firstRow(band) + 2 * band + 1) * row;
}

// @ts-ignore: decorator
@inline
function addTo(to: usize, from: usize, bytes: i32): void {
  for (let i = 0; i < bytes; i += 16) v128.store(to + i, f32x4.add(v128.load(to + i), v128.load(from + i)));
}

// @ts-ignore: decorator
@inline
function copy(to: usize, from: usize, bytes: i32): void {
  for (let i = 0; i < bytes; i += 16) v128.store(to + i, v128.load(from + i));
}

/** Adds what the neighbouring bands hold for this one. */
function gather(sample: i32, band: i32, t: i32): void {
  const row = cellBytes() * width;
  const rows = firstRow(band + 1) - firstRow(band);
  const own = bandRows(sample, band, t);
  const above = band == 0 ? bands - 1 : band - 1, below = band == bands - 1 ? 0 : band + 1;
  addTo(own, bandRows(sample, above, t) + (firstRow(above + 1) - firstRow(above)) * row, row);
  addTo(own + (rows - 1) * row, bandRows(sample, below, t) - row, row);
}

/** Takes the gradients of the block's new states back through the state clip and the update clip. `activated`: its clipped hidden units. */
function unclip(count: i32, before: usize, packed: usize, activated: usize): void {
  const cell = cellBytes(), row = cell * width;
  update(count, packed, activated);
  const low = f32x4.splat(-clipUpdate), high = f32x4.splat(clipUpdate), limit = f32x4.splat(clipState);
  for (let i = 0; i < count; i++) {
    const y = <i32>load<u16>(places + (i << 2)), x = <i32>load<u16>(places + (i << 2), 2);
    const state = before + y * row + x * cell;
    for (let c = 0; c < cell; c += 16) {
      const at = i * cell + c;
      const dx = v128.load(updates + at);
      const next = f32x4.add(v128.load(state + c), clamp(dx, low, high));
      const g = inside(v128.load(updateGradient + at), next, limit);
      v128.store(stateGradient + at, g);
      v128.store(updateGradient + at, inside(g, dx, high));
    }
  }
}

/**
 * Reads one word of every cache line, so that they are fetched all at once: what was kept steps ago lies in main memory, and the product that
 * wants it would wait for line after line.
 */
function touch(from: usize, bytes: i32): void {
  let word: u32 = 0;
  for (let i = 0; i < bytes; i += 64) word |= load<u32>(from + i);
  store<u32>(touched, word);
}

/**
 * Takes up `count` cells: their gradients in the rows of the later state at `from` are added to the weights' sums and to the rows of the earlier
 * state's gradient at `to` (both begin with row `first` of the picture).
 */
function flush(
  count: i32, packed: usize, activations: usize, kept: bool, sums: usize, before: usize, from: usize, to: usize, first: i32,
): void {
  const C = channels, P = 4 * C, N = hidden, cell = cellBytes(), row = cell * width;
  const whole = padded(count);
  for (let i = 0; i < whole; i++) {
    const y = <i32>load<u16>(places + (i << 2)), x = <i32>load<u16>(places + (i << 2), 2);
    copy(updateGradient + i * cell, from + (y - first) * row + x * cell, cell);
  }
  if (kept) touch(activations, count * hidden << 2);
  look(whole, before);
  if (!kept) respond(whole, packed, activations);
  const activated = clipped(whole, activations);
  if (clipUpdate != Infinity || clipState != Infinity) unclip(whole, before, packed, activated);
  const output = packed + (<usize>outputTransposedAt() << 2);
  // What is repeated to fill the block counts for nothing.
  memory.fill(updateGradient + count * cell, 0, (whole - count) * cell);
  productGated(whole, N, C, updateGradient, output, activations, clipHidden, hiddenGradient, sums + (<usize>biasAt() << 2));
  outerProduct(C, N, count, updateGradient, activated, sums + (<usize>outputAt() << 2));
  outerProduct(N, P, count, hiddenGradient, perceived, sums);
  if (outputBias) sumRows(count, C, updateGradient, sums + (<usize>outputBiasAt() << 2));
  product(whole, P, N, hiddenGradient, packed + (<usize>transposedAt() << 2), perceptionGradient);
  if (clipPerception != Infinity) {
    const limit = f32x4.splat(clipPerception);
    for (let i = 0; i < count * 4 * cell; i += 16) {
      const g = v128.load(perceptionGradient + i);
      v128.store(perceptionGradient + i, inside(g, v128.load(unclipped + i), limit));
    }
  }
  // Without a state clip the cells' own gradients are already there (see carry).
  const own = clipState != Infinity ? stateGradient : zeros;
  scatter(count, places, perceptionGradient, own, to, first);
}

/** The gradient that reaches the cells of a band past their update: where the state clip is active, none. */
function carry(sample: i32, t: i32, first: i32, last: i32, before: usize, from: usize, to: usize): void {
  const cell = cellBytes(), row = cell * width;
  if (clipState == Infinity) {
    memory.copy(to, from, (last - first) * row);
    return;
  }
  const limit = f32x4.splat(clipState);
  for (let y = first; y < last; y++) {
    let word: u32 = 0;
    for (let x = 0; x < width; x++) {
      if ((x & 31) == 0) word = maskWord(sample, t, y, x >> 5);
      // An updated cell's own gradient follows with its update.
      const active = ((word >> (x & 31)) & 1) != 0;
      const at = (y - first) * row + x * cell;
      const state = before + y * row + x * cell;
      for (let c = 0; c < cell; c += 16) {
        v128.store(to + at + c, active ? f32x4.splat(0) : inside(v128.load(from + at + c), v128.load(state + c), limit));
      }
    }
  }
}

/** Step t of one band of one sample. */
function stepBand(sample: i32, band: i32, t: i32): void {
  const row = cellBytes() * width;
  const before = stateOf(sample, t);
  const packed = weights + <usize>sample * weightStride;
  const sums = weightGradients + <usize>(sample * bands + band) * gradientLength() * 4;
  const first = firstRow(band), last = firstRow(band + 1);
  const from = bandRows(sample, band, t + 1), to = bandRows(sample, band, t);
  gather(sample, band, t + 1);
  memory.fill(to - row, 0, row);
  memory.fill(to + (last - first) * row, 0, row);
  carry(sample, t, first, last, before, from, to);
  let count = 0, flushed = 0;
  for (let y = first; y < last; y++) {
    for (let block = 0; block << 5 < width; block++) {
      for (let word = maskWord(sample, t, y, block); word != 0; word &= word - 1) {
        const x = (block << 5) + <i32>ctz(word);
        store<u32>(places + (count << 2), y | (x << 16));
        if (++count == BLOCK) {
          flush(BLOCK, packed, activationsOf(sample, band, t, flushed), isKept(flushed), sums, before, from, to, first);
          flushed++;
          count = 0;
        }
      }
    }
  }
  if (count == 0) return;
  flush(count, packed, activationsOf(sample, band, t, flushed), isKept(flushed), sums, before, from, to, first);
}

/** Kernel: takes up the gradient of the last state (after step `steps`) for band `item` (counted over all samples), and clears its sums. */
export function ncaBeginGradient(item: i32, thread: i32, job: usize, steps: i32): void {
  open(job);
  const sample = item / bands, band = item % bands;
  const row = cellBytes() * width;
  const first = firstRow(band), bytes = (firstRow(band + 1) - first) * row;
  const to = bandRows(sample, band, steps);
  memory.fill(to - row, 0, row);
  memory.fill(to + bytes, 0, row);
  memory.copy(to, lastGradient + (sample * height + first) * row, bytes);
  memory.fill(weightGradients + <usize>item * gradientLength() * 4, 0, <usize>gradientLength() * 4);
}

/** Kernel: hands out the gradient of the first state of band `item`. */
export function ncaEndGradient(item: i32, thread: i32, job: usize): void {
  open(job);
  const sample = item / bands, band = item % bands;
  const row = cellBytes() * width;
  const first = firstRow(band), bytes = (firstRow(band + 1) - first) * row;
  gather(sample, band, 0);
  memory.copy(firstGradient + (sample * height + first) * row, bandRows(sample, band, 0), bytes);
}

/** Kernel: steps [from, to) of sample `item`, last first. */
export function ncaBackward(item: i32, thread: i32, job: usize, from: i32, to: i32): void {
  open(job);
  layOut(thread);
  for (let t = to - 1; t >= from; t--) {
    for (let band = 0; band < bands; band++) stepBand(item, band, t);
  }
}

/** The step that a team does first. A function that is handed over captures nothing. */
let origin: i32 = 0;

/** Kernel: the part that a thread of `team` takes in steps [from, to) of all samples, last first; see team.ts. The schedule was cleared. */
export function ncaBackwardTeam(item: i32, thread: i32, job: usize, from: i32, to: i32, team: i32): void {
  open(job);
  layOut(thread);
  origin = to - 1;
  takeSteps(thread, team, to - from, (sample, band, n) => stepBand(sample, band, origin - n));
}
