// The update mask: 32 cells of a row at a time.
import { batch, firstStep, height, masks, seeds, width } from "./job";

/** A bijection of 32-bit words that mixes every bit into every other (an xorshift-multiply hash; Wellons 2018, "lowbias32"). */
// @ts-ignore: decorator
@inline
function mix(x: u32): u32 {
  x = (x ^ (x >> 16)) * 0x7feb352d;
  x = (x ^ (x >> 15)) * 0x846ca68b;
  return x ^ (x >> 16);
}

/** Mask bits of the cells 32 block .. 32 block + 31 of a row, lowest bit first; bits beyond the row are 0. The plain version is masks.ts. */
export function maskWord(sample: i32, t: i32, y: i32, block: i32): u32 {
  let word: u32;
  if (masks != 0) {
    const blocks = (width + 31) >> 5;
    word = load<u32>(masks + <usize>(((t * batch + sample) * height + y) * blocks + block) * 4);
  } else {
    word = mix(load<u32>(seeds + (sample << 2)) ^ 0x9e3779b9);
    word = mix(word ^ (firstStep + t));
    word = mix(word ^ ((<u32>y << 16) | block));
  }
  const left = width - (block << 5);
  return left < 32 ? word & ((1 << left) - 1) : word;
}
