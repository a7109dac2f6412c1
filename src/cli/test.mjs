// `npm test [-- PATH-PART ...]`: every *.test.ts (uvu) in a process of its own, as many at a time as there are cores,
// gathered by Node's test runner.
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
const wanted = process.argv.slice(2);
const files = ['src', 'graphs', 'experiments', 'property-tests', 'bench']
  .flatMap(folder =>
    readdirSync(join(root, folder), { recursive: true }).map(name => join(folder, String(name))),
  )
  .filter(name => name.endsWith('.test.ts'))
  .filter(name => wanted.length === 0 || wanted.some(part => name.includes(part)))
  .sort();
if (files.length === 0) {
  console.error(`no test file matches ${wanted.join(' ')}`);
  process.exit(2);
}
const { status } = spawnSync(
  process.execPath,
  ['--import', 'tsx', '--test', `--test-concurrency=${availableParallelism()}`, ...files],
  {
    cwd: root,
    stdio: 'inherit',
    env: { ...process.env, WEIGHTLOOM_THREADS: process.env.WEIGHTLOOM_THREADS ?? '2' },
  },
);
process.exit(status ?? 1);
