/**
 * NCAs up to their symmetries: a canonical form of the hidden units, the element that brings one NCA closest to another, and the distance
 * that is left (weight matching: Ainsworth, Hayase and Srinivasa 2023, "Git Re-Basin").
 */
import { Matrix } from 'ml-matrix';
import { type NcaSpec, weightBlocks, weightCount } from '../spec.ts';
import { actOnWeights, type Floats } from './act.ts';
import { signedPermutation } from './bases.ts';
import { compose, hiddenPermutation, identity, inverse, type SymmetryElement, sizeOf } from './element.ts';
import { balancing, cheapestAssignment, distanceOfUnits, hiddenUnits, norm, unit } from './hidden-units.ts';

/** An NCA in canonical form, and the way there. */
export interface Canonical {
  /** [D] in float64. */
  readonly weights: Float64Array;
  /** What was done: weights = element acting on the given ones. */
  readonly element: SymmetryElement;
}

/**
 * The canonical form under hidden permutations and scalings: units balanced, then sorted by falling norm, equal norms by their weights.
 * Equal for an NCA and all its hidden-permuted and rescaled copies, up to rounding (units whose norms agree to the last digits may swap).
 */
export function canonicalHidden(spec: NcaSpec, weights: Floats): Canonical {
  const balance = balancing(spec, weights);
  const balanced = actOnWeights(spec, balance, Float64Array.from(weights));
  const units = Array.from({ length: spec.hidden }, (_, i) => {
    const { input, output } = unit(spec, balanced, i);
    return { i, size: norm(input) * norm(output), all: [...input, ...output] };
  });
  units.sort((a, b) => b.size - a.size || lexicographic(a.all, b.all));
  const order = hiddenPermutation(
    sizeOf(spec),
    Uint32Array.from(units, ({ i }) => i),
  );
  return { weights: actOnWeights(spec, order, balanced), element: compose(order, balance) };
}

function lexicographic(a: number[], b: number[]): number {
  const at = a.findIndex((x, k) => x !== b[k]);
  return at < 0 ? 0 : a[at] - b[at];
}

/** What may be matched when NCAs are aligned, and how long it is tried. */
export interface AlignOptions {
  /** Match latent channels too, up to order and sign. Found by turns with the hidden units, so only a local optimum, but copies are found. Default false. */
  readonly channels?: boolean;
  /** Most turns between hidden units and channels; default 20. */
  readonly turns?: number;
}

/**
 * The element that brings `weights` [D] closest to `reference` [D]: hidden units matched one to one by linear assignment on balanced
 * weights, in the reference's scaling; with `channels`, latent channels too. Hidden units alone: the best matching there is.
 */
export function align(
  spec: NcaSpec,
  weights: Floats,
  reference: Floats,
  { channels = false, turns = 20 }: AlignOptions = {},
): SymmetryElement {
  for (const given of [weights, reference]) {
    if (given.length !== weightCount(spec))
      throw new Error(`${given.length} weights for the spec ${spec.name}`);
  }
  const balanceReference = balancing(spec, reference);
  const target = actOnWeights(spec, balanceReference, Float64Array.from(reference));
  const balance = balancing(spec, weights);
  const starts: Match[] = channels ? [matchHidden, matchByInvariants] : [matchHidden];
  const found = starts.map(start => descend(spec, weights, target, balance, start, channels ? turns : 0));
  const best = found.reduce((a, b) => (b.distance < a.distance ? b : a));
  return compose(inverse(balanceReference), best.element);
}

/** The element that brings weights closer to the target by one assignment. */
type Match = (spec: NcaSpec, weights: Float64Array, target: Float64Array) => SymmetryElement;

/** From `balance` by the first match, then channels and hidden units by turns until nothing is gained. */
function descend(
  spec: NcaSpec,
  weights: Floats,
  target: Float64Array,
  balance: SymmetryElement,
  first: Match,
  turns: number,
): { element: SymmetryElement; distance: number } {
  let element = balance;
  let moved = actOnWeights(spec, balance, Float64Array.from(weights));
  const go = (match: Match) => {
    const step = match(spec, moved, target);
    moved = actOnWeights(spec, step, moved);
    element = compose(step, element);
    return squaredDistance(moved, target);
  };
  let distance = go(first);
  for (let turn = 0; turn < turns; turn++) {
    go(matchChannels);
    const now = go(matchHidden);
    if (now >= distance * (1 - 1e-12)) break;
    distance = now;
  }
  return { element, distance: squaredDistance(moved, target) };
}

