/** The nearest of many NCAs modulo hidden permutation and scaling, without matching them all. */
import { type NcaSpec, weightCount } from '../spec.ts';
import { distanceInPlace, distanceOfUnits, type HiddenUnits, hiddenUnits } from './hidden-units.ts';

/** The candidate nearest to a query; index -1 and distance Infinity when every one was left out. */
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
  const unitsOf = (all: Float32Array) =>
    Array.from({ length: all.length / size }, (_, n) => hiddenUnits(spec, row(all, n)));
  const [ours, theirs] = [unitsOf(queries), unitsOf(candidates)];
  const sorted = theirs.map(sortedUnits);
  return ours.map((query, q) => {
    const own = sortedUnits(query);
    const order = sorted
      .map((candidate, index) => ({ index, bound: distanceInPlace(own, candidate) }))
      .filter(({ index }) => !skip(q, index))
      .sort((a, b) => a.bound - b.bound);
    let best: NearestNca = { index: -1, distance: Infinity };
    for (const { index, bound } of order) {
      if (bound >= best.distance) break;
      const distance = distanceOfUnits(query, theirs[index], best.distance);
      if (distance < best.distance) best = { index, distance };
    }
    return best;
  });
}

/** Each kind of weight sorted over the units: what is left of them when their order is forgotten kind by kind. */
function sortedUnits(units: HiddenUnits): HiddenUnits {
  const { count, width, rows } = units;
  const sorted = new Float64Array(rows.length);
  for (let kind = 0; kind < width; kind++) {
    const values = Float64Array.from({ length: count }, (_, i) => rows[i * width + kind]).sort();
    values.forEach((value, i) => {
      sorted[i * width + kind] = value;
    });
  }
  return { ...units, rows: sorted };
}
