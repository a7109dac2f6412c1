// What the main thread and the workers of the pool have in common: the control block in shared memory and the loop
// that claims and runs bands. Plain JavaScript, so that a worker starts without a TypeScript loader.

/** The control block: Int32 slots from address 1024, Float64 arguments from 2048. */
export const CONTROL = 1024;
export const ARGUMENTS = 2048;
/** Bands not yet claimed, and above them the team's size (see `posted`): the only word that hands out work. */
export const REMAINING = 0;
/** Bands finished. */
export const DONE = 8;
export const BANDS = 16;
export const LIBRARY = 17;
export const KERNEL = 18;
export const ARITY = 19;
/** 1 + the index of the thread whose kernel trapped, or 0. */
export const TRAPPED = 20;
/** Counts the jobs: another number, another job. */
export const JOB = 21;
/** The index of a helper that has ended, or 0. */
export const ENDED = 22;
/** From here, a slot for each thread: what the operating system calls it, once it has started. */
export const SYSTEM_THREADS = 64;
/** Length of the control block. */
export const SLOTS = 128;

/**
 * The word that posts a job: bands in the low 20 bits, team above. Threads whose index is not below the team leave the job alone;
 * as both change in one exchange, a claim is never made on what was true of an earlier job.
 */
export const posted = (bands, team) => team * MAX_BANDS + bands;
export const MAX_BANDS = 1 << 20;

/** Is there work in this word for this thread? */
export const hasWork = (word, thread) => word % MAX_BANDS > 0 && thread < Math.floor(word / MAX_BANDS);

/** Looks at a shared word this often before sleeping on it: a fifth of a millisecond, the gap between two kernels and more. */
export const SPINS = 20000;

/** Instantiates a compiled kernel library over the shared memory. */
export function instantiate(module, memory) {
  const abort = () => {
    throw new Error('kernel aborted');
  };
  return new WebAssembly.Instance(module, { env: { memory, abort } }).exports;
}

/**
 * Claims bands of the posted job until none is left, if this thread is of the team. A claim succeeds only while the job is unfinished, and the
 * next job is posted only after the last band is done: a claimer can trust the job's description.
 */
export function runBands(control, args, thread, kernelOf) {
  let job;
  let kernel;
  let values;
  for (;;) {
    const word = Atomics.load(control, REMAINING);
    if (!hasWork(word, thread)) return;
    if (Atomics.compareExchange(control, REMAINING, word, word - 1) !== word) continue;
    const remaining = word % MAX_BANDS;
    const bands = control[BANDS];
    try {
      if (control[JOB] !== job) {
        job = control[JOB];
        kernel = kernelOf(control[LIBRARY], control[KERNEL]);
        values = Array.from(args.subarray(0, control[ARITY]));
      }
      kernel(bands - remaining, thread, ...values);
    } catch {
      Atomics.store(control, TRAPPED, thread + 1);
    }
    if (Atomics.add(control, DONE, 1) + 1 === bands) Atomics.notify(control, DONE);
  }
}

/** The last word of a helper that ends, whatever ends it: the main thread may be waiting for it. */
export function tellEnd({ memory, thread }) {
  const control = new Int32Array(memory.buffer, CONTROL, SLOTS);
  Atomics.store(control, ENDED, thread);
  Atomics.notify(control, DONE);
}

/** What a helper does all its life: sleeps until a job is posted, helps with its bands, sleeps again. `id` is what the system calls the thread. */
export function help({ memory, modules, names, thread }, id = 0) {
  const control = new Int32Array(memory.buffer, CONTROL, SLOTS);
  const args = new Float64Array(memory.buffer, ARGUMENTS, 64);
  const libraries = modules.map(module => instantiate(module, memory));
  const kernelOf = (library, kernel) => libraries[library][names[library][kernel]];
  control[SYSTEM_THREADS + thread] = id;
  for (;;) {
    let word = Atomics.load(control, REMAINING);
    // Between kernels a helper looks on for a moment; a thread that is not of the team sleeps at once.
    const mine = word === 0 || thread < Math.floor(word / MAX_BANDS);
    for (let spins = mine ? SPINS : 0; spins > 0 && !hasWork(word, thread); spins--) {
      word = Atomics.load(control, REMAINING);
    }
    if (!hasWork(word, thread)) Atomics.wait(control, REMAINING, word);
    runBands(control, args, thread, kernelOf);
  }
}
