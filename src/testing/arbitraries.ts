/** What properties are checked on: specs, weights, symmetry elements, masks, states. Everything shrinks towards the small and the plain. */
import fc from 'fast-check';
import { groupElements } from '../evaluation/index.ts';
import {
  type Grid,
  type NcaSpec,
  SYMMETRIES,
  type SymmetryElement,
  type SymmetryName,
  weightCount,
} from '../nca/index.ts';
import { randomStream } from '../tensor/index.ts';

const clip = (low: number, high: number) =>
  fc.option(fc.double({ min: low, max: high, noNaN: true }), { nil: null, freq: 2 });

/** Which specs are generated. */
export interface SpecRange {
  /** The least and the most of them; at least 3, for the picture. */
  readonly channels?: readonly [number, number];
  /** The least and the most of them. */
  readonly hidden?: readonly [number, number];
  /** Let specs clip; default true. */
  readonly clips?: boolean;
}

/** A small NCA spec: by default 3 to 6 channels and 1 to 5 hidden units, with and without output bias and clips. */
export const specs = ({
  channels = [3, 6],
  hidden = [1, 5],
  clips = true,
}: SpecRange = {}): fc.Arbitrary<NcaSpec> =>
  fc
    .record({
      channels: fc.integer({ min: channels[0], max: channels[1] }),
      hidden: fc.integer({ min: hidden[0], max: hidden[1] }),
      filterScale: fc.constantFrom(1, 1 / 8),
      outputBias: fc.boolean(),
      clip: fc.record({
        perception: clips ? clip(0.1, 2) : fc.constant(null),
        hidden: clips ? clip(0.1, 2) : fc.constant(null),
        update: clips ? clip(0.01, 1) : fc.constant(null),
        state: clips ? clip(0.1, 2) : fc.constant(null),
      }),
      rgb: fc.record({ scale: fc.constantFrom(1, 0.5), offset: fc.constantFrom(0.5, 0) }),
    })
    .map(parts => ({ name: `${parts.channels} channels, ${parts.hidden} hidden`, ...parts }));

/** Flat weights [count * D] that keep a rollout of a few steps of order one. */
export const weightsOf = (spec: NcaSpec, count = 1): fc.Arbitrary<Float64Array> =>
  fc.nat(2 ** 31).map(seed => {
    const random = randomStream(seed, 'arbitrary/weights');
    return Float64Array.from({ length: count * weightCount(spec) }, () => random.normal(0, 0.15));
  });

/** An element drawn by the group's own `sample`. */
export const samplesOf = (spec: NcaSpec, name: SymmetryName): fc.Arbitrary<SymmetryElement> =>
  fc.nat(2 ** 31).map(seed => SYMMETRIES[name].sample(spec, randomStream(seed, 'arbitrary/element')));

/** Elements made of the group's generators, which shrink to one generator, and samples. */
export const anyElement = (spec: NcaSpec, name: SymmetryName): fc.Arbitrary<SymmetryElement> =>
  fc.oneof(groupElements(spec, name), samplesOf(spec, name));

/** A grid of normal numbers, [height, width, channels]. */
export const grids = (
  height: number,
  width: number,
  channels: number,
  std = 1,
): fc.Arbitrary<Grid<Float64Array>> =>
  fc.nat(2 ** 31).map(seed => {
    const random = randomStream(seed, 'arbitrary/grid');
    return {
      height,
      width,
      data: Float64Array.from({ length: height * width * channels }, () => random.normal(0, std)),
    };
  });

/** Update masks [height, width] of 0 and 1, one a step. */
export const masks = (steps: number, height: number, width: number): fc.Arbitrary<Grid<Float64Array>[]> =>
  fc.nat(2 ** 31).map(seed => {
    const random = randomStream(seed, 'arbitrary/masks');
    return Array.from({ length: steps }, () => ({
      height,
      width,
      data: Float64Array.from({ length: height * width }, () => (random.bernoulli(0.5) ? 1 : 0)),
    }));
  });

/** Noise levels over the whole range that diffusion uses, from almost clean to almost noise. */
export const sigmas = (): fc.Arbitrary<number> =>
  fc.double({ min: Math.log(0.002), max: Math.log(80), noNaN: true }).map(Math.exp);

/** One of the given symmetries; shrinks to the first. */
export const symmetryNames = (names: readonly SymmetryName[]): fc.Arbitrary<SymmetryName> =>
  fc.constantFrom(...names);
