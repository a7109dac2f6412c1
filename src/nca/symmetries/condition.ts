/**
 * Canonicalisation by condition: before sampling, turn and recolour the picture so that its condition lies as close as can be to a
 * training condition; sample; undo it on the weights. Exact, and free of training.
 */

import type { NcaSpec } from '../spec.ts';
import type { Grid } from './act.ts';
import { actOnImage } from './act.ts';
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

/** A picture, the elements that may turn and recolour it, and the training conditions it is brought near to. */
export interface CanonicalConditionInput {
  readonly spec: NcaSpec;
  /** [height, width, 3] in [0, 1]. */
  readonly picture: Grid;
  /** The group's elements to try, such as `finiteOrbit(spec, ['colour', 'd4'])`. */
  readonly elements: readonly SymmetryElement[];
  /** Features [F] of a picture: what conditions are compared by. Standardise them to weigh them alike. */
  features(pictures: readonly Grid[]): Promise<readonly Float32Array[]>;
  /** [N * F] of the training textures. */
  readonly trainFeatures: Float32Array;
}

const CHUNK = 16;

/** The element among `elements` whose picture's features are nearest (Euclidean) to a training texture's. */
export async function canonicalCondition({
  spec,
  picture,
  elements,
  features,
  trainFeatures,
}: CanonicalConditionInput): Promise<CanonicalCondition> {
  let best: CanonicalCondition | undefined;
  for (let from = 0; from < elements.length; from += CHUNK) {
    const chunk = elements.slice(from, from + CHUNK);
    const found = await features(chunk.map(element => actOnImage(spec, element, picture)));
    for (const [k, row] of found.entries()) {
      const { nearest, distance } = nearestRow(trainFeatures, row);
      if (best === undefined || distance < best.distance) {
        best = { element: chunk[k], undo: inverse(chunk[k]), features: row, nearest, distance };
      }
    }
  }
  if (!best) throw new Error('no group elements to try');
  return best;
}

function nearestRow(rows: Float32Array, wanted: Float32Array): { nearest: number; distance: number } {
  const width = wanted.length;
  let nearest = -1;
  let least = Infinity;
  for (let n = 0; n * width < rows.length; n++) {
    let sum = 0;
    for (let f = 0; f < width; f++) sum += (rows[n * width + f] - wanted[f]) ** 2;
    if (sum < least) [nearest, least] = [n, sum];
  }
  return { nearest, distance: Math.sqrt(least) };
}
