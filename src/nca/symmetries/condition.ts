/**
 * Canonicalisation by condition: before sampling, turn and recolour the picture so that its condition lies as close as can be to a
 * training condition; sample; undo it on the weights. Exact, and free of training.
 */
import { rowDots } from '../../compute/index.ts';
import { inverse, type SymmetryElement } from './element.ts';

/** The canonical form of a picture among the elements tried, and how to undo it. */
export interface CanonicalCondition {
  /** Brings the picture to its canonical form. Its inverse, acting on sampled weights, undoes it. */
  readonly element: SymmetryElement;
  readonly undo: SymmetryElement;
  /** Features [F] of the canonical picture. */
  readonly features: Float32Array;
  /** The training row it is closest to. */
  readonly nearest: number;
  /** Euclidean, between the features of both. */
  readonly distance: number;
}

/** A picture's conditions under the elements that may turn and recolour it, and the training conditions it is brought near to. */
export interface CanonicalConditionInput {
  /** The group's elements to try, such as `finiteOrbit(spec, ['colour', 'd4'])`. */
  readonly elements: readonly SymmetryElement[];
  /** [E * F] features of the picture acted on by each element: what conditions are compared by. Standardise them to weigh them alike. */
  readonly features: Float32Array;
  /** [N * F] of the training textures. */
  readonly trainFeatures: Float32Array;
}

/** Distances that differ by less than this part of the features' length are the same: what features carry of rounding. */
const ALIKE = 1e-5;

/**
 * The element among `elements` whose picture's features are nearest (Euclidean) to a training texture's; of several that are equally near, as those are
 * that exchange the colours of a grey picture, the first.
 */
export function canonicalCondition({
  elements,
  features,
  trainFeatures,
}: CanonicalConditionInput): CanonicalCondition {
  if (elements.length === 0) throw new Error('no group elements to try');
  const width = features.length / elements.length;
  const [copies, train] = [features, trainFeatures].map(data => ({
    rows: data.length / width,
    columns: width,
    data: Float64Array.from(data),
  }));
  const [ours, theirs] = [copies, train].map(squaredNorms);
  const dots = rowDots(copies, train).data;
  const found = elements.map((_, k) => {
    let [nearest, least] = [-1, Infinity];
    for (let n = 0; n < train.rows; n++) {
      const squared = ours[k] + theirs[n] - 2 * dots[k * train.rows + n];
      if (squared < least) [nearest, least] = [n, squared];
    }
    return { nearest, distance: Math.sqrt(Math.max(0, least)) };
  });
  const bound = Math.min(...found.map(({ distance }) => distance)) + ALIKE * Math.sqrt(Math.max(...ours));
  const k = found.findIndex(({ distance }) => distance <= bound);
  return {
    element: elements[k],
    undo: inverse(elements[k]),
    features: features.slice(k * width, (k + 1) * width),
    ...found[k],
  };
}

function squaredNorms({ rows, columns, data }: { rows: number; columns: number; data: Float64Array }) {
  return Array.from({ length: rows }, (_, n) => {
    let sum = 0;
    for (let i = n * columns; i < (n + 1) * columns; i++) sum += data[i] ** 2;
    return sum;
  });
}
