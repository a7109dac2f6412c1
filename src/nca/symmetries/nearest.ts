/** The nearest of many NCAs modulo hidden permutation and scaling, without matching them all. */
import { type NcaSpec, weightBlocks, weightCount } from '../spec.ts';
import { actOnWeights, type Floats } from './act.ts';
import { balancing, distanceOfUnits, hiddenUnits } from './hidden-units.ts';

export interface NearestNca {
  /** Row among the candidates. */
  readonly index: number;
  /** `symmetricDistance`: root mean square over balanced weights, best matching. */
  readonly distance: number;
}

/**
 * For every query its nearest candidate by `symmetricDistance`. Balanced weights sorted along the hidden units, each kind of weight on its
 * own, lie never farther apart than under any one matching of whole units: candidates are tried in the order of that bound, and
 * the search ends when the bound passes the best distance found. Exact.
 * @param queries [M * D]  @param candidates [N * D]
 * @param skip leaves a candidate out for a query, such as the query itself
 */
export function nearestModuloSymmetry(
  spec: NcaSpec,
  queries: Float32Array,
  candidates: Float32Array,
  skip: (query: number, candidate: number) => boolean = () => false,
): NearestNca[] {
  const size = weightCount(spec);
  const row = (all: Float32Array, n: number) => all.subarray(n * size, (n + 1) * size);
  const sorted = (all: Float32Array) =>
    Array.from({ length: all.length / size }, (_, n) => sortedUnits(spec, row(all, n)));
  const unitsOf = (all: Float32Array) =>
    Array.from({ length: all.length / size }, (_, n) => hiddenUnits(spec, row(all, n)));
  const [ours, theirs] = [sorted(queries), sorted(candidates)];
  const [ourUnits, theirUnits] = [unitsOf(queries), unitsOf(candidates)];
  return ours.map((query, q) => {
    const order = theirs
      .map((candidate, index) => ({ index, bound: rootMeanSquare(query, candidate) }))
      .filter(({ index }) => !skip(q, index))
      .sort((a, b) => a.bound - b.bound);
    let best: NearestNca = { index: -1, distance: Infinity };
    for (const { index, bound } of order) {
      if (bound >= best.distance) break;
      const distance = distanceOfUnits(ourUnits[q], theirUnits[index], best.distance);
      if (distance < best.distance) best = { index, distance };
    }
    return best;
  });
}

/** Balanced weights [D], each input column, the bias and each output row sorted over the hidden units. */
function sortedUnits(spec: NcaSpec, weights: Floats): Float64Array {
  const flat = actOnWeights(spec, balancing(spec, weights), Float64Array.from(weights));
  const { hidden } = spec;
  for (const { name, offset, size } of weightBlocks(spec)) {
    if (name === 'b2') continue;
    // w1 is [hidden, inputs]: unit by unit; w2 [channels, hidden] and b1 have their units side by side.
    const across = name === 'w1' ? size / hidden : 1;
    for (let line = 0; line < size / hidden; line++) {
      const at = (i: number) => offset + (name === 'w1' ? i * across + line : line * hidden + i);
      const values = Float64Array.from({ length: hidden }, (_, i) => flat[at(i)]).sort();
      values.forEach((value, i) => {
        flat[at(i)] = value;
      });
    }
  }
  return flat;
}

function rootMeanSquare(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += (a[i] - b[i]) ** 2;
  return Math.sqrt(sum / a.length);
}
