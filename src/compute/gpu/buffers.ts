/** Buffers of a device, handed out again when they are given back: training asks for the same sizes over and over. */

import { GpuError, mib } from './failure.ts';
import type { Faults } from './faults.ts';

/** Values of GPUBufferUsage and GPUMapMode, which are globals of pages alone. */
export const USAGE = { MAP_READ: 1, COPY_SRC: 4, COPY_DST: 8, STORAGE: 128 } as const;
export const MAP_READ = 1;

/** A block of the GPU's memory. */
export interface GpuBlock {
  readonly id: number;
  readonly buffer: GPUBuffer;
  /** Bytes that were asked for, and bytes there are. */
  readonly bytes: number;
  readonly size: number;
  /** The batch of commands that used it last. */
  batch: number;
}

/** What the pool of a device holds. */
export interface GpuStatistics {
  /** Bytes and number of blocks now held. */
  readonly held: number;
  readonly blocks: number;
  /** Bytes given back and kept for the next who asks. */
  readonly spare: number;
  /** Bytes taken from the driver, in all the time. */
  readonly taken: number;
}

/** Sizes are rounded up to an eighth of the power of two below, 256 bytes at least. */
function sizeClass(bytes: number): number {
  const step = Math.max(256, 2 ** (Math.floor(Math.log2(Math.max(bytes, 1))) - 3));
  return Math.ceil(Math.max(bytes, 16) / step) * step;
}

/** Spare bytes that are kept; beyond, what is given back goes to the driver. */
const SPARE = 2 ** 31;

export class BufferPool {
  private readonly free = new Map<number, GpuBlock[]>();
  private lastId = 0;
  private readonly inUse = new Set<number>();
  private held = 0;
  private spare = 0;
  private taken = 0;

  constructor(
    private readonly device: GPUDevice,
    private readonly maxBuffer: number,
    /** Called before a buffer is destroyed that commands not yet submitted may use. */
    private readonly onDestroy: (block: GpuBlock) => void,
  ) {}

  statistics(): GpuStatistics {
    return { held: this.held, blocks: this.inUse.size, spare: this.spare, taken: this.taken };
  }

  /** A number that no block has yet. */
  nextId(): number {
    return ++this.lastId;
  }

  /** A block of at least `bytes` bytes; its contents are whatever they were. */
  take(bytes: number, label: string, faults: Faults): GpuBlock {
    const size = sizeClass(bytes);
    if (size > this.maxBuffer) {
      throw new GpuError(
        'limit',
        `${label}: asked for ${mib(bytes)}, and a buffer of this GPU has at most ${mib(this.maxBuffer)}`,
      );
    }
    this.held += size;
    const spare = this.free.get(size)?.pop();
    if (spare) {
      this.spare -= size;
      this.inUse.add(spare.id);
      return { ...spare, bytes };
    }
    this.taken += size;
    const usage = USAGE.STORAGE | USAGE.COPY_SRC | USAGE.COPY_DST;
    const buffer = faults.watch(
      new Set([label]),
      () => this.device.createBuffer({ label, size, usage }),
      size,
    );
    const id = this.nextId();
    this.inUse.add(id);
    return { id, buffer, bytes, size, batch: -1 };
  }

  /** Takes a block back. Throws when it is not held. */
  give(block: GpuBlock): void {
    if (!this.inUse.delete(block.id)) throw new Error(`a block of ${block.bytes} bytes is given back twice`);
    this.held -= block.size;
    if (this.spare + block.size > SPARE) {
      this.destroy(block);
      return;
    }
    this.spare += block.size;
    const list = this.free.get(block.size);
    if (list) list.push(block);
    else this.free.set(block.size, [block]);
  }

  /** Gives everything spare back to the driver. */
  trim(): void {
    for (const list of this.free.values()) for (const block of list.splice(0)) this.destroy(block);
    this.spare = 0;
  }

  private destroy(block: GpuBlock): void {
    this.onDestroy(block);
    block.buffer.destroy();
  }
}
