/** Studies with another training set: fewer NCAs of it, or the same pictures grown by other weights. The held-out set stays. */
import { fitStandardiser, standardised } from '../conditioning/index.ts';
import {
  actOnWeights,
  align,
  type NcaSpec,
  SYMMETRIES,
  type SymmetryName,
  weightCount,
} from '../nca/index.ts';
import { randomStream, tf } from '../tensor/index.ts';
import type { Study } from './study.ts';

/** Another training set for a study. */
export interface TrainingChange {
  /** Which training NCAs are kept, in this order; default all. */
  readonly rows?: readonly number[];
  /** [n * D] weights in the place of all training NCAs' own. */
  readonly weights?: Float32Array;
}

/**
 * The study with another training set. Features are standardised by that set's statistics: nothing is known of the NCAs left out. To be
 * disposed of before the study it is made from.
 */
export async function substudy(study: Study, { rows, weights }: TrainingChange): Promise<Study> {
  const { train, spec, rawEncoder } = study;
  const size = weightCount(spec);
  const all = weights ?? train.weights;
  if (all.length !== train.weights.length) {
    throw new Error(`${all.length} weights for a training set of ${train.weights.length}`);
  }
  const kept = rows ?? train.names.map((_, i) => i);
  if (kept.length < 2) throw new Error(`a training set of ${kept.length} NCAs: at least 2 are needed`);
  const chosen = new Float32Array(kept.length * size);
  kept.forEach((row, i) => {
    chosen.set(all.subarray(row * size, (row + 1) * size), i * size);
  });
  const [pictures, features] = tf.tidy(() => {
    const index = tf.tensor1d([...kept], 'int32');
    return [tf.gather(train.pictures, index), tf.gather(train.features, index)];
  });
  return {
    ...study,
    train: { names: kept.map(row => train.names[row]), weights: chosen, pictures, features },
    encoder: standardised(rawEncoder, await fitStandardiser(features)),
    dispose: () => tf.dispose([pictures, features]),
  };
}

/** What a name says of its kind: `dots-007` and `banded_0012` without their number. */
const stratumOf = (name: string) => name.replace(/[-_ ]?\d+$/, '');

/**
 * All rows in a random order of which every beginning has its share of each kind of texture (the name without its number), so that
 * subsets of growing size are nested and alike. The same names and seed give the same order.
 */
export function nestedOrder(names: readonly string[], seed: number): number[] {
  const strata = new Map<string, number[]>();
  for (const row of randomStream(seed, 'nested-order').permutation(names.length)) {
    const stratum = stratumOf(names[row]);
    strata.set(stratum, [...(strata.get(stratum) ?? []), row]);
  }
  // The k-th of n rows of a stratum stands at (k + offset) / n of the way; the offset keeps strata from moving in step.
  const offsets = randomStream(seed, 'nested-offsets');
  return [...strata.values()]
    .flatMap(rows => {
      const offset = offsets.uniform(0, 1);
      return rows.map((row, k) => ({ row, at: (k + offset) / rows.length }));
    })
    .sort((a, b) => a.at - b.at)
    .map(({ row }) => row);
}

/** Weights [n * D] of which every NCA has been moved by a random element of its own of each group; what they grow stays. */
export function disorderWeights(
  spec: NcaSpec,
  weights: Float32Array,
  groups: readonly SymmetryName[],
  seed: number,
): Float32Array {
  const size = weightCount(spec);
  const moved = new Float32Array(weights.length);
  for (let start = 0; start < weights.length; start += size) {
    const stream = randomStream(seed, `disorder/${start / size}`);
    const own = groups.reduce(
      (nca, group) => actOnWeights(spec, SYMMETRIES[group].sample(spec, stream), nca),
      weights.slice(start, start + size),
    );
    moved.set(own, start);
  }
  return moved;
}

/**
 * Weight matching (Ainsworth et al. 2023): every NCA with its hidden units in the order that is nearest to one reference's, by linear assignment, and in its
 * scaling (`align`). What they grow stays.
 * @param weights [n * D]
 * @param reference [D], or [n * D] of which the first is taken
 */
export function matchedWeights(spec: NcaSpec, weights: Float32Array, reference: Float32Array): Float32Array {
  const size = weightCount(spec);
  const first = reference.slice(0, size);
  const matched = new Float32Array(weights.length);
  for (let start = 0; start < weights.length; start += size) {
    const own = weights.slice(start, start + size);
    matched.set(actOnWeights(spec, align(spec, own, first), own), start);
  }
  return matched;
}

/** NCAs that are aligned to tell how far an order can be recovered. */
const ALIGNED = 200;

/**
 * The share of hidden units that weight matching puts back where they were: every disordered NCA is aligned to the first of the originals, by
 * linear assignment, and its units are compared with its own original's. 1 where the order is not lost for good.
 */
export function recoveredUnits(spec: NcaSpec, originals: Float32Array, disordered: Float32Array): number {
  const size = weightCount(spec);
  const nca = (all: Float32Array, n: number) => all.slice(n * size, (n + 1) * size);
  const inputs = 4 * spec.channels;
  // Input weights without their length, which a rescaling may have changed.
  const units = (flat: Float32Array) =>
    Array.from({ length: spec.hidden }, (_, i) => {
      const row = [...flat.subarray(i * inputs, (i + 1) * inputs)];
      const norm = Math.hypot(...row) || 1;
      return row.map(x => x / norm);
    });
  const count = Math.min(originals.length / size, ALIGNED);
  let right = 0;
  for (let n = 1; n < count; n++) {
    const own = nca(disordered, n);
    const aligned = units(actOnWeights(spec, align(spec, own, nca(originals, 0)), own));
    const wanted = units(nca(originals, n));
    right += aligned.filter((row, i) => row.every((x, k) => Math.abs(x - wanted[i][k]) < SAME)).length;
  }
  return right / ((count - 1) * spec.hidden);
}
/** float32 rounding of scaled weights; units differ by far more. */
const SAME = 1e-4;
