// Compiles the AssemblyScript kernels: every folder `src/**/assembly` with an index.ts becomes
// `../build/{simd,fma}.wasm` beside it. The `fma` build uses relaxed SIMD (fused multiply-add).
// A hash of sources and compiler version decides whether there is anything to do.
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
/** The kernel libraries. Paths are relative to the repository root. */
export const kernelFolders = ['src/compute/assembly', 'src/nca/training/assembly', 'src/nca/kernel/assembly'];
export const builds = ['simd', 'fma'];
/** Bump when the compiler flags below change. */
const recipe = 1;

const sourcesOf = folder =>
  readdirSync(folder, { recursive: true })
    .map(String)
    .filter(name => name.endsWith('.ts'))
    .sort();

/** Where the compiled module of a kernel folder lies. */
export const wasmPath = (folder, build) => join(root, folder, '..', 'build', `${build}.wasm`);

/** Compiles what is out of date. Prints the compiler's own messages and throws when a kernel does not compile. */
export async function ensureKernels() {
  for (const name of kernelFolders) {
    const folder = join(root, name);
    if (!existsSync(join(folder, 'index.ts'))) continue;
    const hash = createHash('sha256').update(`recipe ${recipe}`);
    hash.update(readFileSync(join(root, 'node_modules/assemblyscript/package.json')));
    for (const source of sourcesOf(folder)) hash.update(source).update(readFileSync(join(folder, source)));
    const wanted = hash.digest('hex');
    const out = join(folder, '..', 'build');
    const stamp = join(out, 'stamp');
    if (existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted) continue;
    mkdirSync(out, { recursive: true });
    console.error(`weightloom: compiling ${name} ...`);
    const asc = await import('assemblyscript/asc');
    for (const build of builds) {
      const temporary = join(out, `${build}.${process.pid}.wasm`);
      const { error, stderr } = await asc.main([
        join(relative(root, folder), 'index.ts'),
        '--baseDir',
        root,
        '--outFile',
        relative(root, temporary),
        '-O3',
        '--noAssert',
        '--converge',
        '--runtime',
        'stub',
        '--importMemory',
        '--noExportMemory',
        '--sharedMemory',
        '--initialMemory',
        '1',
        '--maximumMemory',
        '65536',
        '--enable',
        'simd',
        '--enable',
        'threads',
        '--enable',
        'relaxed-simd',
        '--use',
        `FMA=${build === 'fma' ? 1 : 0}`,
      ]);
      if (error) throw new Error(`${name} does not compile:\n${stderr.toString()}`);
      renameSync(temporary, wasmPath(name, build));
    }
    writeFileSync(`${stamp}.${process.pid}`, wanted);
    renameSync(`${stamp}.${process.pid}`, stamp);
  }
}
