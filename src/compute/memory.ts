/**
 * The one shared WebAssembly memory, and its allocator.
 *
 * The whole address space (4 GiB; in a browser less) is reserved at once: the operating system backs only the pages that are touched, and a
 * memory that never grows keeps every typed-array view valid for the life of the process.
 *
 * Only the main thread allocates. Blocks are 64-byte aligned and rounded up to a size class (eight per power of two), each with
 * a free list: training loops ask for the same sizes over and over, so a freed block is nearly always the next one handed out.
 */
import { UserError } from '../config/index.ts';
import { MOST_PAGES } from './host.ts';

const PAGE = 65536;
const ALIGN = 64;
/** Below this address lie the pool's control block and whatever static data the kernels carry. */
const HEAP_BASE = 16 * PAGE;

/** What the allocator of the shared memory holds, in bytes where nothing else is said. */
export interface MemoryStatistics {
  /** Bytes in blocks now held. */
  readonly held: number;
  /** How many blocks are held. */
  readonly blocks: number;
  /** Bytes ever taken from the address space (held or in free lists). */
  readonly reserved: number;
  /** Bytes that there are to reserve. */
  readonly limit: number;
}

function reserve(): WebAssembly.Memory {
  for (let pages = MOST_PAGES; ; pages /= 2) {
    try {
      return new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
    } catch (error) {
      if (pages <= 4096) throw error;
    }
  }
}

/**
 * The one WebAssembly memory that tensors, kernels and threads share: shared and of fixed size, 4 GiB in Node, or half of that as often as the
 * system refuses (256 MiB at least).
 */
export const memory = reserve();
const limit = memory.buffer.byteLength;

let top = HEAP_BASE;
let held = 0;
const free = new Map<number, number[]>();
const sizeOf = new Map<number, number>();

/** Rounds up to a multiple of an eighth of the power of two below: at most 12.5% is wasted. */
function sizeClass(bytes: number): number {
  const step = Math.max(ALIGN, 2 ** (Math.floor(Math.log2(Math.max(bytes, 1))) - 3));
  return Math.max(ALIGN, Math.ceil(bytes / step) * step);
}

/**
 * Address of a fresh block of at least `bytes` bytes, 64-byte aligned, contents undefined. Free it with `release`.
 * @throws RangeError when `bytes` is no finite number from 0, UserError when there is no room
 */
export function allocate(bytes: number): number {
  if (!(bytes >= 0 && bytes <= Number.MAX_SAFE_INTEGER))
    throw new RangeError(`allocate(${bytes}): not a number of bytes`);
  const size = sizeClass(bytes);
  const address = free.get(size)?.pop() ?? fresh(size) ?? reuse(size);
  if (address === undefined) {
    throw new UserError(
      `out of memory: asked for ${mib(size)}, ${mib(held)} held in ${sizeOf.size} blocks of ${mib(limit)} in all`,
    );
  }
  sizeOf.set(address, size);
  held += size;
  return address;
}

/** The next `size` bytes of the address space, if it has them. */
function fresh(size: number): number | undefined {
  if (top + size > limit) return undefined;
  top += size;
  return top - size;
}

/**
 * When the address space is used up: joins free neighbours, gives what lies at the end back, and takes `size` bytes from the first
 * free stretch that has them. Whatever is left of the stretches is listed under the lengths they now have.
 */
function reuse(size: number): number | undefined {
  const blocks = [...free].flatMap(([length, list]) => list.map(address => ({ address, length })));
  blocks.sort((a, b) => a.address - b.address);
  const stretches: { address: number; length: number }[] = [];
  for (const block of blocks) {
    const last = stretches.at(-1);
    if (last && last.address + last.length === block.address) last.length += block.length;
    else stretches.push({ ...block });
  }
  const last = stretches.at(-1);
  if (last && last.address + last.length === top) {
    top = last.address;
    stretches.pop();
  }
  const atEnd = fresh(size);
  const chosen = atEnd === undefined ? stretches.find(s => s.length >= size) : undefined;
  const address = atEnd ?? chosen?.address;
  if (chosen) {
    chosen.address += size;
    chosen.length -= size;
  }
  free.clear();
  for (const { address, length } of stretches) {
    if (length === 0) continue;
    const list = free.get(length);
    if (list) list.push(address);
    else free.set(length, [address]);
  }
  return address;
}

/** Gives a block back. Throws when the address is not that of a held block. */
export function release(address: number): void {
  const size = sizeOf.get(address);
  if (size === undefined) throw new Error(`release(${address}): not a held block`);
  sizeOf.delete(address);
  held -= size;
  const list = free.get(size);
  if (list) list.push(address);
  else free.set(size, [address]);
}

/** The state of the allocator now. */
export const statistics = (): MemoryStatistics => ({
  held,
  blocks: sizeOf.size,
  reserved: top - HEAP_BASE,
  limit: limit - HEAP_BASE,
});

const mib = (bytes: number) => `${(bytes / 2 ** 20).toFixed(1)} MiB`;

/** Views of shared memory. Lengths are in elements. */
export const f32 = (address: number, length: number) => new Float32Array(memory.buffer, address, length);
/** A view of `length` 32-bit integers of shared memory from byte `address`, a multiple of 4. */
export const i32 = (address: number, length: number) => new Int32Array(memory.buffer, address, length);
/** A view of `length` unsigned 32-bit integers of shared memory from byte `address`, a multiple of 4. */
export const u32 = (address: number, length: number) => new Uint32Array(memory.buffer, address, length);
/** A view of `length` bytes of shared memory from `address`. */
export const u8 = (address: number, length: number) => new Uint8Array(memory.buffer, address, length);
