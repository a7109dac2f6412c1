/** `npm run bench -- NAME ...`: runs bench/NAME.bench.ts; without a name, lists what there is. */
import { existsSync, readdirSync } from 'node:fs';

const folder = new URL('./', import.meta.url);
const names = process.argv.slice(2).filter(word => !word.startsWith('-'));
const known = readdirSync(folder)
  .filter(name => name.endsWith('.bench.ts'))
  .map(name => name.slice(0, -'.bench.ts'.length))
  .sort();
if (names.length === 0) console.log(`benchmarks: ${known.join(', ')}. Run one with: npm run bench -- NAME`);
for (const name of names) {
  const file = new URL(`${name}.bench.ts`, folder);
  if (!known.includes(name) || !existsSync(file)) {
    console.error(`no benchmark is called "${name}"; there are: ${known.join(', ')}`);
    process.exitCode = 2;
    break;
  }
  await import(file.href);
}
