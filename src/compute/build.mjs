// Compiles the AssemblyScript kernels: every folder `src/**/assembly` with an index.ts becomes
// `../build/{simd,fma,wide}.wasm` beside it. `fma` uses relaxed SIMD (fused multiply-add); `wide` too, and is laid out for a V8 that joins
// pairs of 128-bit operations into 256-bit ones (its revectorizer, on x86 from Node 24). The numbers of `fma` and `wide` are the same.
// A hash of sources and compiler version decides whether there is anything to do.
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
/** The kernel libraries. Paths are relative to the repository root. */
export const kernelFolders = ['src/compute/assembly', 'src/nca/training/assembly', 'src/nca/kernel/assembly'];
export const builds = ['simd', 'fma', 'wide'];
/** Node's major version. */
export const nodeMajor = Number(process.versions.node.split('.')[0]);
/** Bump when the compiler flags below change. */
const recipe = 4;

const sourcesOf = folder =>
  readdirSync(folder, { recursive: true })
    .map(String)
    .filter(name => name.endsWith('.ts'))
    .sort();

/** Where the compiled module of a kernel folder lies. */
export const wasmPath = (folder, build) => join(root, folder, '..', 'build', `${build}.wasm`);

/** Builds that this Node can run, the best first; WEIGHTLOOM_BUILD leaves one. */
export function preferredBuilds() {
  const forced = process.env.WEIGHTLOOM_BUILD;
  if (forced) return builds.filter(build => build === forced);
  return nodeMajor >= 24 && process.arch === 'x64' ? ['wide', 'fma', 'simd'] : ['fma', 'simd'];
}

const stampPath = (folder, build) => join(root, folder, '..', 'build', `${build}.stamp`);

/** An installed package carries the compiled kernels, and neither their sources nor the compiler. */
const isInstalled = folder => !existsSync(join(root, folder, 'index.ts'));

/** What the stamp of an up-to-date build of a folder says. */
function wantedStamp(folder) {
  const hash = createHash('sha256').update(`recipe ${recipe}`);
  hash.update(readFileSync(createRequire(import.meta.url).resolve('assemblyscript/package.json')));
  for (const source of sourcesOf(join(root, folder)))
    hash.update(source).update(readFileSync(join(root, folder, source)));
  return hash.digest('hex');
}

/**
 * Is this build of all folders compiled from the sources as they are? Kernels that are not would be called with arguments they do not
 * expect, and write anywhere.
 */
export const upToDate = build =>
  kernelFolders.every(folder => isInstalled(folder) || isFresh(folder, build, wantedStamp(folder)));

function isFresh(folder, build, wanted) {
  const stamp = stampPath(folder, build);
  return existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted;
}

/**
 * Compiles what is out of date: by default only the build that will run, for compiling takes seconds. Prints the compiler's own
 * messages and throws when a kernel does not compile.
 */
export async function ensureKernels(wantedBuilds = preferredBuilds().slice(0, 1)) {
  for (const [place, name] of kernelFolders.entries()) {
    const folder = join(root, name);
    if (isInstalled(name)) continue;
    const wanted = wantedStamp(name);
    const out = join(folder, '..', 'build');
    const stale = wantedBuilds.filter(build => !isFresh(name, build, wanted));
    if (stale.length === 0) continue;
    mkdirSync(out, { recursive: true });
    console.error(`weightloom: compiling ${name} (${stale.join(', ')}) ...`);
    const asc = await import('assemblyscript/asc');
    for (const build of stale) {
      const temporary = join(out, `${build}.${process.pid}.wasm`);
      const { error, stderr } = await asc.main([
        join(relative(root, folder), 'index.ts'),
        '--baseDir',
        root,
        '--outFile',
        relative(root, temporary),
        '-O3',
        '--noAssert',
        '--runtime',
        'stub',
        '--importMemory',
        '--noExportMemory',
        '--sharedMemory',
        '--initialMemory',
        '16',
        '--maximumMemory',
        '65536',
        // Tables of constants: a page for each library, above the pool's control block and below the heap.
        '--memoryBase',
        String(65536 * (place + 1)),
        '--enable',
        'simd',
        '--enable',
        'threads',
        '--enable',
        'relaxed-simd',
        '--use',
        `FMA=${build === 'simd' ? 0 : 1}`,
        '--use',
        `WIDE=${build === 'wide' ? 1 : 0}`,
      ]);
      if (error) throw new Error(`${name} does not compile:\n${stderr.toString()}`);
      renameSync(temporary, wasmPath(name, build));
      const stamp = stampPath(name, build);
      writeFileSync(`${stamp}.${process.pid}`, wanted);
      renameSync(`${stamp}.${process.pid}`, stamp);
    }
  }
}
