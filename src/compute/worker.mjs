// A worker of the pool: sleeps until a job is posted, helps with its bands, sleeps again.
import { readlinkSync } from 'node:fs';
import { workerData } from 'node:worker_threads';
import {
  ARGUMENTS,
  CONTROL,
  hasWork,
  instantiate,
  MAX_BANDS,
  REMAINING,
  runBands,
  SLOTS,
  SPINS,
  SYSTEM_THREADS,
} from './team.mjs';

const { memory, modules, names, thread } = workerData;
const control = new Int32Array(memory.buffer, CONTROL, SLOTS);
const args = new Float64Array(memory.buffer, ARGUMENTS, 64);
const libraries = modules.map(module => instantiate(module, memory));
const kernelOf = (library, kernel) => libraries[library][names[library][kernel]];

// Linux tells a thread its number: by it the main thread, which waits without an event loop, sees whether this one still lives.
try {
  control[SYSTEM_THREADS + thread] = Number(readlinkSync('/proc/thread-self').split('/').at(-1));
} catch {}
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
