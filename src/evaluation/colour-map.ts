/** The linear map of colours about grey that gives one picture another's colours: exact on the weights of the NCA that grows it. */
import { EigenvalueDecomposition, Matrix, SingularValueDecomposition } from 'ml-matrix';

/** Second moment E[(x - grey)(x - grey)'] and mean E[x - grey] of a picture [H * W * 3]. */
export function colourMoments(picture: ArrayLike<number>, grey: number): { moment: Matrix; mean: Matrix } {
  const pixels = picture.length / 3;
  const mean = new Float64Array(3);
  const moment = new Float64Array(9);
  for (let i = 0; i < picture.length; i += 3) {
    for (let c = 0; c < 3; c++) {
      const x = picture[i + c] - grey;
      mean[c] += x / pixels;
      for (let d = 0; d < 3; d++) moment[3 * c + d] += (x * (picture[i + d] - grey)) / pixels;
    }
  }
  return { moment: Matrix.from1DArray(3, 3, moment), mean: Matrix.columnVector(mean) };
}

/** Variances below this are not stretched: a nearly grey picture has no hues to map. */
const FLOOR = 1e-4;

/** A symmetric positive matrix to a power, its eigenvalues kept from zero. */
function power(matrix: Matrix, exponent: number): Matrix {
  const { eigenvectorMatrix: v, realEigenvalues } = new EigenvalueDecomposition(matrix, {
    assumeSymmetric: true,
  });
  return v
    .clone()
    .mulRowVector(realEigenvalues.map(x => Math.max(x, FLOOR) ** exponent))
    .mmul(v.transpose());
}

/** How much a mean counts for against moving colours no farther than needed. */
const GENTLE = 0.01;

/**
 * R [3, 3], row-major, such that the colours of R (x - grey) + grey have the target's second moments about grey, E[x x'], and as nearly as such a
 * map can its mean: then the covariance matches as well. All such maps are S_t^(1/2) Q S_x^(-1/2) with Q orthogonal; Q is the one that
 * best takes the whitened mean of x to that of the target, and where that leaves it free moves colours least (orthogonal Procrustes).
 * Without means about grey it is the Monge map between Gaussians.
 */
export function colourMap(picture: ArrayLike<number>, target: ArrayLike<number>, grey = 0.5): Float64Array {
  const [from, to] = [picture, target].map(x => colourMoments(x, grey));
  const [root, whiten] = [power(to.moment, 0.5), power(from.moment, -0.5)];
  const [u, v] = [whiten.mmul(from.mean), power(to.moment, -0.5).mmul(to.mean)];
  // The least motion: Q from the polar decomposition of S_t^(1/2) S_x^(1/2).
  const still = polar(root.mmul(power(from.moment, 0.5)));
  const q = polar(Matrix.add(still.mul(GENTLE), v.mmul(u.transpose())));
  return Float64Array.from(root.mmul(q).mmul(whiten).to1DArray());
}

/** The orthogonal matrix nearest to a given one. */
function polar(matrix: Matrix): Matrix {
  const svd = new SingularValueDecomposition(matrix);
  return svd.leftSingularVectors.mmul(svd.rightSingularVectors.transpose());
}
