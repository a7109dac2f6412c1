// Part of `npm run check`: the order of the house, held by its imports. Imports go down the floors and never up; a folder is entered by its
// index.ts (or web.ts, what it has for browsers alone) and nothing deeper; no file, types included, is reached from itself. What a page may
// load needs nothing of Node. And what a group shows is described: every export of its face has a docstring.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve, sep } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..');

/** From top to bottom; folders of one line do not know each other. */
const FLOORS = [
  ['src/cli'],
  ['src/studio'],
  ['experiments'],
  ['src/index.ts', 'src/testing'],
  ['src/export'],
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

/** Second faces: what a page may load too. Nothing that is reached from them imports a package or Node. */
const PAGE_FACES = ['src/compute/gpu/index.ts', 'src/nca/gpu/browser.ts'];

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
    else if (![other, `${other}/index.ts`, `${other}/web.ts`, ...PAGE_FACES].includes(path))
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

/** What a file loads when it runs: types are gone by then. */
const LOADED = /^(?:import|export)(?! type\b) (?:[\w*{][^;=()'`]*? from )?'([^']+)'|\bimport\('([^']+)'/gm;
const seen = new Map();
function load(file, from) {
  if (seen.has(file)) return;
  seen.set(file, from);
  for (const [, plain, late] of readFileSync(join(root, file), 'utf8').matchAll(LOADED)) {
    const path = plain ?? late;
    if (path.startsWith('.'))
      load(
        relative(root, resolve(root, dirname(file), path))
          .split(sep)
          .join('/'),
        file,
      );
    else faults.push(`${file}: imports ${path}, and a page loads this file (from ${from})`);
  }
}
for (const face of PAGE_FACES) load(face, 'a page');

/** Docstrings: where each export of a group's face is declared, through re-exports, renames and `export *`. */
const DECLARATION =
  /^export (?:declare |abstract |async )*(?:const|let|function\*?|class|interface|type|enum) (\w+)/gm;
const STAR = /^export \* (?:as (\w+) )?from '([^']+)'/gm;
const LIST = /^(?:export|import) (?:type )?\{([^}]*)\}(?: from '([^']+)')?/gm;

const texts = new Map();
function textOf(file) {
  if (!texts.has(file)) texts.set(file, readFileSync(join(root, file), 'utf8'));
  return texts.get(file);
}

/** A relative path as a file from the root; the types of plain JavaScript stand beside it. */
function target(file, from) {
  const path = relative(root, resolve(root, dirname(file), from))
    .split(sep)
    .join('/');
  const types = path.replace(/\.mjs$/, '.d.mts');
  return existsSync(join(root, types)) ? types : path;
}

/** What stands between the braces of an import or export: the name there and the name here. */
const namesIn = list =>
  list
    .replace(/\/\/.*/g, '')
    .split(',')
    .map(item => item.trim().replace(/^type /, ''))
    .filter(item => item !== '')
    .map(item => item.split(' as '))
    .map(([there, here = there]) => ({ there, here }));

const declarations = new Map();
/** The exports of a file by name: the file and the place in it where each is declared; of a package's, where it is passed on. */
function declarationsOf(file) {
  const known = declarations.get(file);
  if (known) return known;
  const found = new Map();
  declarations.set(file, found);
  const text = textOf(file);
  // Of a function with overloads the first counts.
  for (const { 1: name, index } of text.matchAll(DECLARATION)) {
    if (!found.has(name)) found.set(name, { file, index });
  }
  for (const { 1: name, 2: from, index } of text.matchAll(STAR)) {
    if (name) found.set(name, { file, index });
    else for (const [other, place] of declarationsOf(target(file, from))) found.set(other, place);
  }
  const lists = [...text.matchAll(LIST)];
  const imported = new Map(
    lists
      .filter(([whole]) => whole.startsWith('import'))
      .flatMap(({ 1: list, 2: from }) => namesIn(list).map(({ there, here }) => [here, { there, from }])),
  );
  for (const { 0: whole, 1: list, 2: origin, index } of lists) {
    if (whole.startsWith('import')) continue;
    for (const { there, here } of namesIn(list)) {
      const { there: name, from } = origin ? { there, from: origin } : (imported.get(there) ?? { there });
      const place = from?.startsWith('.') && declarationsOf(target(file, from)).get(name);
      found.set(here, place || { file, index });
    }
  }
  return found;
}

/** Nothing but directives of the linter may stand between a docstring and what it describes. */
const DOCUMENTED = /\/\*\*(?:(?!\*\/)[\s\S])*\*\/\n(?:\/\/.*\n)*$/;
let shown = 0;
for (const face of files) {
  if (!isFace(face)) continue;
  for (const [name, { file, index }] of declarationsOf(face)) {
    shown++;
    if (!DOCUMENTED.test(textOf(file).slice(0, index))) {
      faults.push(`${file}: ${name}, an export of ${face}, has no docstring directly above it`);
    }
  }
}

for (const fault of faults) console.error(fault);
console.error(`house: ${files.length} files, ${shown} exports, ${faults.length} faults`);
process.exit(faults.length > 0 ? 1 : 0);
