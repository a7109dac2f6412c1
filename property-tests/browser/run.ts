// `npm run test:browser`: every view of the studio and a live report, driven in a real browser by clicking. Outside `npm test`, which needs no browser.
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const folder = fileURLToPath(new URL('.', import.meta.url));
const wanted = process.argv.slice(2);
const files = readdirSync(folder).filter(
  name => name.endsWith('.browser.ts') && (wanted.length === 0 || wanted.some(part => name.includes(part))),
);
let failed = false;
for (const file of files.sort()) {
  console.log(file);
  const { status } = spawnSync(
    process.execPath,
    ['--import', 'tsx', '--conditions=weightloom-sources', `${folder}${file}`],
    { stdio: 'inherit' },
  );
  failed ||= status !== 0;
}
process.exit(failed ? 1 : 0);
