// Builds what runs in a browser, with Vite: the studio's page and the script of a live report. A hash of all sources decides whether there is anything to do.
// An installed package carries what was built, and neither the sources nor Vite.
//
// The page uses the library's own files. Where NAME.web.ts stands beside NAME.ts it takes its place; what the page has no use for is left out, and what is
// left must not need Node.
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire, isBuiltin } from 'node:module';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
/** Bump when the settings below change. */
const RECIPE = 1;

/** What is built: from which file into which folder. Paths are relative to the repository root. */
const programs = {
  studio: { entry: 'src/studio/page/index.html', out: 'src/studio/build' },
  report: { entry: 'src/report/live/main.ts', out: 'src/report/build' },
};

/** Where a built program lies. */
export const builtProgram = name => join(root, programs[name].out);

const isInstalled = name => !existsSync(join(root, programs[name].entry));

/** All sources that a page can reach, with Vite's version. */
function wantedStamp() {
  const hash = createHash('sha256').update(`recipe ${RECIPE}`);
  hash.update(readFileSync(createRequire(import.meta.url).resolve('vite/package.json')));
  for (const folder of ['src', 'graphs']) {
    const files = readdirSync(join(root, folder), { recursive: true })
      .map(String)
      .filter(name => /\.(ts|mjs|css|html|svg)$/.test(name) && !/\.test\.ts$/.test(name))
      .filter(name => !/(^|[\\/])(assembly|build|templates|cli)[\\/]/.test(name));
    for (const file of files.sort()) hash.update(file).update(readFileSync(join(root, folder, file)));
  }
  return hash.digest('hex');
}

const isOwn = id => /^(src|graphs)[\\/]/.test(relative(root, id)) && !id.includes('node_modules');

/** NAME.web.ts in place of NAME.ts; Node's own modules stay outside, and may not be wanted in the end. */
const forBrowsers = () => ({
  name: 'weightloom for browsers',
  enforce: 'pre',
  async resolveId(source, importer, options) {
    const resolve = id => this.resolve(id, importer, { ...options, skipSelf: true });
    if (isBuiltin(source)) {
      // Some of them are packages too: graphology comes with `events`.
      const found = source.startsWith('node:') ? null : await resolve(`${source}/`);
      return found ?? { id: source, external: true, moduleSideEffects: false };
    }
    const found = await resolve(source);
    if (!found || found.external) return found;
    const web = found.id.replace(/\.ts$/, '.web.ts');
    return web !== found.id && isOwn(found.id) && existsSync(web) ? { ...found, id: web } : found;
  },
  generateBundle(_, bundle) {
    for (const { type, fileName, imports = [], modules = {} } of Object.values(bundle)) {
      const needed = type === 'chunk' ? imports.filter(isBuiltin) : [];
      if (needed.length === 0) continue;
      const from = Object.keys(modules).filter(isOwn);
      throw new Error(`${fileName} needs ${needed.join(', ')} of Node; it is made of ${from.join(', ')}`);
    }
  },
});

/** What nothing is taken from is left out, our own modules and the packages they use alike; the page's own modules do something. */
const treeshake = {
  moduleSideEffects: id =>
    /[\\/]src[\\/](studio[\\/]page|report[\\/]live)[\\/]/.test(id) ||
    /worker\.web\.mjs/.test(id) ||
    /\.css/.test(id),
};

const settings = (name, outDir) => {
  const { entry } = programs[name];
  const common = {
    root: dirname(join(root, entry)),
    base: './',
    configFile: false,
    publicDir: false,
    logLevel: 'error',
    plugins: [forBrowsers()],
    worker: { format: 'es', plugins: () => [forBrowsers()], rolldownOptions: { treeshake } },
  };
  const build = {
    outDir,
    emptyOutDir: true,
    target: 'es2022',
    modulePreload: false,
    reportCompressedSize: false,
  };
  return name === 'studio'
    ? { ...common, build: { ...build, rolldownOptions: { treeshake, input: join(root, entry) } } }
    : {
        ...common,
        build: {
          ...build,
          rolldownOptions: {
            treeshake,
            input: join(root, entry),
            output: { format: 'iife', entryFileNames: '[name].js' },
          },
        },
      };
};

/** Builds what is out of date and says where it lies. @throws Error when a source does not build */
export async function ensureProgram(name) {
  const out = builtProgram(name);
  if (isInstalled(name)) return out;
  const stamp = join(out, '.stamp');
  const wanted = wantedStamp();
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted) return out;
  console.error(
    `weightloom: building ${programs[name].entry.split('/').slice(0, -1).join('/')} for browsers ...`,
  );
  const { build } = await import('vite');
  const temporary = `${out}.${process.pid}`;
  try {
    await build(settings(name, temporary));
    writeFileSync(join(temporary, '.stamp'), wanted);
    rmSync(out, { recursive: true, force: true });
    mkdirSync(dirname(out), { recursive: true });
    renameSync(temporary, out);
  } finally {
    rmSync(temporary, { recursive: true, force: true });
  }
  return out;
}
