// bench/gpu.bench.ts with all it loads in one file, for a machine without npm: `node bench/gpu-bundle.mjs OUTFILE`.
import { build } from 'esbuild';

await build({
  entryPoints: ['bench/gpu.bench.ts'],
  outfile: process.argv[2],
  bundle: true,
  platform: 'node',
  format: 'esm',
  mainFields: ['module', 'main'],
  logLevel: 'error',
  external: ['webgpu', 'sharp', '@img/sharp-wasm32'],
  banner: {
    js: "import { createRequire as makeRequire } from 'node:module'; const require = makeRequire(import.meta.url);",
  },
  plugins: [
    {
      // tfjs's gradients are loaded by a path that no bundler follows (src/tensor/gradients.ts).
      name: 'gradients',
      setup({ onLoad }) {
        onLoad({ filter: /src\/tensor\/gradients\.ts$/ }, () => ({
          contents:
            "import '@tensorflow/tfjs-core'; import '@tensorflow/tfjs-core/dist/register_all_gradients.js';",
          resolveDir: process.cwd(),
        }));
      },
    },
  ],
});
