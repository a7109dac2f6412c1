/** Gram matrices of rectified filter responses of all turned and recoloured copies of a picture, without making the copies. */
import { allocate, kernel, memory, parallel, release, threadCount } from '../compute/index.ts';
import type { GridTurn } from '../nca/index.ts';

/** A picture without its mean colour, and the filters that look at it. */
export interface OrbitGramInput {
  /** [height, width, 3], a torus. */
  readonly level: Float32Array;
  readonly height: number;
  readonly width: number;
  /** [taps, taps, 3, count] */
  readonly bank: Float32Array;
  readonly taps: number;
  readonly count: number;
  /** Distance between taps, in pixels. */
  readonly rate: number;
  readonly turns: readonly GridTurn[];
  /** Row-major [3, 3] maps A of the colours: x becomes A x. */
  readonly colours: readonly ArrayLike<number>[];
}

/** Floats of scratch that a thread needs for a filter: answers to nine pairs of channels, and what is mixed of them, for 256 pixels. */
const SCRATCH = 11 * 256;

const roundUp = (x: number, to: number) => to * Math.ceil(x / to);

/**
 * The mean over pixels of relu(r_i) relu(r_j) for every turn and every colour map. Responses r are linear in the picture: those of a turned picture are what
 * filters with turned taps answer, those of a recoloured one are mixed from what they answer to single channels. Only the products behind the rectifier are
 * made for every copy.
 * @returns [turns, colours, count, count], symmetric
 */
export function orbitGrams(input: OrbitGramInput): Float32Array {
  const { level, height, width, taps, count, rate, turns, colours } = input;
  const reach = (taps - 1) * rate;
  // The kernel takes eight pixels and six filters at a time.
  const [across, filters] = [roundUp(width, 8), roundUp(count, 6)];
  const stride = across + reach;
  const plane = (height + reach) * stride;
  const { maps, places } = signless(colours);
  const terms = maps.map(colourTerms);
  const groups = Math.max(...terms.map(list => Math.ceil(list.length / 3)));
  const grams = turns.length * maps.length * 2 * filters ** 2;
  const sizes = {
    planes: 4 * 3 * plane,
    filters: 4 * turns.length * taps ** 2 * 3 * filters,
    offsets: 4 * taps ** 2,
    terms: 24 * maps.length * groups,
    grams: 8 * grams,
    scratch: 4 * threadCount() * filters * SCRATCH,
  };
  const room = Object.values(sizes).map(allocate);
  try {
    const [planesAt, filtersAt, offsetsAt, termsAt, gramsAt] = room;
    const floats = (at: number, bytes: number) => new Float32Array(memory.buffer, at, bytes / 4);
    const planes = floats(planesAt, sizes.planes);
    for (let p = 0; p < 3; p++)
      for (let y = 0; y < height + reach; y++)
        for (let x = 0; x < stride; x++)
          planes[p * plane + y * stride + x] = level[((y % height) * width + (x % width)) * 3 + p];
    floats(filtersAt, sizes.filters).set(turnedFilters(input, filters));
    new Int32Array(memory.buffer, offsetsAt, taps ** 2).set(
      Array.from({ length: taps ** 2 }, (_, t) => 4 * rate * (Math.floor(t / taps) * stride + (t % taps))),
    );
    const written = new DataView(memory.buffer, termsAt, sizes.terms);
    terms.forEach((list, a) => {
      for (let k = 0; k < 3 * groups; k++) {
        const { map, factor } = list[k] ?? { map: 0, factor: 0 };
        written.setUint32(8 * (3 * groups * a + k), map, true);
        written.setFloat32(8 * (3 * groups * a + k) + 4, factor, true);
      }
    });
    const size = [height, across, width, stride, plane, taps ** 2, filters, maps.length, groups];
    parallel(kernel('orbitGram'), turns.length, ...room, ...size);
    const sums = new Float64Array(memory.buffer, gramsAt, grams);
    const rows = turns.flatMap((_, t) => places.map(place => t * 2 * maps.length + place));
    return meanProducts(sums, rows, filters, count, height * width);
  } finally {
    room.forEach(release);
  }
}

/** Colour maps of which none is another's negative, and where each of those given is among them and their negatives, taken in turn. */
function signless(colours: readonly ArrayLike<number>[]) {
  const maps: ArrayLike<number>[] = [];
  const known = new Map<string, number>();
  const key = (colour: ArrayLike<number>, sign: number) => Array.from(colour, x => sign * x + 0).join();
  const places = colours.map(colour => {
    const found = known.get(key(colour, 1));
    if (found !== undefined) return found;
    const place = 2 * (maps.push(colour) - 1);
    known.set(key(colour, 1), place);
    known.set(key(colour, -1), place + 1);
    return place;
  });
  return { maps, places };
}

/** What a colour map mixes: A[c, p] of the answer of a filter's channel c to the picture's channel p, which is map 3 p + c. */
function colourTerms(colour: ArrayLike<number>): { map: number; factor: number }[] {
  return Array.from({ length: 9 }, (_, i) => ({
    map: 3 * (i % 3) + Math.floor(i / 3),
    factor: colour[i],
  })).filter(({ factor }) => factor !== 0);
}

/** [turns, taps^2, 3, filters]: a filter answers to a turned picture as one whose taps are turned back answers to the picture; up to a shift, which a torus forgets. */
function turnedFilters({ bank, taps, count, turns }: OrbitGramInput, filters: number): Float32Array {
  const turned = new Float32Array(turns.length * taps ** 2 * 3 * filters);
  const last = taps - 1;
  turns.forEach(([a, b, c, d], t) => {
    for (let y = 0; y < taps; y++) {
      for (let x = 0; x < taps; x++) {
        // In doubled coordinates the centre of a cell is a whole number.
        const [u, v] = [2 * x - last, 2 * y - last];
        const from = ((c * u + d * v + last) / 2) * taps + (a * u + b * v + last) / 2;
        for (let k = 0; k < 3 * count; k++) {
          const to = ((t * taps + y) * taps + x) * 3 + Math.floor(k / count);
          turned[to * filters + (k % count)] = bank[from * 3 * count + k];
        }
      }
    }
  });
  return turned;
}

/** Of sums above the diagonal of [n, filters, filters], means [rows, count, count] with both halves. */
function meanProducts(
  sums: Float64Array,
  rows: readonly number[],
  filters: number,
  count: number,
  pixels: number,
): Float32Array {
  const means = new Float32Array(rows.length * count ** 2);
  for (const [k, row] of rows.entries()) {
    for (let i = 0; i < count; i++) {
      for (let j = i; j < count; j++) {
        const mean = sums[row * filters ** 2 + i * filters + j] / pixels;
        means[k * count ** 2 + i * count + j] = mean;
        means[k * count ** 2 + j * count + i] = mean;
      }
    }
  }
  return means;
}
