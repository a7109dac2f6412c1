// Moving numbers about: 4-byte elements of any type.
import { loadPart, splat, storePart } from "./vector";

/**
 * Where a row lies: its offsets over `axes` (how many, then of each its size and two strides in elements, outermost first). From there
 * `rowsLeft` rows follow one another in steps of `firstStep` and `secondStep`.
 */
export let first: i32 = 0;
export let second: i32 = 0;
export let firstStep: i32 = 0;
export let secondStep: i32 = 0;
export let rowsLeft: i32 = 0;
export function locate(axes: usize, row: i32): void {
  const rank = load<i32>(axes);
  let a = 0, b = 0;
  firstStep = 0;
  secondStep = 0;
  rowsLeft = 1;
  for (let d = rank; d > 0; d--) {
    const at = axes + <usize>(d * 12 - 8);
    const size = load<i32>(at);
    // What is left over is the outermost index.
    const next = d > 1 ? row / size : 0;
    const index = row - next * size;
    a += index * load<i32>(at, 4);
    b += index * load<i32>(at, 8);
    if (d == rank) {
      firstStep = load<i32>(at, 4);
      secondStep = load<i32>(at, 8);
      rowsLeft = size - index;
    }
    row = next;
  }
  first = a;
  second = b;
}

/** A contiguous run of `count` elements. */
// @ts-ignore: decorator
@inline
export function copyRun(from: usize, to: usize, count: i32): void {
  if (count > 512) {
    memory.copy(to, from, <usize>count << 2);
    return;
  }
  for (; count >= 16; count -= 16) {
    const a = v128.load(from), b = v128.load(from, 16), c = v128.load(from, 32), d = v128.load(from, 48);
    v128.store(to, a);
    v128.store(to, b, 16);
    v128.store(to, c, 32);
    v128.store(to, d, 48);
    from += 64;
    to += 64;
  }
  for (; count >= 4; count -= 4) {
    v128.store(to, v128.load(from));
    from += 16;
    to += 16;
  }
  for (; count > 0; count--) {
    store<u32>(to, load<u32>(from));
    from += 4;
    to += 4;
  }
}

/** `count` elements in steps of `ps` and `qs` bytes. */
// @ts-ignore: decorator
@inline
function copySteps(p: usize, q: usize, count: i32, ps: usize, qs: usize): void {
  if (ps == 0 && qs == 4) {
    const v = v128.load32_splat(p);
    for (; count >= 4; count -= 4) {
      v128.store(q, v);
      q += 16;
    }
  }
  for (; count > 0; count--) {
    store<u32>(q, load<u32>(p));
    p += ps;
    q += qs;
  }
}

/** Copies rows [band * share, ...) of `inner` elements from one strided box to another. */
export function copyBox(
  band: i32, thread: i32, from: usize, to: usize, axes: usize, rows: i32, inner: i32, share: i32, fromStep: i32, toStep: i32,
): void {
  const end = min(rows, (band + 1) * share);
  let row = band * share;
  while (row < end) {
    locate(axes, row);
    let p = from + (<usize>first << 2);
    let q = to + (<usize>second << 2);
    const ps = <usize>firstStep << 2;
    const qs = <usize>secondStep << 2;
    const last = min(end, row + rowsLeft);
    if (fromStep == 1 && toStep == 1) {
      for (; row < last; row++) {
        copyRun(p, q, inner);
        p += ps;
        q += qs;
      }
    } else {
      for (; row < last; row++) {
        copySteps(p, q, inner, <usize>fromStep << 2, <usize>toStep << 2);
        p += ps;
        q += qs;
      }
    }
  }
}

/** A block of 4 by 4, from rows `fs` bytes apart to rows `ts` apart. */
// @ts-ignore: decorator
@inline
function transposeBlock(a: usize, b: usize, fs: usize, ts: usize): void {
  const r0 = v128.load(a), r1 = v128.load(a + fs), r2 = v128.load(a + 2 * fs), r3 = v128.load(a + 3 * fs);
  const s0 = v128.shuffle<f32>(r0, r1, 0, 4, 1, 5), s1 = v128.shuffle<f32>(r2, r3, 0, 4, 1, 5);
  const s2 = v128.shuffle<f32>(r0, r1, 2, 6, 3, 7), s3 = v128.shuffle<f32>(r2, r3, 2, 6, 3, 7);
  v128.store(b, v128.shuffle<f32>(s0, s1, 0, 1, 4, 5));
  v128.store(b + ts, v128.shuffle<f32>(s0, s1, 2, 3, 6, 7));
  v128.store(b + 2 * ts, v128.shuffle<f32>(s2, s3, 0, 1, 4, 5));
  v128.store(b + 3 * ts, v128.shuffle<f32>(s2, s3, 2, 3, 6, 7));
}

/** Source rows of a tile: two cache lines of the target, found by measuring. */
const TILE: i32 = 32;

/**
 * Transposes planes: to[q * toStep + p] = from[p * fromStep + q] for p < across, q < down, one plane for each place of `axes`. A unit
 * of work is `span` of the q of one plane; blocks of q are the fastest. A band takes `each` of the `units`.
 */
export function transposePlanes(
  band: i32, thread: i32, from: usize, to: usize, axes: usize, down: i32, across: i32, fromStep: i32, toStep: i32, span: i32,
  units: i32, each: i32,
): void {
  const blocks = (down + span - 1) / span;
  const ts = <usize>toStep << 2;
  const end = min(units, (band + 1) * each);
  for (let unit = band * each; unit < end; unit++) {
    locate(axes, unit / blocks);
    const q = unit % blocks * span;
    const source = from + (<usize>(first + q) << 2);
    transposePlane(source, to + (<usize>second << 2) + <usize>q * ts, min(span, down - q), across, <usize>fromStep << 2, ts);
  }
}

