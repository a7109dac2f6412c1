/**
 * Are sampled weights new, or copies of training NCAs? After Zeng et al. (2026, arXiv 2506.07998): the distance of each sample to its nearest
 * training NCA against the same distance from held-out NCAs, which are new by construction. It is decided by what the NCAs compute
 * (`functionReference`), which no symmetry of the weights hides; the weights of the nearest few are matched beside it.
 */
import { breathe } from '../compute/index.ts';
import { type NcaSpec, nearestModuloSymmetry, weightCount } from '../nca/index.ts';
import {
  type FunctionNeighbours,
  type FunctionReference,
  type FunctionSearch,
  functionReference,
} from './function-space.ts';
import { quantile } from './statistics.ts';

/** What samples are held against. */
export interface AuditReference {
  readonly spec: NcaSpec;
  /** [N * D], [H * D] */
  readonly train: Float32Array;
  readonly heldOut: Float32Array;
}

/** Holds sets of samples against one reference. Made by `prepareAudit`. */
export interface Auditor {
  /** @param samples [M * D]. Throws the signal's reason when interrupted. */
  audit(samples: Float32Array, options?: FunctionSearch): Promise<Audit>;
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
  /** By what is grown: the share of a training NCA's picture that the sample's does not explain, over turns and colour maps. */
  readonly functions: AuditPart;
  /** By weights modulo hidden permutation and scaling, among the few nearest by function. */
  readonly weights: AuditPart;
  /** Samples that are a copy by either. */
  readonly copies: readonly number[];
  /** What it comes to, in a sentence or two. */
  readonly sentence: string;
}

const FRACTION = 0.2;
/** So many training NCAs, the nearest by function, have their weights matched. */
const MATCHED = 5;

/**
 * Measures what new NCAs look like, once, to audit any number of sets of samples.
 * Throws when there are too few held-out NCAs to tell.
 */
export async function prepareAudit(
  { spec, train, heldOut }: AuditReference,
  options: FunctionSearch = {},
): Promise<Auditor> {
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
  const { signal, onProgress } = options;
  const half = (from: number) => ({
    signal,
    onProgress: (share: number) => onProgress?.(from + share / 2),
  });
  const reference = await functionReference(spec, train, half(0));
  const near = (weights: Float32Array, search?: FunctionSearch) =>
    nearness(spec, train, reference, weights, search);
  const fresh = await near(heldOut, half(0.5));
  return {
    async audit(samples, search) {
      const found = await near(samples, search);
      const functions = part(found.functions, fresh.functions);
      const weights = part(found.weights, fresh.weights);
      const copies = Array.from({ length: count(samples) }, (_, i) => i).filter(i =>
        [functions, weights].some(({ samples, threshold }) => samples.distance[i] < threshold),
      );
      return { functions, weights, copies, sentence: sentenceOf(functions, weights, copies) };
    },
  };
}

/** The nearest training NCA of each row by function, and by weights among the nearest few. */
async function nearness(
  spec: NcaSpec,
  train: Float32Array,
  reference: FunctionReference,
  weights: Float32Array,
  search?: FunctionSearch,
): Promise<{ functions: Nearness; weights: Nearness }> {
  const size = weightCount(spec);
  const near = await reference.nearest(weights, MATCHED, search);
  const rows = weights.length / size;
  const kept = near.index.length / rows;
  const row = (all: Float32Array, n: number) => all.subarray(n * size, (n + 1) * size);
  const matched: Nearness = { index: new Int32Array(rows), distance: new Float64Array(rows) };
  for (let q = 0; q < rows; q++) {
    if (q % 8 === 0) await breathe(search?.signal);
    const few = near.index.subarray(q * kept, (q + 1) * kept);
    const candidates = new Float32Array(kept * size);
    few.forEach((n, k) => {
      candidates.set(row(train, n), k * size);
    });
    const [{ index, distance }] = nearestModuloSymmetry(spec, row(weights, q), candidates);
    matched.index[q] = index < 0 ? few[0] : few[index];
    matched.distance[q] = distance;
  }
  return { functions: first(near, rows), weights: matched };
}

const first = ({ index, distance }: FunctionNeighbours, rows: number): Nearness => {
  const kept = index.length / rows;
  return {
    index: Int32Array.from({ length: rows }, (_, q) => index[q * kept]),
    distance: Float64Array.from({ length: rows }, (_, q) => distance[q * kept]),
  };
};

const part = (samples: Nearness, heldOut: Nearness): AuditPart => ({
  samples,
  heldOut,
  threshold: FRACTION * quantile(Float64Array.from(heldOut.distance).sort(), 0.05),
});

const median = (values: Float64Array) => quantile(Float64Array.from(values).sort(), 0.5);

function sentenceOf(functions: AuditPart, weights: AuditPart, copies: readonly number[]): string {
  const total = functions.samples.distance.length;
  const times = ({ samples, heldOut }: AuditPart) =>
    (median(samples.distance) / median(heldOut.distance)).toFixed(2);
  const compared = `what samples grow lies ${times(functions)} times as far from the nearest training NCA's as what held-out NCAs grow (medians, modulo turns and colours), their weights ${times(weights)} times`;
  return copies.length === 0
    ? `No sample is a copy of a training NCA: ${compared}.`
    : `${copies.length} of ${total} samples ${copies.length === 1 ? 'is a copy' : 'are copies'} of training NCAs (sample ${copies.join(', ')}); ${compared}.`;
}
