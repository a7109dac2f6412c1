// A worker of the pool in Node.
import { readlinkSync } from 'node:fs';
import { workerData } from 'node:worker_threads';
import { help, tellEnd } from './team.mjs';

// Linux tells a thread its number: by it the main thread, which waits without an event loop, sees whether this one still lives.
let id = 0;
try {
  id = Number(readlinkSync('/proc/thread-self').split('/').at(-1));
} catch {}
// An error or an exit, on any system, is told by the thread itself.
process.on('exit', () => tellEnd(workerData));
help(workerData, id);
