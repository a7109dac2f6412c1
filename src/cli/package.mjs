// Runs before `npm pack`: builds dist/, which plain Node runs. JavaScript, declarations and source maps from tsc; the compiled kernels; the files that are
// read at run time. In a clone nothing of it is used.
import { spawnSync } from 'node:child_process';
import { cpSync, readdirSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { builds, ensureKernels, kernelFolders } from '../compute/build.mjs';
import { builtProgram, ensureProgram } from '../report/browser.mjs';

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
const dist = join(root, 'dist');
rmSync(dist, { recursive: true, force: true });

const tsc = join(dirname(createRequire(import.meta.url).resolve('typescript/package.json')), 'bin', 'tsc');
const { status } = spawnSync(process.execPath, [tsc, '-p', join(root, 'tsconfig.build.json')], {
  stdio: ['ignore', 2, 2],
});
if (status !== 0) process.exit(1);

const copy = path => cpSync(join(root, path), join(dist, path), { recursive: true });
await ensureKernels(builds);
for (const folder of kernelFolders) copy(join(folder, '..', 'build'));
for (const name of readdirSync(join(root, 'src', 'compute')).filter(name => /\.(mjs|d\.mts)$/.test(name)))
  copy(join('src', 'compute', name));
for (const name of ['browser.mjs', 'browser.d.mts']) copy(join('src', 'report', name));
for (const name of ['studio', 'report']) {
  await ensureProgram(name);
  copy(relative(root, builtProgram(name)));
}
copy(join('src', 'cli', 'templates'));
copy('configs');

// The gradients of tfjs are modules without file endings, which Node cannot load: all of them as one file. Engine and gradient registry are global, so
// that they meet those of tfjs-core, which stays outside.
await build({
  stdin: {
    contents: `import '@tensorflow/tfjs-core';\nimport '@tensorflow/tfjs-core/dist/register_all_gradients';`,
    resolveDir: root,
  },
  outfile: join(dist, 'src', 'tensor', 'gradients.js'),
  bundle: true,
  format: 'esm',
  platform: 'node',
  legalComments: 'inline',
  plugins: [
    {
      name: 'tfjs-core stays outside',
      setup: ({ onResolve }) =>
        onResolve({ filter: /^@tensorflow\/tfjs-core$/ }, ({ path }) => ({ path, external: true })),
    },
  ],
});
