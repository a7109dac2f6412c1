/** Writes `value` to floats [band * chunk, (band + 1) * chunk) of `out`, up to `length`. */
export function fill(band: i32, thread: i32, out: usize, length: i32, chunk: i32, value: f32): void {
  const start = band * chunk;
  const end = min(start + chunk, length);
  for (let i = start; i < end; i++) store<f32>(out + (<usize>i << 2), value);
}

/** Notes which thread ran a band: for tests of the pool. */
export function whichThread(band: i32, thread: i32, out: usize): void {
  store<f32>(out + (<usize>band << 2), <f32>thread);
}