function squaredDistance(a: Floats, b: Floats): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += (a[i] - b[i]) ** 2;
  return sum;
}

/** Matches hidden units by vectors that describe them. */
const matchUnits =
  (describe: (spec: NcaSpec, weights: Float64Array, i: number) => Float64Array): Match =>
  (spec, weights, target) => {
    const units = (flat: Float64Array) =>
      Array.from({ length: spec.hidden }, (_, i) => describe(spec, flat, i));
    const [ours, theirs] = [units(weights), units(target)];
    // Row: place in the result, wanted by the target's unit; column: which of our units goes there.
    const cost = new Matrix(theirs.map(wanted => ours.map(have => squaredDistance(have, wanted))));
    return hiddenPermutation(sizeOf(spec), cheapestAssignment(cost));
  };

const matchHidden = matchUnits((spec, weights, i) => {
  const { input, output } = unit(spec, weights, i);
  return Float64Array.of(...input, ...output);
});

/** By what no change of latent channels alters: weights of the colours, the bias, and lengths over the latent channels. */
const matchByInvariants = matchUnits((spec, weights, i) => {
  const { input, output } = unit(spec, weights, i);
  const latents = [0, 1, 2, 3].map(f =>
    norm(input.slice(12, 4 * spec.channels).filter((_, k) => k % 4 === f)),
  );
  const colours = [...input.subarray(0, 12), ...output.subarray(0, 3)];
  return Float64Array.of(...colours, input[4 * spec.channels], ...latents, norm(output.slice(3)));
});

function matchChannels(spec: NcaSpec, weights: Float64Array, target: Float64Array): SymmetryElement {
  const latents = spec.channels - 3;
  if (latents < 1) return identity(sizeOf(spec));
  const blocks = weightBlocks(spec);
  /** All weights that carry channel c: four columns of w1, a row of w2, an entry of b2. */
  const channel = (flat: Float64Array, c: number) =>
    blocks.flatMap(({ name, offset }) => {
      if (name === 'b1') return [];
      if (name === 'b2') return [flat[offset + c]];
      if (name === 'w2') return [...flat.subarray(offset + c * spec.hidden, offset + (c + 1) * spec.hidden)];
      return Array.from(
        { length: 4 * spec.hidden },
        (_, k) => flat[offset + Math.floor(k / 4) * 4 * spec.channels + 4 * c + (k % 4)],
      );
    });
  const all = (flat: Float64Array) => Array.from({ length: latents }, (_, k) => channel(flat, 3 + k));
  const [ours, theirs] = [all(weights), all(target)];
  const products = theirs.map(wanted => ours.map(have => have.reduce((sum, x, k) => sum + x * wanted[k], 0)));
  // |have - s wanted|^2 is least for s the sign of the product; the squares are the same for every matching.
  const order = cheapestAssignment(new Matrix(products.map(row => row.map(x => -Math.abs(x)))));
  const signs = Array.from(order, (column, row) => (products[row][column] < 0 ? -1 : 1));
  return signedPermutation(sizeOf(spec), 3, order, signs);
}

/**
 * Distance of two NCAs modulo hidden permutation and scaling (and latent channels' order and sign): the root mean square difference of
 * their balanced weights under the best matching. With hidden units alone it is a metric on NCAs up to these symmetries.
 */
export function symmetricDistance(spec: NcaSpec, a: Floats, b: Floats, options: AlignOptions = {}): number {
  if (!options.channels) return distanceOfUnits(hiddenUnits(spec, a), hiddenUnits(spec, b));
  const [p, q] = [a, b].map(w => actOnWeights(spec, balancing(spec, w), Float64Array.from(w)));
  const aligned = actOnWeights(spec, align(spec, p, q, options), p);
  return Math.sqrt(squaredDistance(aligned, q) / p.length);
}
