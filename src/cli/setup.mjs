// Runs before `npm start`, `npm test` and `npm run bench`: installs the dependencies when they are missing or
// older than the lock file, then compiles the kernels, and the script of reports, when their sources changed. Plain JavaScript, no
// dependency: on a fresh clone nothing else can run yet.
import './preflight.mjs';
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
const stamp = join(root, 'node_modules', '.weightloom-setup');

const wanted = createHash('sha256')
  .update(readFileSync(join(root, 'package.json')))
  .update(readFileSync(join(root, 'package-lock.json')))
  .update(process.version)
  .digest('hex');

if (!existsSync(stamp) || readFileSync(stamp, 'utf8') !== wanted) {
  console.error('weightloom: installing dependencies (once) ...');
  const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm';
  const { status } = spawnSync(npm, ['ci', '--no-audit', '--no-fund', '--loglevel=error'], {
    cwd: root,
    stdio: ['ignore', 'inherit', 'inherit'],
    shell: process.platform === 'win32',
  });
  if (status !== 0) {
    console.error('weightloom: `npm ci` failed; its message stands above. Is the npm registry reachable?');
    process.exit(1);
  }
  writeFileSync(stamp, wanted);
}

const { ensureKernels, preferredBuilds } = await import('../compute/build.mjs');
// A report holds the build that every browser runs.
await ensureKernels([...new Set([...preferredBuilds().slice(0, 1), 'simd'])]);
const { ensureProgram } = await import('../report/browser.mjs');
await ensureProgram('report');
