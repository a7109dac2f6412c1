// How a team of threads takes the bands of few samples through many steps in one call.
//
// A thread goes through the bands of all samples step by step, its own part of them first, and does those that no other thread has claimed for the
// step. So the states of its part stay in its core's cache, and a thread that is ahead helps the others out. Before it does a band it waits until
// the band and its two neighbours are through the step before, for nothing else is read or overwritten. All these are claimed by then, each in the
// hands of some thread that runs: so threads may join late or not at all, and no step ends with a barrier.
import { bands, batch, schedule } from "./job";

/** Looks at a word so often before sleeping on it: about ten microseconds. */
const SPINS: i32 = 10000;

// The schedule in shared memory, zeros at first. For every band (counted over all samples, here and below): the steps it was claimed for,
// and after these words the steps it is through.

/** Bytes of the schedule. */
export function ncaScheduleBytes(batch: i32, bands: i32): i32 {
  return (batch * bands) << 3;
}

/**
 * The band that thread `thread` of `team` looks at as its `k`-th in a step. Every other step begins in the middle of its part: so the first band's
 * neighbour in the part before, which that thread did last or nearly, is wanted half a part later.
 */
function bandInOrder(k: i32, step: i32, thread: i32, team: i32): i32 {
  const all = batch * bands;
  const part = (all + team - 1) / team;
  const at = k < part ? (k + (step & 1) * (part >> 1)) % part : k;
  return (thread * all / team + at) % all;
}

/** A thread's part in `steps` steps of all samples: `take(sample, band, n)` for the n-th of them, wherever no other thread has claimed it. */
export function takeSteps(thread: i32, team: i32, steps: i32, take: (sample: i32, band: i32, n: i32) => void): void {
  for (let step = 0; step < steps; step++) {
    for (let k = 0; k < batch * bands; k++) {
      const band = bandInOrder(k, step, thread, team);
      if (!claim(band, step)) continue;
      ready(band, step);
      take(band / bands, band % bands, step);
      done(band, step);
    }
  }
}

/** Claims a band for a step. False if another thread has. */
function claim(band: i32, step: i32): bool {
  const word = schedule + (band << 2);
  return atomic.load<i32>(word) == step && atomic.cmpxchg<i32>(word, step, step + 1) == step;
}

// @ts-ignore: decorator
@inline
function progress(band: i32): usize {
  return schedule + ((batch * bands + band) << 2);
}

function waitFor(band: i32, step: i32): void {
  const word = progress(band);
  for (let spins = 0; ; spins++) {
    const seen = atomic.load<i32>(word);
    if (seen >= step) return;
    if (spins >= SPINS) atomic.wait<i32>(word, seen, -1);
  }
}

/** Waits until a band can be taken through a step. */
function ready(band: i32, step: i32): void {
  const first = band - band % bands, last = first + bands - 1;
  waitFor(band, step);
  waitFor(band == first ? last : band - 1, step);
  waitFor(band == last ? first : band + 1, step);
}

/** Says that a band is through a step. */
function done(band: i32, step: i32): void {
  atomic.store<i32>(progress(band), step + 1);
  atomic.notify(progress(band), -1);
}
