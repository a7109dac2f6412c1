/**
 * Are sampled weights new, or copies of training NCAs? After Zeng et al. (2026, arXiv 2506.07998): the distance of each sample to its nearest
 * training NCA, in weights modulo symmetry and in renderings, against the same distance from held-out NCAs, which are new by
 * construction.
 */
import { type NcaSpec, nearestModuloSymmetry, weightCount } from '../nca/index.ts';
import { tf } from '../tensor/index.ts';
import { patchDistance, type TextureDistance } from './metrics/index.ts';
import { quantile } from './statistics.ts';

/** What samples are held against. */
export interface AuditReference {
  readonly spec: NcaSpec;
  /** [N * D], [H * D] */
  readonly train: Float32Array;
  readonly heldOut: Float32Array;
  /** Renderings of each, [., S, S, 3] in [0, 1]; leave out to compare weights alone. */
  readonly renderings?: { readonly train: tf.Tensor4D; readonly heldOut: tf.Tensor4D };
  /** Distance of renderings, symmetric; default the patch sliced-Wasserstein distance. */
  readonly distance?: TextureDistance;
}

/** Holds sets of samples against one reference. Made by `prepareAudit`. */
export interface Auditor {
  /** @param samples [M * D]  @param pictures [M, S, S, 3] their renderings; without them weights alone are compared */
  audit(samples: Float32Array, pictures?: tf.Tensor4D): Promise<Audit>;
}

/** Distances to the nearest training NCA and which it is. */
export interface Nearness {
  /** [n] rows of the training set, and how far they are. */
  readonly index: Int32Array;
  readonly distance: Float64Array;
}

/** The audit by one kind of distance: samples and held-out NCAs, each to its nearest training NCA. */
export interface AuditPart {
  readonly samples: Nearness;
  readonly heldOut: Nearness;
  /** Samples nearer to a training NCA than this count as copies: a fifth of the held-out ones' 5% quantile. */
  readonly threshold: number;
}

/** What the audit of a set of samples found. */
export interface Audit {
  /** By weights modulo hidden permutation and scaling. */
  readonly weights: AuditPart;
  /** By pictures; null where they were not given. */
  readonly renderings: AuditPart | null;
  /** Samples whose weights are a copy, modulo hidden permutation and scaling. */
  readonly copies: readonly number[];
  /** What it comes to, in a sentence or two. */
  readonly sentence: string;
}

const FRACTION = 0.2;

/**
 * Measures what new NCAs look like, once, to audit any number of sets of samples.
 * Throws when there are too few held-out NCAs to tell.
 */
export async function prepareAudit(reference: AuditReference): Promise<Auditor> {
  const { spec, train, heldOut, renderings, distance = patchDistance() } = reference;
  const size = weightCount(spec);
  const count = (weights: Float32Array) => {
    const rows = weights.length / size;
    if (!Number.isInteger(rows) || rows < 1)
      throw new Error(`${weights.length} weights are no batch of ${size}`);
    return rows;
  };
  count(train);
  if (count(heldOut) < 3)
    throw new Error(`the audit needs at least 3 held-out NCAs, found ${count(heldOut)}`);
  const toTrain = (weights: Float32Array): Nearness => {
    const found = nearestModuloSymmetry(spec, weights, train);
    return {
      index: Int32Array.from(found, ({ index }) => index),
      distance: Float64Array.from(found, ({ distance }) => distance),
    };
  };
  const newWeights = toTrain(heldOut);
  const newPictures = renderings && (await nearestPictures(renderings.heldOut, renderings.train, distance));
  return {
    async audit(samples, pictures) {
      count(samples);
      const weights = part(toTrain(samples), newWeights);
      const shown =
        pictures && renderings && newPictures
          ? part(await nearestPictures(pictures, renderings.train, distance), newPictures)
          : null;
      const copies = [...weights.samples.distance.keys()].filter(
        i => weights.samples.distance[i] < weights.threshold,
      );
      return { weights, renderings: shown, copies, sentence: sentenceOf(weights, shown, copies) };
    },
  };
}

function part(samples: Nearness, heldOut: Nearness): AuditPart {
  return {
    samples,
    heldOut,
    threshold: FRACTION * quantile(Float64Array.from(heldOut.distance).sort(), 0.05),
  };
}

/** For every picture the nearest training rendering. */
async function nearestPictures(
  pictures: tf.Tensor4D,
  train: tf.Tensor4D,
  distance: TextureDistance,
): Promise<Nearness> {
  const result = {
    index: new Int32Array(pictures.shape[0]),
    distance: new Float64Array(pictures.shape[0]),
  };
  for (let i = 0; i < pictures.shape[0]; i++) {
    // All training renderings against one picture, which is then prepared but once.
    const all = tf.tidy(() => distance(train, tf.slice(pictures, i, 1)));
    const values = await all.data();
    all.dispose();
    result.index[i] = values.indexOf(Math.min(...values));
    result.distance[i] = values[result.index[i]];
  }
  return result;
}

const median = (values: Float64Array) => quantile(Float64Array.from(values).sort(), 0.5);

function sentenceOf(weights: AuditPart, renderings: AuditPart | null, copies: readonly number[]): string {
  const total = weights.samples.distance.length;
  const ratio = median(weights.samples.distance) / median(weights.heldOut.distance);
  const compared = `samples lie ${ratio.toFixed(2)} times as far from their nearest training NCA as held-out NCAs do (medians, weights modulo hidden permutation and scaling)`;
  const verdict =
    copies.length === 0
      ? `No sample is a copy of a training NCA: ${compared}.`
      : `${copies.length} of ${total} samples ${copies.length === 1 ? 'is a copy' : 'are copies'} of training NCAs (sample ${copies.join(', ')}); ${compared}.`;
  if (!renderings) return verdict;
  const pictures = median(renderings.samples.distance) / median(renderings.heldOut.distance);
  return `${verdict} Their pictures lie ${pictures.toFixed(2)} times as far.`;
}
