// How a team of threads takes the bands of few samples through many steps in one call.
//
// An item is one step of one band. Items are claimed in a fixed order from a shared counter; before a thread does one it waits until the band and
// its two neighbours are through the step before, for nothing else is read or overwritten. Every item waits only for items that were claimed
// earlier, each of them in the hands of some thread that runs: so threads may join late or not at all, and no step ends with a barrier.
import { bands, batch, schedule } from "./job";

/** Looks at a word so often before sleeping on it: about ten microseconds. */
const SPINS: i32 = 10000;

// The schedule in shared memory, zeros at first: the next item; and 64 bytes on, for every band of every sample, the steps it is through.
// @ts-ignore: decorator
@inline
function progress(sample: i32, band: i32): usize {
  return schedule + 64 + ((sample * bands + band) << 2);
}

/** Bytes of the schedule. */
export function ncaScheduleBytes(batch: i32, bands: i32): i32 {
  return 64 + ((batch * bands) << 2);
}

/** The next item of a run of `steps` steps, or -1 when none is left: an item counts over steps, then samples, then bands. */
export function claim(steps: i32): i32 {
  const item = atomic.add<i32>(schedule, 1);
  return item < steps * batch * bands ? item : -1;
}

/** Which step of the run an item is of. */
export function stepOf(item: i32): i32 {
  return item / (batch * bands);
}

export function sampleOf(item: i32): i32 {
  return item % (batch * bands) / bands;
}

/** A step begins half a picture away from where the one before began: the bands it wants first are long done. */
export function bandOf(item: i32): i32 {
  const turn = (stepOf(item) & 1) * (bands >> 1);
  return (item + turn) % bands;
}

function waitFor(band: usize, steps: i32): void {
  for (let spins = 0; ; spins++) {
    const seen = atomic.load<i32>(band);
    if (seen >= steps) return;
    if (spins >= SPINS) atomic.wait<i32>(band, seen, -1);
  }
}

/** Waits until an item may be done. */
export function ready(item: i32): void {
  const step = stepOf(item), sample = sampleOf(item), band = bandOf(item);
  waitFor(progress(sample, band), step);
  waitFor(progress(sample, band == 0 ? bands - 1 : band - 1), step);
  waitFor(progress(sample, band == bands - 1 ? 0 : band + 1), step);
}

/** Says that an item is done. */
export function done(item: i32): void {
  const band = progress(sampleOf(item), bandOf(item));
  atomic.store<i32>(band, stepOf(item) + 1);
  atomic.notify(band, -1);
}
