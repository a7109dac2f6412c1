#!/usr/bin/env node
// The `weightloom` command. An installed package runs the JavaScript in dist/; a clone makes sure that dependencies and kernels are there, lets Node read
// TypeScript, and runs its sources.
import './preflight.mjs';
import { existsSync } from 'node:fs';

const here = path => new URL(path, import.meta.url);
if (existsSync(here('main.ts'))) {
  if (existsSync(here('../../node_modules'))) {
    const { ensureKernels } = await import('../compute/build.mjs');
    await ensureKernels();
  } else {
    await import('./setup.mjs');
  }
  await import('tsx');
}
const { main } = await import(existsSync(here('main.ts')) ? './main.ts' : '../../dist/src/cli/main.js');
await main(process.argv.slice(2));
