/** The laws of a symmetry group, as fast-check properties: of the built-in groups, and of one that `registerSymmetry` was given. */
import fc from 'fast-check';
import {
  actOnImage,
  actOnMask,
  actOnState,
  actOnWeights,
  composeElements,
  type Floats,
  type Grid,
  inverseElement,
  type NcaSpec,
  plainRollout,
  SYMMETRIES,
  type SymmetryName,
  sameElement,
  weightCount,
} from '../nca/index.ts';
import { randomStream } from '../tensor/index.ts';
import { anyElement, grids, masks, specs, weightsOf } from './arbitraries.ts';

type Grid64 = Grid<Float64Array>;

/** One law: what it says, and the property that holds it. */
export interface Law {
  readonly title: string;
  /** Throws with fast-check's report (seed, path, smallest counterexample) where the law is broken. */
  check(parameters?: fc.Parameters<unknown>): void;
}

/** The state [H, W, C] after one step for each mask, in float64. */
export const grow = (spec: NcaSpec, weights: Floats, state: Grid64, steps: readonly Grid64[]): Grid64 => ({
  ...state,
  data: Float64Array.from(
    plainRollout(
      spec,
      weights,
      state.data,
      state,
      steps.length,
      (step, y, x) => steps[step].data[y * state.width + x] === 1,
    ),
  ),
});

/** The picture [H, W, 3] of a state, not clipped. */
const picture = (spec: NcaSpec, { height, width, data }: Grid64): Grid64 => ({
  height,
  width,
  data: Float64Array.from(
    { length: height * width * 3 },
    (_, i) => spec.rgb.offset + spec.rgb.scale * data[Math.floor(i / 3) * spec.channels + (i % 3)],
  ),
});

/** Largest difference, relative to one more than the largest value. */
export function gap(a: Floats, b: Floats): number {
  if (a.length !== b.length) return Number.POSITIVE_INFINITY;
  let [error, size] = [0, 0];
  for (let i = 0; i < a.length; i++) {
    error = Math.max(error, Math.abs(a[i] - b[i]));
    size = Math.max(size, Math.abs(b[i]));
  }
  return error / (1 + size);
}

/**
 * What a named group promises: it is a group; acting with a product is acting twice; rollouts commute with the action wherever the group
 * says that it is exact; the picture stays where it says so; and it is orthogonal on the weights exactly if it says so.
 *
 *     for (const { title, check } of symmetryLaws('my-group')) test(title, () => check());
 */
export function symmetryLaws(name: SymmetryName): Law[] {
  const group = SYMMETRIES[name];
  const law = <T>(
    title: string,
    runs: number,
    cases: fc.Arbitrary<T>,
    holds: (value: T) => boolean,
  ): Law => ({
    title: `${name}: ${title}`,
    check: parameters =>
      fc.assert(fc.property(cases, holds), { numRuns: runs, ...(parameters as fc.Parameters<[T]>) }),
  });
  const elements = (spec: NcaSpec) => anyElement(spec, name);
  // 1e-12: float64 sums of a few hundred terms.
  const same = (a: Floats, b: Floats) => gap(a, b) < 1e-12;
  return [
    law(
      'composing is associative, the identity does nothing, inverses undo',
      40,
      specs().chain(spec =>
        fc.record({ spec: fc.constant(spec), a: elements(spec), b: elements(spec), c: elements(spec) }),
      ),
      ({ spec, a, b, c }) => {
        const e = group.identity(spec);
        return (
          sameElement(composeElements(composeElements(a, b), c), composeElements(a, composeElements(b, c))) &&
          sameElement(composeElements(a, e), a) &&
          sameElement(composeElements(e, a), a) &&
          sameElement(composeElements(a, inverseElement(a)), e) &&
          sameElement(composeElements(inverseElement(a), a), e)
        );
      },
    ),
    law(
      'acting with a product is acting twice, on weights, states, pictures and masks',
      40,
      specs().chain(spec =>
        fc.record({
          spec: fc.constant(spec),
          a: elements(spec),
          b: elements(spec),
          weights: weightsOf(spec, 2),
          state: grids(3, 4, spec.channels),
          shown: grids(4, 3, 3),
          mask: grids(2, 3, 1),
        }),
      ),
      ({ spec, a, b, weights, state, shown, mask }) => {
        const ab = composeElements(a, b);
        return (
          same(actOnWeights(spec, ab, weights), actOnWeights(spec, a, actOnWeights(spec, b, weights))) &&
          same(actOnState(spec, ab, state).data, actOnState(spec, a, actOnState(spec, b, state)).data) &&
          same(actOnMask(ab, mask).data, actOnMask(a, actOnMask(b, mask)).data) &&
          same(actOnImage(spec, ab, shown).data, actOnImage(spec, a, actOnImage(spec, b, shown)).data) &&
          same(actOnWeights(spec, inverseElement(a), actOnWeights(spec, a, weights)), weights)
        );
      },
    ),
    law(
      'rollouts commute with the action',
      25,
      specs()
        .filter(spec => group.obstacle(spec) === null)
        .chain(spec =>
          fc.record({
            spec: fc.constant(spec),
            g: elements(spec),
            weights: weightsOf(spec),
            state: grids(4, 5, spec.channels, 0.3),
            steps: masks(6, 4, 5),
          }),
        ),
      ({ spec, g, weights, state, steps }) => {
        const grown = grow(spec, weights, state, steps);
        const again = grow(
          spec,
          actOnWeights(spec, g, weights),
          actOnState(spec, g, state),
          steps.map(mask => actOnMask(g, mask)),
        );
        const [shown, before] = [picture(spec, again), picture(spec, grown)];
        // 1e-11: float64 rounding grown over 6 steps, with bases of condition number up to 4.
        return (
          gap(again.data, actOnState(spec, g, grown).data) < 1e-11 &&
          gap(shown.data, actOnImage(spec, g, before).data) < 1e-11 &&
          (!group.keepsPicture || gap(shown.data, before.data) < 1e-11)
        );
      },
    ),
    {
      title: `${name}: ${group.orthogonal ? 'keeps' : 'does not keep'} lengths in weight space`,
      check: parameters => {
        let worst = 0;
        fc.assert(
          fc.property(specs({ channels: [4, 6] }), fc.nat(999), (spec, seed) => {
            const random = randomStream(seed, 'lengths');
            const weights = Float64Array.from({ length: weightCount(spec) }, () => random.normal());
            const moved = actOnWeights(spec, group.sample(spec, random), weights);
            worst = Math.max(worst, Math.abs(Math.log(Math.hypot(...moved) / Math.hypot(...weights))));
          }),
          { numRuns: 30, ...(parameters as fc.Parameters<[NcaSpec, number]>) },
        );
        if (worst < 1e-12 !== group.orthogonal) {
          throw new Error(
            `${name} says orthogonal: ${group.orthogonal}, and changes lengths by a factor of up to ${Math.exp(worst)}`,
          );
        }
      },
    },
  ];
}
