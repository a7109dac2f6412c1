// What the main thread and the workers of the pool have in common: the control block in shared memory and the loop
// that claims and runs bands. Plain JavaScript, so that a worker starts without a TypeScript loader.

/** The control block: Int32 slots from address 1024, Float64 arguments from 2048. */
export const CONTROL = 1024;
export const ARGUMENTS = 2048;
/** Bands not yet claimed: the only word that hands out work. */
export const REMAINING = 0;
/** Bands finished. */
export const DONE = 8;
export const BANDS = 16;
export const LIBRARY = 17;
export const KERNEL = 18;
export const ARITY = 19;
/** 1 + the index of the thread whose kernel trapped, or 0. */
export const TRAPPED = 20;

/** Looks at a shared word this often before sleeping on it: tens of microseconds, the gap between two kernels. */
export const SPINS = 4000;

/** Instantiates a compiled kernel library over the shared memory. */
export function instantiate(module, memory) {
  const abort = () => {
    throw new Error('kernel aborted');
  };
  return new WebAssembly.Instance(module, { env: { memory, abort } }).exports;
}

/**
 * Claims bands of the posted job until none is left. A claim succeeds only while the job is unfinished, and the
 * next job is posted only after the last band is done: a claimer can trust the job's description.
 */
export function runBands(control, args, thread, kernelOf) {
  for (;;) {
    const remaining = Atomics.load(control, REMAINING);
    if (remaining <= 0) return;
    if (Atomics.compareExchange(control, REMAINING, remaining, remaining - 1) !== remaining) continue;
    const bands = control[BANDS];
    try {
      const kernel = kernelOf(control[LIBRARY], control[KERNEL]);
      kernel(bands - remaining, thread, ...args.subarray(0, control[ARITY]));
    } catch {
      Atomics.store(control, TRAPPED, thread + 1);
    }
    if (Atomics.add(control, DONE, 1) + 1 === bands) Atomics.notify(control, DONE);
  }
}
