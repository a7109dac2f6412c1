/** `npm run bench -- NAME [...]`: runs bench/NAME.bench.ts, which reads the other words itself; without a name, lists what there is. */
import { readdirSync } from 'node:fs';

const folder = new URL('./', import.meta.url);
const name = process.argv[2];
const known = readdirSync(folder)
  .filter(file => file.endsWith('.bench.ts'))
  .map(file => file.slice(0, -'.bench.ts'.length))
  .sort();
if (name === undefined) {
  console.log(`benchmarks: ${known.join(', ')}. Run one with: npm run bench -- NAME`);
} else if (known.includes(name)) {
  await import(new URL(`${name}.bench.ts`, folder).href);
} else {
  console.error(`no benchmark is called "${name}"; there are: ${known.join(', ')}`);
  process.exitCode = 2;
}
