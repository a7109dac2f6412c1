/** What equivariance is tried on: a spec, a group element, weights, a noise level, with condition or anchor or without. Shrinks to the plainest. */
import fc from 'fast-check';
import {
  composeElements,
  describeElement,
  type NcaSpec,
  SYMMETRIES,
  type SymmetryElement,
  type SymmetryName,
  weightCount,
  weightName,
} from '../../nca/index.ts';
import { randomStream } from '../../tensor/index.ts';

/** One case that equivariance is tried on; `caseWeights` makes its weights, `describeCase` says it in words. */
export interface EquivarianceCase {
  readonly spec: NcaSpec;
  /** What is acted with. */
  readonly element: SymmetryElement;
  /** Whether the weights have random numbers under `entries`, and their seed. */
  readonly dense: boolean;
  readonly seed: number;
  /** Numbers put at some coordinates. */
  readonly entries: readonly (readonly [at: number, value: number])[];
  /** c_noise = ln(sigma) / 4. */
  readonly noiseLabel: number;
  /** Whether the denoiser is given a condition. */
  readonly conditioned: boolean;
  /** Whether it has an anchor, which is then moved too. */
  readonly anchored: boolean;
}

const AMOUNTS = [0.5, -0.5, 1, -1, 0.1];

/** A recipe for an element of any group of any spec: up to three generators and perhaps a sample. */
const recipes = fc.record({
  sample: fc.option(fc.nat(2 ** 31), { nil: null, freq: 2 }),
  factors: fc.array(fc.tuple(fc.nat(11), fc.nat(11), fc.constantFrom(...AMOUNTS)), {
    minLength: 1,
    maxLength: 3,
  }),
});
type Recipe = typeof recipes extends fc.Arbitrary<infer R> ? R : never;

function elementOf(spec: NcaSpec, name: SymmetryName, { sample, factors }: Recipe): SymmetryElement {
  const group = SYMMETRIES[name];
  const sampled =
    sample === null ? group.identity(spec) : group.sample(spec, randomStream(sample, 'element'));
  return factors
    .map(([i, j, amount]) => group.generator(spec, i, j, amount))
    .reduce(composeElements, sampled);
}

/** Elements of a group; they shrink to one generator. */
export const elements = (spec: NcaSpec, name: SymmetryName): fc.Arbitrary<SymmetryElement> =>
  recipes.map(recipe => elementOf(spec, name, recipe));

export interface CaseOptions {
  /** The simplest first. */
  readonly specs: readonly NcaSpec[];
  readonly conditions: boolean;
}

/** c_noise = ln(sigma) / 4. */
const NOISE_LABELS = [1, 0.002, 0.02, 0.2, 2, 20, 80].map(sigma => Math.log(sigma) / 4);

/** Cases of one group. Every part shrinks on its own, what makes a case dear to run first. */
export const cases = (
  name: SymmetryName,
  { specs, conditions }: CaseOptions,
): fc.Arbitrary<EquivarianceCase> =>
  fc
    .record({
      spec: fc.constantFrom(...specs),
      anchored: fc.boolean(),
      conditioned: conditions ? fc.boolean() : fc.constant(false),
      dense: fc.boolean(),
      noiseLabel: fc.constantFrom(...NOISE_LABELS),
      seed: fc.noShrink(fc.nat(2 ** 31)),
      coordinates: fc.array(fc.tuple(fc.nat(2 ** 16), fc.integer({ min: -2, max: 2 })), { maxLength: 6 }),
      recipe: recipes,
    })
    .map(({ recipe, coordinates, ...rest }) => ({
      ...rest,
      element: elementOf(rest.spec, name, recipe),
      entries: coordinates.map(([at, value]) => [at % weightCount(rest.spec), value] as const),
    }));

/** The weights of a case, [D]: of order one, as a denoiser sees them. */
export function caseWeights({ spec, dense, seed, entries }: EquivarianceCase): Float32Array {
  const size = weightCount(spec);
  const weights = dense ? randomStream(seed, 'case/weights').normals(size) : new Float32Array(size);
  for (const [at, value] of entries) weights[at] = value;
  return weights;
}

/** The case in a few words. */
export function describeCase(given: EquivarianceCase): string {
  const { spec, element, dense, entries, noiseLabel, conditioned, anchored } = given;
  const set = new Map(entries.filter(([, value]) => dense || value !== 0));
  const listed = [...set].map(([at, value]) => `${weightName(spec, at)} = ${value}`).join(', ');
  const weights = dense ? `random weights${listed ? ` with ${listed}` : ''}` : listed || 'all weights 0';
  return [
    `${spec.channels} channels, ${spec.hidden} hidden`,
    describeElement(element),
    dense || !listed ? weights : `weights 0 but ${weights}`,
    `noise label ${Number(noiseLabel.toPrecision(3))}`,
    conditioned ? 'with a condition' : 'no condition',
    ...(anchored ? ['anchor moved too'] : []),
  ].join('; ');
}
