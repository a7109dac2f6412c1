// Part of `npm run check`: the order of the house, held by its imports. Imports go down the floors and never up; a folder is entered by its
// index.ts and nothing deeper; no file, types included, is reached from itself.
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve, sep } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..');

/** From top to bottom; folders of one line do not know each other. */
const FLOORS = [
  ['src/cli'],
  ['experiments'],
  ['src/index.ts', 'src/testing'],
  ['src/experiment'],
  ['src/runs'],
  ['src/report'],
  ['src/evaluation'],
  ['src/training'],
  ['src/diffusion'],
  ['src/denoisers'],
  ['graphs', 'src/conditioning'],
  ['src/data'],
  ['src/nca'],
  ['src/tensor', 'src/formats'],
  ['src/compute'],
  ['src/config'],
];
/** Experiments are written against the public faces alone: the short one, and those of the groups. */
const isFace = path => path === 'src/index.ts' || /^(src\/[a-z]+|graphs)\/index\.ts$/.test(path);

const folderOf = file =>
  FLOORS.flat().find(name => file === name || file.startsWith(`${name}/`)) ?? dirname(file);
const floorOf = folder => FLOORS.findIndex(names => names.includes(folder));

const files = ['src', 'graphs', 'experiments']
  .flatMap(folder =>
    readdirSync(join(root, folder), { recursive: true }).map(name => join(folder, String(name))),
  )
  .map(name => name.split(sep).join('/'))
  .filter(name => name.endsWith('.ts') && !/\/(assembly|build|templates)\//.test(name));
const isTest = file => file.endsWith('.test.ts');

/** Relative imports of a file, as paths from the root. */
const importsOf = new Map(
  files.map(file => {
    const text = readFileSync(join(root, file), 'utf8');
    const found = text.matchAll(/(?:\bfrom|\bimport)\s*\(?\s*'(\.{1,2}\/[^']+)'/g);
    return [
      file,
      [...new Set([...found].map(([, path]) => relative(root, resolve(root, dirname(file), path))))].map(
        path => path.split(sep).join('/'),
      ),
    ];
  }),
);

const faults = [];
for (const [file, imports] of importsOf) {
  if (isTest(file)) continue;
  const home = folderOf(file);
  for (const path of imports) {
    const other = folderOf(path);
    if (other === home || path.endsWith('.mjs')) continue;
    if (floorOf(home) < 0 || floorOf(other) < 0) faults.push(`${file}: ${path} is on no floor`);
    else if (floorOf(other) <= floorOf(home)) {
      faults.push(`${file}: imports ${path}, which does not lie below ${home}`);
    }
    if (home === 'experiments' && !isFace(path))
      faults.push(`${file}: imports ${path} instead of a public face`);
    else if (path !== other && path !== `${other}/index.ts`)
      faults.push(`${file}: imports ${path} instead of ${other}/index.ts`);
  }
}

/** Circles: depth first, each named once. */
const done = new Set();
const way = [];
function visit(file) {
  const at = way.indexOf(file);
  if (at >= 0) {
    faults.push(`a circle: ${[...way.slice(at), file].join(' -> ')}`);
    return;
  }
  if (done.has(file) || !importsOf.has(file)) return;
  done.add(file);
  way.push(file);
  for (const path of importsOf.get(file)) visit(path);
  way.pop();
}
for (const file of files) visit(file);

for (const fault of faults) console.error(fault);
console.error(`house: ${files.length} files, ${faults.length} faults`);
process.exit(faults.length > 0 ? 1 : 0);
