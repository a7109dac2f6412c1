/** An NCA as the set of its hidden units: what hidden permutations and scalings leave of its weights, and how far two such sets are apart. */
import { linearSumAssignment } from 'linear-sum-assignment';
import { Matrix } from 'ml-matrix';
import { type NcaSpec, weightBlocks } from '../spec.ts';
import { actOnWeights, type Floats } from './act.ts';
import { hiddenScaling, identity, type SymmetryElement, sizeOf } from './element.ts';
import { SYMMETRIES } from './groups.ts';

/** What belongs to hidden unit i: its input weights and bias, and its output weights. */
export function unit(
  spec: NcaSpec,
  weights: Floats,
  i: number,
): { input: Float64Array; output: Float64Array } {
  const [w1, b1, w2] = weightBlocks(spec);
  const inputs = 4 * spec.channels;
  const input = new Float64Array(inputs + 1);
  for (let j = 0; j < inputs; j++) input[j] = weights[w1.offset + i * inputs + j];
  input[inputs] = weights[b1.offset + i];
  const output = Float64Array.from(
    { length: spec.channels },
    (_, c) => weights[w2.offset + c * spec.hidden + i],
  );
  return { input, output };
}

export const norm = (x: Float64Array) => Math.sqrt(x.reduce((sum, v) => sum + v * v, 0));

/**
 * The scaling that gives every hidden unit input and output weights of equal norm: one representative for all scalings. Units without
 * input or output weights, and specs whose hidden clip forbids scaling, stay.
 */
export function balancing(spec: NcaSpec, weights: Floats): SymmetryElement {
  const size = sizeOf(spec);
  if (SYMMETRIES['hidden-scaling'].obstacle(spec)) return identity(size);
  return hiddenScaling(
    size,
    Float64Array.from({ length: spec.hidden }, (_, i) => {
      const { input, output } = unit(spec, weights, i);
      const ratio = Math.sqrt(norm(output) / norm(input));
      return Number.isFinite(ratio) && ratio > 0 ? ratio : 1;
    }),
  );
}

/** Balanced hidden units, each a row of input weights, bias and output weights; and the weights that belong to no unit. */
export interface HiddenUnits {
  readonly count: number;
  readonly width: number;
  /** [count * width] */
  readonly rows: Float64Array;
  readonly others: Float64Array;
}

/** The balanced units of weights [D]. Throws when they do not fit the spec. */
export function hiddenUnits(spec: NcaSpec, weights: Floats): HiddenUnits {
  const balanced = actOnWeights(spec, balancing(spec, weights), Float64Array.from(weights));
  const width = 5 * spec.channels + 1;
  const rows = new Float64Array(spec.hidden * width);
  for (let i = 0; i < spec.hidden; i++) {
    const { input, output } = unit(spec, balanced, i);
    rows.set(input, i * width);
    rows.set(output, i * width + input.length);
  }
  const bias = weightBlocks(spec).find(({ name }) => name === 'b2');
  const others = bias ? balanced.slice(bias.offset, bias.offset + bias.size) : new Float64Array(0);
  return { count: spec.hidden, width, rows, others };
}

/** For every row its column, with the least total cost. */
export function cheapestAssignment(cost: Matrix): Uint32Array {
  // The library changes the matrix it is given.
  const { rowAssignments } = linearSumAssignment(cost.clone(), { maximaze: false });
  return Uint32Array.from(rowAssignments);
}

/**
 * Root mean square difference of two NCAs' balanced weights under the best matching of their units. Where every unit has a nearest one of
 * its own, these are the matching; an assignment is solved only where two want the same.
 * @param limit gives up, with Infinity, as soon as the distance cannot be below it
 */
export function distanceOfUnits(a: HiddenUnits, b: HiddenUnits, limit = Infinity): number {
  const { count, width } = a;
  const size = count * width + a.others.length;
  const apart = squared(a.others, 0, b.others, 0, a.others.length);
  const cost = new Matrix(count, count);
  const takers = new Uint8Array(count);
  let nearest = 0;
  for (let i = 0; i < count; i++) {
    let best = 0;
    for (let j = 0; j < count; j++) {
      cost.set(i, j, squared(a.rows, i * width, b.rows, j * width, width));
      if (cost.get(i, j) < cost.get(i, best)) best = j;
    }
    takers[best]++;
    nearest += cost.get(i, best);
  }
  const root = (sum: number) => Math.sqrt((sum + apart) / size);
  if (root(nearest) >= limit) return Infinity;
  if (takers.every(taken => taken === 1)) return root(nearest);
  const columns = cheapestAssignment(cost);
  return root(columns.reduce((sum, column, row) => sum + cost.get(row, column), 0));
}

/** The same with every unit where it stands. */
export function distanceInPlace(a: HiddenUnits, b: HiddenUnits): number {
  const { rows, others } = a;
  const sum = squared(rows, 0, b.rows, 0, rows.length) + squared(others, 0, b.others, 0, others.length);
  return Math.sqrt(sum / (rows.length + others.length));
}

function squared(a: Float64Array, from: number, b: Float64Array, at: number, length: number): number {
  let sum = 0;
  for (let k = 0; k < length; k++) sum += (a[from + k] - b[at + k]) ** 2;
  return sum;
}
