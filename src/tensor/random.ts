/**
 * Random numbers: Threefry-4x32-20, a counter-based generator (Salmon, Moraes, Dror and Shaw 2011, "Parallel random numbers: as easy
 * as 1, 2, 3"). A stream is a key (seed and name) and a position; any position can be jumped to, so a resumed
 * run draws exactly what an uninterrupted one would have drawn.
 */

const ROTATIONS = [10, 26, 11, 21, 13, 27, 23, 5, 6, 20, 17, 11, 25, 10, 18, 20];
const PARITY = 0x1bd11bda;

/** One block of the generator: 4 words from a 4-word key and a 4-word counter. */
export function threefry(key: Uint32Array, counter: Uint32Array, out: Uint32Array): void {
  const schedule = [key[0], key[1], key[2], key[3], PARITY ^ key[0] ^ key[1] ^ key[2] ^ key[3]];
  let x0 = (counter[0] + schedule[0]) | 0;
  let x1 = (counter[1] + schedule[1]) | 0;
  let x2 = (counter[2] + schedule[2]) | 0;
  let x3 = (counter[3] + schedule[3]) | 0;
  for (let round = 0; round < 20; round++) {
    const a = ROTATIONS[(round & 7) * 2];
    const b = ROTATIONS[(round & 7) * 2 + 1];
    if ((round & 1) === 0) {
      x0 = (x0 + x1) | 0;
      x1 = ((x1 << a) | (x1 >>> (32 - a))) ^ x0;
      x2 = (x2 + x3) | 0;
      x3 = ((x3 << b) | (x3 >>> (32 - b))) ^ x2;
    } else {
      x0 = (x0 + x3) | 0;
      x3 = ((x3 << a) | (x3 >>> (32 - a))) ^ x0;
      x2 = (x2 + x1) | 0;
      x1 = ((x1 << b) | (x1 >>> (32 - b))) ^ x2;
    }
    if ((round & 3) === 3) {
      const s = (round + 1) >> 2;
      x0 = (x0 + schedule[s % 5]) | 0;
      x1 = (x1 + schedule[(s + 1) % 5]) | 0;
      x2 = (x2 + schedule[(s + 2) % 5]) | 0;
      x3 = (x3 + schedule[(s + 3) % 5] + s) | 0;
    }
  }
  out[0] = x0;
  out[1] = x1;
  out[2] = x2;
  out[3] = x3;
}

/** FNV-1a, 32 bits: turns a stream's name into a key word. */
export function hashName(name: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < name.length; i++) hash = Math.imul(hash ^ name.charCodeAt(i), 0x01000193);
  return hash >>> 0;
}

/**
 * A stream of random numbers: Threefry-4x32-20 keyed by seed and name, read from a position that can be set. Made by `randomStream`.
 * Equal seed, name and position draw the same words, on any machine; streams of other names or seeds are independent.
 */
export class RandomStream {
  private readonly key: Uint32Array;
  private readonly counter = new Uint32Array(4);
  private readonly block = new Uint32Array(4);
  /** Index of the block now in `block`, -1 when none. */
  private current = -1;
  private word = 0;

  constructor(
    readonly seed: number,
    readonly name: string,
  ) {
    this.key = new Uint32Array([seed >>> 0, Math.floor(seed / 2 ** 32) >>> 0, hashName(name), name.length]);
  }

  /** How many 32-bit words have been drawn; set it to jump. */
  get position(): number {
    return this.word;
  }
  set position(word: number) {
    this.word = word;
  }

  /** A stream of its own for a named purpose; independent of how much was drawn from this one. */
  fork(name: string | number): RandomStream {
    return new RandomStream(this.seed, `${this.name}/${name}`);
  }

  /** Uniform on the integers 0 .. 2^32 - 1. */
  uint32(): number {
    const index = Math.floor(this.word / 4);
    if (index !== this.current) {
      this.counter[0] = index >>> 0;
      this.counter[1] = Math.floor(index / 2 ** 32);
      threefry(this.key, this.counter, this.block);
      this.current = index;
    }
    return this.block[this.word++ & 3];
  }

  /** Uniform on [low, high), 32 random bits. */
  uniform(low = 0, high = 1): number {
    return low + (high - low) * (this.uint32() / 2 ** 32);
  }

  /** Uniform on the whole numbers low .. high - 1. */
  integer(low: number, high: number): number {
    return Math.floor(this.uniform(low, high));
  }

  /** Standard normal by Box and Muller; always takes two words, so positions stay predictable. */
  normal(mean = 0, std = 1): number {
    const radius = Math.sqrt(-2 * Math.log((this.uint32() + 0.5) / 2 ** 32));
    return mean + std * radius * Math.cos(2 * Math.PI * (this.uint32() / 2 ** 32));
  }

  /** True with the given probability. */
  bernoulli(probability: number): boolean {
    return this.uniform() < probability;
  }

  /** [length] uniform on [low, high), one word each. */
  uniforms(length: number, low = 0, high = 1): Float32Array {
    return Float32Array.from({ length }, () => this.uniform(low, high));
  }

  /** [length] normals, two words each. */
  normals(length: number, mean = 0, std = 1): Float32Array {
    return Float32Array.from({ length }, () => this.normal(mean, std));
  }

  /** One of the items, all alike probable. */
  choice<T>(items: readonly T[]): T {
    return items[this.integer(0, items.length)];
  }

  /** A uniformly random permutation of 0 .. length - 1 (Fisher and Yates). */
  permutation(length: number): Uint32Array {
    const order = Uint32Array.from({ length }, (_, i) => i);
    for (let i = length - 1; i > 0; i--) {
      const j = this.integer(0, i + 1);
      [order[i], order[j]] = [order[j], order[i]];
    }
    return order;
  }
}

/** The stream of a seed for a named purpose. The same two always give the same numbers. */
export const randomStream = (seed: number, name: string): RandomStream => new RandomStream(seed, name);
