/** The GPU of this machine, opened through the package `webgpu` when first asked for. */
import { type AdapterChoice, Gpu, GpuError, notCalled } from './gpu/index.ts';

/** What the package gives: an object like the browser's `navigator.gpu`. */
interface WebGpuPackage {
  readonly globals: object;
  create(options: string[]): GPU;
}

let opened: Promise<Gpu> | undefined;
let current: Gpu | undefined;

/** The value of WEIGHTLOOM_GPU: `off`, a part of an adapter's name, or nothing. */
const asked = () => process.env.WEIGHTLOOM_GPU?.trim() || undefined;

async function load(): Promise<WebGpuPackage> {
  try {
    return (await import('webgpu' as string)) as WebGpuPackage;
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const absent = code === 'ERR_MODULE_NOT_FOUND';
    throw new GpuError(
      'absent',
      `the package webgpu ${absent ? 'is not installed' : `does not load here: ${message.split('\n')[0].slice(0, 200)}`}`,
    );
  }
}

/** What Dawn would take when nothing is asked for, for a sentence. */
async function inItsPlace({ create }: WebGpuPackage): Promise<string> {
  try {
    const adapter = await create([]).requestAdapter({ powerPreference: 'high-performance' });
    return adapter?.info.description || adapter?.info.device || 'none at all';
  } catch {
    return 'none at all';
  }
}

async function open(choice: AdapterChoice): Promise<Gpu> {
  const name = asked();
  if (name?.toLowerCase() === 'off') throw new GpuError('absent', 'WEIGHTLOOM_GPU=off');
  const loaded = await load();
  try {
    // Dawn's own choice of an adapter by name; where it has none of that name it throws a list of what there is.
    const gpu = loaded.create(name === undefined ? [] : [`adapter=${name}`]);
    // Dawn forgets its devices when this object is collected.
    Object.defineProperty(globalThis, Symbol.for('weightloom.gpu'), { value: gpu, configurable: true });
    return await Gpu.open(gpu, { ...choice, name: name ?? choice.name });
  } catch (error) {
    const unknown = name !== undefined && notCalled(name);
    if (error instanceof GpuError && error.message !== unknown) throw error;
    if (unknown) throw new GpuError('absent', `${unknown}; there is ${await inItsPlace(loaded)}`);
    throw new GpuError('absent', `no GPU: ${(error as Error).message.split('\n')[0].slice(0, 200)}`);
  }
}

/**
 * Opens the GPU, once; WEIGHTLOOM_GPU=off refuses, and WEIGHTLOOM_GPU=NAME takes the adapter with that in its name.
 * @throws GpuError `absent` that says why there is none
 */
export async function startGpu(choice: AdapterChoice = {}): Promise<Gpu> {
  opened ??= open(choice);
  try {
    current = await opened;
    return current;
  } catch (error) {
    opened = undefined;
    throw error;
  }
}

/** Takes an open GPU in the place of this machine's, until `stopGpu`. */
export function useGpu(gpu: Gpu): void {
  opened = Promise.resolve(gpu);
  current = gpu;
}

/** Sets what pages have as globals (GPUBufferUsage and the like, navigator.gpu), for packages that were written for pages. */
export async function gpuGlobals(): Promise<void> {
  Object.assign(globalThis, (await load()).globals);
  const gpu = (globalThis as Record<symbol, unknown>)[Symbol.for('weightloom.gpu')];
  const navigator = globalThis.navigator ?? {};
  Object.defineProperty(globalThis, 'navigator', { value: navigator, configurable: true, writable: true });
  Object.defineProperty(navigator, 'gpu', { value: gpu, configurable: true, writable: true });
}

/** The GPU that `startGpu` opened, or undefined. */
export const gpuInUse = (): Gpu | undefined => current;

/** Ends the GPU; the next `startGpu` opens it again. */
export function stopGpu(): void {
  current?.close();
  current = undefined;
  opened = undefined;
}
