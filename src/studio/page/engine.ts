/** NCAs that grow, from the page's side: each call goes to the engine's thread and comes back as a promise. */
import type { Calls, GrowthRequest, Reply } from './protocol.ts';
import { library } from './server.ts';

/** The best kernel build that server and browser both have, fetched and compiled. */
async function kernels(): Promise<{ build: 'fma' | 'simd'; module: WebAssembly.Module }> {
  const { builds } = await library();
  for (const build of builds as ('fma' | 'simd')[]) {
    const bytes = await (await fetch(`/kernels/${build}.wasm`)).arrayBuffer();
    if (WebAssembly.validate(bytes)) return { build, module: await WebAssembly.compile(bytes) };
  }
  throw new Error('This browser runs none of the kernels: it has no WebAssembly SIMD.');
}

let worker: Worker | undefined;
let last = 0;
const waiting = new Map<number, { resolve(back: never): void; reject(error: Error): void }>();

function post<K extends keyof Calls>(call: K, given: Calls[K]['given']): Promise<Calls[K]['back']> {
  const number = ++last;
  worker!.postMessage({ number, call, given });
  return new Promise((resolve, reject) => waiting.set(number, { resolve, reject }));
}

/** What grows the page's NCAs: kernel build and threads. */
export interface EngineInfo {
  readonly build: string;
  readonly threads: number;
}
let started: Promise<EngineInfo> | undefined;

/** Starts the engine, once. */
export function engine(): Promise<EngineInfo> {
  started ??= (async () => {
    const { build, module } = await kernels();
    worker = new Worker(new URL('./engine-worker.ts', import.meta.url), { type: 'module' });
    worker.addEventListener('message', ({ data }: MessageEvent<Reply>) => {
      const call = waiting.get(data.number);
      waiting.delete(data.number);
      if ('error' in data) call?.reject(new Error(data.error));
      else call?.resolve(data.back as never);
    });
    const wanted = Number(new URLSearchParams(location.search).get('threads'));
    const threads = wanted || Math.min(navigator.hardwareConcurrency || 1, 4);
    return { build, ...(await post('start', { build, module, threads })) };
  })();
  return started;
}

/** Asks the engine. */
export async function ask<K extends keyof Calls>(
  call: K,
  given: Calls[K]['given'],
): Promise<Calls[K]['back']> {
  await engine();
  return post(call, given);
}

let adapter: Promise<string | null> | undefined;

/** The adapter of WebGPU, looked for once: its name, or null where the browser gives none. */
export function webgpuAdapter(): Promise<string | null> {
  adapter ??= ask('adapter', undefined);
  return adapter;
}

let growths = 0;

/** Makes NCAs that grow together. @returns what they are asked for by */
export async function grow(request: GrowthRequest): Promise<number> {
  const id = ++growths;
  await ask('make', { ...request, id });
  return id;
}
