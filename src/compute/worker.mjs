// A worker of the pool in Node.
import { readlinkSync } from 'node:fs';
import { workerData } from 'node:worker_threads';
import { help } from './team.mjs';

// Linux tells a thread its number: by it the main thread, which waits without an event loop, sees whether this one still lives.
let id = 0;
try {
  id = Number(readlinkSync('/proc/thread-self').split('/').at(-1));
} catch {}
help(workerData, id);
