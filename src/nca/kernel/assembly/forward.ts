// One step of a band of rows, computing only the cells whose mask bit is 1.
import { productFrom, productRelu } from "./gemm";
import {
  bands, cellBytes, channels, clipHidden, clipPerception, clipState, clipUpdate, firstRow, hidden, open, stateOf, weights, weightStride, width,
} from "./job";
import { maskWord } from "./mask";
import { biasAt, outputAt, outputBiasAt } from "./packed";
import { clamp, perceive } from "./perception";
import { activationsOf, BLOCK, clippedActivations, layOut, perceived, places, unclipped, updates } from "./scratch";
import { takeSteps } from "./team";

/** Clips every number of [from, from + bytes) to [low, high], writing to `to`. */
export function clampAll(from: usize, to: usize, bytes: i32, low: f32, high: f32): void {
  const lows = f32x4.splat(low), highs = f32x4.splat(high);
  for (let i = 0; i < bytes; i += 16) v128.store(to + i, clamp(v128.load(from + i), lows, highs));
}

/** The cells of a block made up to whole tiles, by repeating its last. */
export function padded(count: i32): i32 {
  const whole = (count + 3) & ~3;
  const last = load<u32>(places + ((count - 1) << 2));
  for (let i = count; i < whole; i++) store<u32>(places + (i << 2), last);
  return whole;
}

/** Perception of the first `count` cells of the block. */
export function look(count: i32, state: usize): void {
  perceive(count, places, state, clipPerception != Infinity ? unclipped : perceived, perceived);
}

/** Hidden units of the same cells, a multiple of 4, to `activations`. */
export function respond(count: i32, packed: usize, activations: usize): void {
  productRelu(count, hidden, 4 * channels, perceived, packed, packed + (<usize>biasAt() << 2), activations);
}

/** Clips them. Returns where they are then. */
export function clipped(count: i32, activations: usize): usize {
  if (clipHidden == Infinity) return activations;
  clampAll(activations, clippedActivations, (count * hidden) << 2, 0, clipHidden);
  return clippedActivations;
}

/** Updates of the same cells, not yet clipped. */
export function update(count: i32, packed: usize, activated: usize): void {
  const output = packed + (<usize>outputAt() << 2), bias = packed + (<usize>outputBiasAt() << 2);
  productFrom(count, channels, hidden, activated, output, bias, updates);
}

function flush(count: i32, packed: usize, activations: usize, before: usize, after: usize): void {
  const whole = padded(count);
  look(whole, before);
  respond(whole, packed, activations);
  update(whole, packed, clipped(whole, activations));
  const cell = cellBytes(), row = cell * width;
  if (clipUpdate != Infinity) clampAll(updates, updates, count * cell, -clipUpdate, clipUpdate);
  for (let i = 0; i < count; i++) {
    const y = <i32>load<u16>(places + (i << 2)), x = <i32>load<u16>(places + (i << 2), 2);
    const at = y * row + x * cell, dx = updates + i * cell;
    for (let c = 0; c < cell; c += 16) {
      v128.store(after + at + c, f32x4.add(v128.load(before + at + c), v128.load(dx + c)));
    }
    if (clipState != Infinity) clampAll(after + at, after + at, cell, -clipState, clipState);
  }
}

/** Step t of one band of one sample. */
function stepBand(sample: i32, band: i32, t: i32): void {
  const before = stateOf(sample, t), after = stateOf(sample, t + 1);
  const packed = weights + <usize>sample * weightStride;
  const row = cellBytes() * width;
  const first = firstRow(band), last = firstRow(band + 1);
  const start = first * row, bytes = (last - first) * row;
  if (clipState != Infinity) clampAll(before + start, after + start, bytes, -clipState, clipState);
  else memory.copy(after + start, before + start, bytes);
  let count = 0, flushed = 0;
  for (let y = first; y < last; y++) {
    for (let block = 0; block << 5 < width; block++) {
      for (let word = maskWord(sample, t, y, block); word != 0; word &= word - 1) {
        const x = (block << 5) + <i32>ctz(word);
        store<u32>(places + (count << 2), y | (x << 16));
        if (++count == BLOCK) {
          flush(BLOCK, packed, activationsOf(sample, band, t, flushed++), before, after);
          count = 0;
        }
      }
    }
  }
  if (count > 0) flush(count, packed, activationsOf(sample, band, t, flushed), before, after);
}

/** Kernel: steps [from, to) of sample `item`. */
export function ncaForward(item: i32, thread: i32, job: usize, from: i32, to: i32): void {
  open(job);
  layOut(thread);
  for (let t = from; t < to; t++) {
    for (let band = 0; band < bands; band++) stepBand(item, band, t);
  }
}

/** The step that a team does first. A function that is handed over captures nothing. */
let origin: i32 = 0;

/** Kernel: the part that a thread of `team` takes in steps [from, to) of all samples; see team.ts. The schedule was cleared. */
export function ncaForwardTeam(item: i32, thread: i32, job: usize, from: i32, to: i32, team: i32): void {
  open(job);
  layOut(thread);
  origin = from;
  takeSteps(thread, team, to - from, (sample, band, n) => stepBand(sample, band, origin + n));
}
