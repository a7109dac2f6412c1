/** The thread that grows NCAs: the kernels' calling thread, which may wait for its helpers as the page's own may not. */
import { setThreadCount, threadCount } from '../../compute/index.ts';
import { provideKernels } from '../../compute/web.ts';
import { Gpu, GpuEngine } from '../../nca/gpu/browser.ts';
import { actOnImage, Growth } from '../../nca/index.ts';
import type { Calls, Computer, Frame, GrowthRequest, Reply, Request } from './protocol.ts';

const growths = new Map<number, { readonly growth: Growth; readonly request: GrowthRequest; on: Computer }>();
const of = (id: number) => {
  const found = growths.get(id);
  if (!found) throw new Error(`no growth ${id}`);
  return found;
};
/** Milliseconds a step of these growths took last. */
const pace = new Map<string, number>();

/** The GPU's engine, once it is wanted. A program on the processor will do too: the user chose it by name. */
let gpu: Promise<GpuEngine> | undefined;
function gpuEngine(): Promise<GpuEngine> {
  gpu ??= Gpu.open(navigator.gpu, { name: '' }).then(opened => new GpuEngine(opened));
  return gpu;
}

/** Steps of one growth. @returns why WebGPU did not do them, where it should have: WebAssembly did, from the same state */
async function step(id: number, count: number): Promise<string | undefined> {
  const found = of(id);
  if (found.on === 'webgpu') {
    try {
      await found.growth.stepOn(await gpuEngine(), count);
      return undefined;
    } catch (error) {
      found.on = 'wasm';
      gpu?.then(
        engine => engine.gpu.close(),
        () => {},
      );
      gpu = undefined;
      found.growth.step(count);
      return `WebGPU failed (${(error as Error).message}): WebAssembly goes on.`;
    }
  }
  found.growth.step(count);
  return undefined;
}

async function advance({ ids, most, budget, channels }: Calls['advance']['given']): Promise<Frame> {
  const key = ids.join();
  const fitting = Math.max(1, Math.floor(budget / (pace.get(key) ?? budget / 2)));
  const done = Math.min(most, fitting);
  const start = performance.now();
  let fault: string | undefined;
  if (done > 0) for (const id of ids) fault = (await step(id, done)) ?? fault;
  const busy = performance.now() - start;
  if (done > 0) pace.set(key, busy / done);
  const pictures = ids.flatMap(id => {
    const { growth, request } = of(id);
    return request.seeds.map((_, index) => {
      const pixels = new Uint8ClampedArray(request.size ** 2 * 4);
      growth.paint(index, pixels, channels);
      return pixels;
    });
  });
  return { steps: of(ids[0]).growth.steps, done, busy, fault, pictures };
}

/** The picture [size, size, 3] of a growth's only NCA, before it is clipped. */
function pictureOf(id: number) {
  const { growth, request } = of(id);
  const { size, spec } = request;
  const state = growth.state(0);
  const width = state.length / size ** 2;
  const data = Float64Array.from(
    { length: size ** 2 * 3 },
    (_, i) => state[Math.floor(i / 3) * width + (i % 3)] * spec.rgb.scale + spec.rgb.offset,
  );
  return { height: size, width: size, data };
}

const calls: {
  [K in keyof Calls]: (given: Calls[K]['given']) => Calls[K]['back'] | Promise<Calls[K]['back']>;
} = {
  start({ build, module, threads }) {
    provideKernels({ build, modules: [module] });
    setThreadCount(globalThis.crossOriginIsolated ? threads : 1);
    return { threads: threadCount() };
  },
  async adapter() {
    const found = await navigator.gpu?.requestAdapter().catch(() => null);
    return found ? found.info.description || found.info.device || found.info.vendor || 'unnamed' : null;
  },
  make({ id, ...request }) {
    const growth = new Growth(request.spec, request.weights, request);
    growths.set(id, { growth, request, on: request.on ?? 'wasm' });
    return undefined;
  },
  advance,
  reset({ ids }) {
    for (const id of ids) of(id).growth.reset();
    return undefined;
  },
  erase({ ids, x, y, radius }) {
    for (const id of ids) of(id).growth.erase(x, y, radius);
    return undefined;
  },
  difference({ a, b, element }) {
    const { spec } = of(a).request;
    const expected = actOnImage(spec, element, pictureOf(a)).data;
    return pictureOf(b).data.reduce((most, x, i) => Math.max(most, Math.abs(x - expected[i])), 0);
  },
  drop({ ids }) {
    for (const id of ids) {
      of(id).growth.dispose();
      growths.delete(id);
    }
    return undefined;
  },
};

addEventListener('message', async ({ data: { number, call, given } }: MessageEvent<Request>) => {
  let reply: Reply;
  try {
    reply = { number, back: await calls[call](given as never) };
  } catch (error) {
    reply = { number, error: (error as Error).message };
  }
  const pictures = 'back' in reply && call === 'advance' ? (reply.back as Frame).pictures : [];
  postMessage(reply, { transfer: pictures.map(({ buffer }) => buffer) });
});
