// `npm test [-- PATH-PART ...]`: every *.test.ts (uvu) in a process of its own, as many at a time as there are cores,
// gathered by Node's test runner. `npm run test:gpu`: every *.gpu.test.ts, one at a time, on the adapter that WEIGHTLOOM_GPU names, else on
// software Vulkan (Mesa 25 or newer).
import { spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { stripVTControlCharacters } from 'node:util';

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
const onGpu = process.argv.includes('--gpu');
const wanted = process.argv.slice(2).filter(word => word !== '--gpu');
const files = ['src', 'graphs', 'experiments', 'property-tests', 'bench']
  .flatMap(folder =>
    readdirSync(join(root, folder), { recursive: true }).map(name => join(folder, String(name))),
  )
  .filter(name => name.endsWith('.test.ts') && name.endsWith('.gpu.test.ts') === onGpu)
  .filter(name => wanted.length === 0 || wanted.some(part => name.includes(part)))
  .sort();
if (files.length === 0) {
  console.error(`no test file matches ${wanted.join(' ')}`);
  process.exit(2);
}
const run = spawn(
  process.execPath,
  [
    '--import',
    'tsx',
    // What the package's exports call the sources: templates are tested as a user's files, which import 'weightloom'.
    '--conditions=weightloom-sources',
    '--test',
    `--test-concurrency=${onGpu ? 1 : availableParallelism()}`,
    `--test-reporter=${process.stdout.isTTY ? 'spec' : 'tap'}`,
    ...files,
  ],
  {
    cwd: root,
    stdio: ['inherit', 'pipe', 'inherit'],
    env: {
      WEIGHTLOOM_THREADS: '2',
      // lavapipe would take all cores.
      ...(onGpu ? { WEIGHTLOOM_GPU: 'llvmpipe', LP_NUM_THREADS: '1' } : {}),
      ...process.env,
    },
  },
);
// A uvu suite whose `before` throws runs nothing and still ends well: its tests are counted.
const counts = { Total: 0, Passed: 0, Skipped: 0 };
createInterface({ input: run.stdout }).on('line', line => {
  console.log(line);
  const [, name, count] = /\b(Total|Passed|Skipped): +(\d+)/.exec(stripVTControlCharacters(line)) ?? [];
  if (name) counts[name] += Number(count);
});
run.on('close', status => {
  const lost = counts.Total - counts.Passed - counts.Skipped;
  if (status === 0 && lost > 0) console.error(`${lost} tests neither passed nor failed: they never ran`);
  process.exit(status || (lost > 0 ? 1 : 0));
});
