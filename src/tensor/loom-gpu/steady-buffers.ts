/**
 * Buffers handed out again in the place of tfjs-backend-webgpu's manager: of the free ones always that which was made first. A training that asks for
 * the same sizes in the same order then gets the same buffers in every step, and bind groups made once serve for all.
 */

const ID = Symbol('id');
type Known = GPUBuffer & { [ID]?: number };
let lastId = 0;

/** A number that is this buffer's alone. */
export function bufferId(buffer: GPUBuffer): number {
  const known = buffer as Known;
  known[ID] ??= ++lastId;
  return known[ID];
}

/** Buffers of one size and usage: those that are free, the oldest last. */
class Shelf {
  private readonly free: GPUBuffer[] = [];

  take(): GPUBuffer | undefined {
    return this.free.pop();
  }

  put(buffer: GPUBuffer): void {
    const id = bufferId(buffer);
    const { free } = this;
    let [low, high] = [0, free.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (bufferId(free[middle]) > id) low = middle + 1;
      else high = middle;
    }
    free.splice(low, 0, buffer);
  }

  destroy(): void {
    for (const buffer of this.free.splice(0)) buffer.destroy();
  }
}

/** What tfjs-backend-webgpu asks of its buffer manager. */
export class SteadyBuffers {
  numBytesUsed = 0;
  numBytesAllocated = 0;
  private readonly shelves = new Map<number, Shelf>();
  private readonly used = new Set<GPUBuffer>();

  constructor(private readonly create: (descriptor: GPUBufferDescriptor) => GPUBuffer) {}

  private shelf(size: number, usage: number): Shelf {
    // Usages are flags below 1024.
    const key = 1024 * size + usage;
    let shelf = this.shelves.get(key);
    if (!shelf) {
      shelf = new Shelf();
      this.shelves.set(key, shelf);
    }
    return shelf;
  }

  /** One that comes from the shelf is not mapped, whatever was asked for. */
  acquireBuffer(size: number, usage: number, mappedAtCreation = false, reuse = true): GPUBuffer {
    let buffer = reuse ? this.shelf(size, usage).take() : undefined;
    if (!buffer) {
      buffer = this.create({ size, usage, mappedAtCreation });
      this.numBytesAllocated += size;
    }
    this.used.add(buffer);
    this.numBytesUsed += size;
    return buffer;
  }

  releaseBuffer(buffer: GPUBuffer, reuse = true): void {
    if (!this.used.delete(buffer)) throw new Error('a buffer of the GPU is given back twice');
    const { size, usage } = buffer;
    this.numBytesUsed -= size;
    if (reuse) {
      this.shelf(size, usage).put(buffer);
      return;
    }
    this.numBytesAllocated -= size;
    buffer.destroy();
  }

  getNumUsedBuffers(): number {
    return this.used.size;
  }

  dispose(): void {
    for (const shelf of this.shelves.values()) shelf.destroy();
    for (const buffer of this.used) buffer.destroy();
    this.shelves.clear();
    this.used.clear();
    this.numBytesUsed = 0;
    this.numBytesAllocated = 0;
  }
}