function transposePlane(source: usize, target: usize, down: i32, across: i32, fs: usize, ts: usize): void {
  const even = down & ~3;
  let p = 0;
  while (p + 4 <= across) {
    const tile = p + TILE <= across ? TILE : (across - p) & ~3;
    let a = source + <usize>p * fs;
    let b = target + (<usize>p << 2);
    for (let q = 0; q < even; q += 4) {
      let s = a, t = b;
      for (let i = 0; i < tile; i += 4) {
        transposeBlock(s, t, fs, ts);
        s += 4 * fs;
        t += 16;
      }
      a += 16;
      b += 4 * ts;
    }
    for (let q = even; q < down; q++) {
      copySteps(a, b, tile, fs, 4);
      a += 4;
      b += ts;
    }
    p += tile;
  }
  for (; p < across; p++) copySteps(source + <usize>p * fs, target + (<usize>p << 2), down, 4, ts);
}

/** out[o, i, :] = x[o, index[o / group, i], :] for rows (o, i) in [band * share, ...); x has `size` rows to an o, out `count`. */
export function gatherRows(
  band: i32, thread: i32, x: usize, index: usize, out: usize, rows: i32, count: i32, size: i32, width: i32, group: i32, share: i32,
): void {
  const end = min(rows, (band + 1) * share);
  for (let r = band * share; r < end; r++) {
    const o = r / count;
    const i = r - o * count;
    const at = load<i32>(index + (<usize>(o / group * count + i) << 2));
    copyRun(x + (<usize>(o * size + at) * <usize>width << 2), out + (<usize>r * <usize>width << 2), width);
  }
}

/** out[s, :] = sum of the rows of x whose id is s, in order, for segments [band * share, ...). */
export function segmentSum(
  band: i32, thread: i32, x: usize, ids: usize, out: usize, rows: i32, width: i32, segments: i32, share: i32,
): void {
  const from = band * share;
  const to = min(segments, from + share);
  memory.fill(out + (<usize>from * <usize>width << 2), 0, <usize>(to - from) * <usize>width << 2);
  for (let r = 0; r < rows; r++) {
    const s = load<i32>(ids + (<usize>r << 2));
    if (s < from || s >= to) continue;
    let p = x + (<usize>r * <usize>width << 2);
    let q = out + (<usize>s * <usize>width << 2);
    let i = 0;
    for (; i + 4 <= width; i += 4) {
      v128.store(q, f32x4.add(v128.load(q), v128.load(p)));
      p += 16;
      q += 16;
    }
    if (i < width) storePart(q, f32x4.add(loadPart(q, width - i), loadPart(p, width - i)), width - i);
  }
}

/**
 * Sorts rows of floats, largest first, equal ones by their index: values and indices of the first `keep`. Radix sort by bytes
 * of a key that orders like the float. NaN counts as larger than all. `scratch`: 4 * length + 256 words a thread.
 */
export function sortRows(
  band: i32, thread: i32, x: usize, values: usize, indices: usize, rows: i32, length: i32, keep: i32, share: i32, scratch: usize, stride: i32,
): void {
  const counts = scratch + <usize>thread * <usize>stride;
  const bytes = <usize>length << 2;
  const end = min(rows, (band + 1) * share);
  for (let r = band * share; r < end; r++) {
    let keyA = counts + 1024;
    let indexA = keyA + bytes;
    let keyB = indexA + bytes;
    let indexB = keyB + bytes;
    const from = x + <usize>r * bytes;
    for (let i = 0; i < length; i++) {
      const o = <usize>i << 2;
      let u = load<u32>(from + o);
      // -0 and 0 are equal.
      if (u == 0x80000000) u = 0;
      if ((u & 0x7fffffff) > 0x7f800000) u = 0x7fffffff;
      // Ascending order of the key is descending order of the float.
      u = u & 0x80000000 ? u : ~u & 0x7fffffff;
      store<u32>(keyA + o, u);
      store<i32>(indexA + o, i);
    }
    for (let shift = 0; shift < 32; shift += 8) {
      memory.fill(counts, 0, 1024);
      for (let i = 0; i < length; i++) {
        const c = counts + <usize>(((load<u32>(keyA + (<usize>i << 2)) >> shift) & 255) << 2);
        store<i32>(c, load<i32>(c) + 1);
      }
      let sum = 0;
      for (let d = 0; d < 256; d++) {
        const c = counts + <usize>(d << 2);
        const n = load<i32>(c);
        store<i32>(c, sum);
        sum += n;
      }
      for (let i = 0; i < length; i++) {
        const o = <usize>i << 2;
        const key = load<u32>(keyA + o);
        const c = counts + <usize>(((key >> shift) & 255) << 2);
        const place = load<i32>(c);
        store<i32>(c, place + 1);
        store<u32>(keyB + (<usize>place << 2), key);
        store<i32>(indexB + (<usize>place << 2), load<i32>(indexA + o));
      }
      const k = keyA;
      keyA = keyB;
      keyB = k;
      const t = indexA;
      indexA = indexB;
      indexB = t;
    }
    for (let i = 0; i < keep; i++) {
      const index = load<i32>(indexA + (<usize>i << 2));
      const o = <usize>(r * keep + i) << 2;
      store<u32>(values + o, load<u32>(from + (<usize>index << 2)));
      store<i32>(indices + o, index);
    }
  }
}
