#!/usr/bin/env node
// The `weightloom` command: makes sure kernels are compiled, lets Node read TypeScript, and hands over to main.ts.
import './preflight.mjs';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
if (existsSync(join(root, 'node_modules')) || !existsSync(join(root, 'package-lock.json'))) {
  const { ensureKernels } = await import('../compute/build.mjs');
  await ensureKernels();
} else {
  await import('./setup.mjs');
}
await import('tsx');
const { main } = await import('./main.ts');
await main(process.argv.slice(2));
