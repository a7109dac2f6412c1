/**
 * Which pictures are one another's copies or recolours: a coarse view of one must be an affine map of the colours of the other's.
 * Shifted, turned or rescaled copies are not found.
 */

/** Similarity from which on two pictures count as one another's variants. */
export const ALIKE = 0.7;

/** Pixels a side of the coarse view. */
const SIDE = 16;
const CELLS = SIDE * SIDE;
/** A direction of colour with less than this share of a picture's deviation is noise. */
const NOISE = 0.02;

/** What of a picture is compared. */
export interface Layout {
  /** [3, 256] its channels around their means, and their sum of squares. */
  readonly channels: Float64Array;
  readonly power: number;
  /** [r, 256] orthonormal, r up to 3: the span of the channels. */
  readonly basis: readonly Float64Array[];
}

const dot = (a: Float64Array, b: Float64Array) => {
  let sum = 0;
  for (let i = 0; i < CELLS; i++) sum += a[i] * b[i];
  return sum;
};

/** @param picture [side, side, 3], its side at least 16 */
export function layoutOf(picture: Float32Array, side: number): Layout {
  const channels = new Float64Array(3 * CELLS);
  const counts = new Float64Array(CELLS);
  for (let y = 0; y < side; y++) {
    for (let x = 0; x < side; x++) {
      const cell = Math.floor((y * SIDE) / side) * SIDE + Math.floor((x * SIDE) / side);
      counts[cell]++;
      for (let c = 0; c < 3; c++) channels[c * CELLS + cell] += picture[3 * (y * side + x) + c];
    }
  }
  const rows = [0, 1, 2].map(c => channels.subarray(c * CELLS, (c + 1) * CELLS));
  for (const row of rows) {
    let mean = 0;
    for (let i = 0; i < CELLS; i++) {
      row[i] /= Math.max(1, counts[i]);
      mean += row[i] / CELLS;
    }
    for (let i = 0; i < CELLS; i++) row[i] -= mean;
  }
  const power = rows.reduce((sum, row) => sum + dot(row, row), 0);
  // Gram and Schmidt, the strongest channel first.
  const basis: Float64Array[] = [];
  for (const row of [...rows].sort((a, b) => dot(b, b) - dot(a, a))) {
    const rest = Float64Array.from(row);
    for (const direction of basis) {
      const share = dot(direction, rest);
      for (let i = 0; i < CELLS; i++) rest[i] -= share * direction[i];
    }
    const norm = Math.sqrt(dot(rest, rest));
    if (norm > NOISE * Math.sqrt(power) && norm > 0) basis.push(rest.map(x => x / norm));
  }
  return { channels, power, basis };
}

/** Share of b's deviation that an affine map of a's colours explains. */
function explained(a: Layout, b: Layout): number {
  if (b.power === 0) return 0;
  let sum = 0;
  for (let c = 0; c < 3; c++) {
    const channel = b.channels.subarray(c * CELLS, (c + 1) * CELLS);
    for (const direction of a.basis) sum += dot(direction, channel) ** 2;
  }
  return sum / b.power;
}

/** From 0 to 1: 1 for a copy, and for a recolour by a linear map. */
export const similarity = (a: Layout, b: Layout): number => Math.min(explained(a, b), explained(b, a));

/**
 * For each picture the index of the first one of its group: pictures at least as similar as `threshold`, and what hangs together by
 * such pairs, are one group.
 */
export function similarGroups(layouts: readonly Layout[], threshold: number): number[] {
  const first = layouts.map((_, i) => i);
  const root = (i: number): number => {
    while (first[i] !== i) i = first[i];
    return i;
  };
  for (let i = 1; i < layouts.length; i++) {
    for (let j = 0; j < i; j++) {
      if (explained(layouts[i], layouts[j]) < threshold || explained(layouts[j], layouts[i]) < threshold)
        continue;
      const [a, b] = [root(i), root(j)];
      first[Math.max(a, b)] = Math.min(a, b);
    }
  }
  return first.map((_, i) => root(i));
}
