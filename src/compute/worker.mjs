// A worker of the pool: sleeps until a job is posted, helps with its bands, sleeps again.
import { parentPort, workerData } from 'node:worker_threads';
import { ARGUMENTS, CONTROL, instantiate, REMAINING, runBands, SPINS } from './team.mjs';

const { memory, modules, names, thread } = workerData;
const control = new Int32Array(memory.buffer, CONTROL, 64);
const args = new Float64Array(memory.buffer, ARGUMENTS, 64);
const libraries = modules.map(module => instantiate(module, memory));
const kernelOf = (library, kernel) => libraries[library][names[library][kernel]];

parentPort.postMessage('ready');
for (;;) {
  let spins = SPINS;
  while (Atomics.load(control, REMAINING) <= 0 && --spins > 0);
  if (spins === 0) Atomics.wait(control, REMAINING, 0);
  runBands(control, args, thread, kernelOf);
}
