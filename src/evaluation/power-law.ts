/** How fast a distance falls with the size of a training set. */
import { type Interval, meanInterval } from './statistics.ts';

/**
 * Exponent b of distance ~ N^-b, a texture at a time by least squares in logarithms: its mean, with the interval over textures.
 * @param sizes at least two different ones
 * @param distances [sizes][M], above 0
 */
export function powerExponent(sizes: readonly number[], distances: readonly ArrayLike<number>[]): Interval {
  const x = sizes.map(Math.log);
  const middle = x.reduce((sum, value) => sum + value, 0) / x.length;
  const spread = x.reduce((sum, value) => sum + (value - middle) ** 2, 0);
  if (!(spread > 0)) throw new Error('an exponent needs at least two different sizes');
  return meanInterval(
    Array.from(distances[0], (_, row) => {
      const slope = x.reduce((sum, value, i) => sum + (value - middle) * Math.log(distances[i][row]), 0);
      return -slope / spread;
    }),
  );
}
