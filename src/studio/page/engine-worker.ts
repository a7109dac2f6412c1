import { provideKernels } from '../../compute/web.ts';
import { Growth, type NcaSpec } from '../../nca/index.ts';

addEventListener('message', async ({ data }) => {
  provideKernels({
    build: 'simd',
    modules: [await WebAssembly.compileStreaming(fetch('/kernels/simd.wasm'))],
  });
  const g = new Growth(data.spec as NcaSpec, data.flat, { size: 64, seeds: [1] });
  g.step(10);
  const px = new Uint8ClampedArray(64 * 64 * 4);
  g.paint(0, px);
  postMessage(px);
});
