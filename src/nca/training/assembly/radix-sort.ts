// Sorting floats with their positions.

/**
 * Sorts `count` floats ascending and tells where each came from: radix sort of (key, position) pairs, 8 bits a pass. The key is the
 * float's bits made to order like unsigned integers. `scratch` holds 1024 histogram words and two times count pairs;
 * the sorted pairs are left at the returned address.
 */
export function sort(values: usize, count: i32, scratch: usize): usize {
  const histogram = scratch;
  let from = scratch + 4096;
  let to = from + (<usize>count << 3);
  memory.fill(histogram, 0, 4096);
  for (let i = 0; i < count; i++) {
    const bits = load<u32>(values + (<usize>i << 2));
    const key = bits ^ (<u32>(<i32>bits >> 31) | 0x80000000);
    store<u32>(from + (<usize>i << 3), key);
    store<u32>(from + (<usize>i << 3), i, 4);
    for (let pass = 0; pass < 4; pass++) {
      const slot = histogram + (<usize>((pass << 8) + <i32>((key >> (pass << 3)) & 255)) << 2);
      store<u32>(slot, load<u32>(slot) + 1);
    }
  }
  for (let pass = 0; pass < 4; pass++) {
    const base = histogram + (pass << 10);
    const shift = pass << 3;
    // All keys share this byte: nothing to do.
    if (load<u32>(base + (((load<u32>(from) >> shift) & 255) << 2)) === count) continue;
    let sum: u32 = 0;
    for (let slot = base; slot < base + 1024; slot += 4) {
      const here = load<u32>(slot);
      store<u32>(slot, sum);
      sum += here;
    }
    for (let i = 0; i < count; i++) {
      const pair = load<u64>(from + (<usize>i << 3));
      const slot = base + (((<u32>pair >> shift) & 255) << 2);
      const rank = load<u32>(slot);
      store<u32>(slot, rank + 1);
      store<u64>(to + (<usize>rank << 3), pair);
    }
    const swap = from;
    from = to;
    to = swap;
  }
  return from;
}

/** The float that a pair was made from. */
@inline export function valueOf(pair: usize): f32 {
  const key = load<u32>(pair);
  return reinterpret<f32>(key & 0x80000000 ? key ^ 0x80000000 : ~key);
}
