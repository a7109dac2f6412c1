/**
 * kill -9 at random moments of `run`, `zoo build`, a sweep and `train`: each goes on to what it would have come to undisturbed.
 *
 *     npm run kills                      ten kills of each
 *     npm run kills -- 3 7 train zoo     three of these two, seed 7
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as jobs from './jobs.ts';
import { killAndCompare } from './kill.ts';

const [count = '10', seed = '1', ...wanted] = process.argv.slice(2);
const folder = mkdtempSync(join(tmpdir(), 'weightloom-kills-'));
let faulty = false;
for (const [name, job] of Object.entries(jobs)) {
  if (wanted.length > 0 && !wanted.includes(name)) continue;
  const { moments, tries, faults } = await killAndCompare(
    job,
    join(folder, name),
    Number(count),
    Number(seed),
  );
  const when = moments.map(moment => moment.toFixed(2)).join(', ');
  console.log(
    `${name}: killed ${moments.length} times (after ${when} s), ${tries} tries, ${faults.length} faults`,
  );
  for (const fault of faults) console.log(`  ${fault}`);
  faulty ||= faults.length > 0;
}
if (faulty) console.log(`what came of it is in ${folder}`);
else rmSync(folder, { recursive: true });
process.exitCode = faulty ? 1 : 0;
