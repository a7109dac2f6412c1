/** One setting out of several for every texture, chosen on other textures: what a method reaches at its best without looking at the answer. */
import type { MethodResult } from './comparison.ts';

/**
 * Two-fold choice: textures of even rows take the setting that is best on average over those of odd rows, and the other way round. Best is the least mean of
 * log(distance), so that no texture weighs by its size.
 *
 * @param distances [settings][M], lower is better; several numbers a texture are given by their mean logarithm already
 * @returns [M] index of the setting
 */
export function crossChosen(logDistances: readonly ArrayLike<number>[]): Int32Array {
  const count = logDistances[0].length;
  const best = [0, 1].map(fold => {
    const means = logDistances.map(values => {
      // Of the rows that the choice is not made for; a single texture has only itself to choose by.
      const rows = Array.from(values).filter((_, row) => row % 2 !== fold || count === 1);
      return rows.reduce((sum, value) => sum + value, 0) / rows.length;
    });
    return means.reduce((least, mean, i) => (mean < means[least] ? i : least), 0);
  });
  return Int32Array.from({ length: count }, (_, row) => best[row % 2]);
}

/** Row by row the result that was chosen for it. @param choice [M] indices into the results, which measured the same textures */
export function rowsChosen(results: readonly MethodResult[], choice: ArrayLike<number>): MethodResult {
  const [first] = results;
  const count = choice.length;
  const merged = (of: (result: MethodResult) => Float32Array) => {
    const out = of(first).slice();
    const width = out.length / count;
    for (let row = 0; row < count; row++)
      out.set(of(results[choice[row]]).subarray(row * width, (row + 1) * width), row * width);
    return out;
  };
  return {
    ...first,
    weights: merged(({ weights }) => weights),
    pictures: merged(({ pictures }) => pictures),
    health: first.health.map((_, row) => results[choice[row]].health[row]),
    values: Object.fromEntries(
      Object.keys(first.values).map(metric => [
        metric,
        first.values[metric].map((_, row) => results[choice[row]].values[metric][row]),
      ]),
    ),
  };
}
