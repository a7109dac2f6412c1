/**
 * The named symmetry groups of NCA weights. A denoiser can be equivariant only to the orthogonal ones: they keep the Gaussian noise of
 * diffusion as it is. The others still give exact copies of an NCA, for alignment, augmentation and retrieval.
 */
import type { RandomStream } from '../../tensor/index.ts';
import type { NcaSpec } from '../spec.ts';
import { actOnImage, actOnMask, actOnState, actOnWeights } from './act.ts';
import {
  block,
  hueRotation,
  orthogonalChange,
  planeRotation,
  randomBasis,
  randomOrthogonal,
  shear,
  signedPermutation,
} from './bases.ts';
import {
  basisChange,
  colourChange,
  compose,
  type ElementSize,
  GRID_TURNS,
  gridTurn,
  hiddenPermutation,
  hiddenScaling,
  identity,
  inverse,
  type SymmetryElement,
  sizeOf,
} from './element.ts';

/** The groups that come with the library. */
export type BuiltInSymmetry =
  | 'hidden-permutation'
  | 'hidden-scaling'
  | 'channel-permutation'
  | 'channel-sign'
  | 'channel-rotation'
  | 'channel-basis'
  | 'colour'
  | 'hue'
  | 'colour-basis'
  | 'd4';

/** A built-in group, or one that `registerSymmetry` was given. */
export type SymmetryName = BuiltInSymmetry | (string & {});

/** A group of symmetries of NCA weights: how its elements are drawn, and how they act on weights, states, pictures and masks. */
export interface SymmetryGroup {
  readonly name: SymmetryName;
  /** One sentence for tables. */
  readonly summary: string;
  /** Whether every element acts on the flat weights as an orthogonal matrix. */
  readonly orthogonal: boolean;
  /** Whether the picture stays as it is under every element. */
  readonly keepsPicture: boolean;
  /** Why the group is not exact for NCAs of this spec, or null when it is. */
  obstacle(spec: NcaSpec): string | null;
  /** A random element: uniform on the finite and the compact groups. */
  sample(spec: NcaSpec, random: RandomStream): SymmetryElement;
  /**
   * A simple element from three numbers: of two indices and an amount in [-1, 1], such as the swap of hidden units i and j.
   * Amount 0 of a continuous one is the identity. Products of them make counterexamples that shrink.
   */
  generator(spec: NcaSpec, i: number, j: number, amount: number): SymmetryElement;
  identity(spec: NcaSpec): SymmetryElement;
  compose: typeof compose;
  inverse: typeof inverse;
  actOnWeights: typeof actOnWeights;
  actOnImage: typeof actOnImage;
  actOnState: typeof actOnState;
  actOnMask: typeof actOnMask;
}

/** What all groups share: elements are composed, inverted and act in one way. */
export const shared = {
  identity: (spec: NcaSpec) => identity(sizeOf(spec)),
  compose,
  inverse,
  actOnWeights,
  actOnImage,
  actOnState,
  actOnMask,
};

const always = () => null;

/** Signed permutations commute with clips to [-c, c]; other bases do not. */
const withoutClips = ({ clip, name }: NcaSpec): string | null => {
  const kinds = (['perception', 'update', 'state'] as const).filter(kind => clip[kind] !== null);
  return kinds.length > 0 ? `${name} clips its ${kinds.join(', ')}` : null;
};

const LATENT = 3;

/** Latent channel number `index`, whatever whole number is given; null for a spec without any. */
const latent = ({ channels }: NcaSpec, index: number): number | null =>
  channels > LATENT ? LATENT + (index % (channels - LATENT)) : null;

const ones = (n: number) => new Array<number>(n).fill(1);
const randomSigns = (n: number, random: RandomStream) =>
  Array.from({ length: n }, () => (random.bernoulli(0.5) ? 1 : -1));
const inOrder = (n: number) => Array.from({ length: n }, (_, k) => k);
const latents = ({ channels }: NcaSpec) => Math.max(0, channels - LATENT);

const swapped = (n: number, i: number, j: number) => {
  const order = inOrder(n);
  [order[i], order[j]] = [order[j], order[i]];
  return order;
};

const all: SymmetryGroup[] = [
  {
    ...shared,
    name: 'hidden-permutation',
    summary: 'hidden units in another order',
    orthogonal: true,
    keepsPicture: true,
    obstacle: always,
    sample: (spec, random) => hiddenPermutation(sizeOf(spec), random.permutation(spec.hidden)),
    generator: (spec, i, j) =>
      hiddenPermutation(
        sizeOf(spec),
        Uint32Array.from(swapped(spec.hidden, i % spec.hidden, j % spec.hidden)),
      ),
  },
  {
    ...shared,
    name: 'hidden-scaling',
    summary: 'hidden units scaled by positive numbers, undone in the output layer',
    orthogonal: false,
    keepsPicture: true,
    obstacle: spec => (spec.clip.hidden === null ? null : `${spec.name} clips its hidden units`),
    sample: (spec, random) =>
      hiddenScaling(
        sizeOf(spec),
        Float64Array.from({ length: spec.hidden }, () => 2 ** random.uniform(-2, 2)),
      ),
    generator: (spec, i, _, amount) => {
      const scale = new Float64Array(spec.hidden).fill(1);
      scale[i % spec.hidden] = 2 ** (2 * amount);
      return hiddenScaling(sizeOf(spec), scale);
    },
  },
  {
    ...shared,
    name: 'channel-permutation',
    summary: 'latent channels in another order',
    orthogonal: true,
    keepsPicture: true,
    obstacle: always,
    sample: (spec, random) =>
      signedPermutation(sizeOf(spec), LATENT, random.permutation(latents(spec)), ones(latents(spec))),
    generator(spec, i, j) {
      const [c, d] = [latent(spec, i), latent(spec, j)];
      if (c === null || d === null) return identity(sizeOf(spec));
      const n = latents(spec);
      return signedPermutation(sizeOf(spec), LATENT, swapped(n, c - LATENT, d - LATENT), ones(n));
    },
  },
  {
    ...shared,
    name: 'channel-sign',
    summary: 'latent channels with their signs flipped',
    orthogonal: true,
    keepsPicture: true,
    obstacle: always,
    sample: (spec, random) =>
      signedPermutation(sizeOf(spec), LATENT, inOrder(latents(spec)), randomSigns(latents(spec), random)),
    generator(spec, i) {
      const c = latent(spec, i);
      return c === null ? identity(sizeOf(spec)) : planeRotation(sizeOf(spec), c, c, -1);
    },
  },
  {
    ...shared,
    name: 'channel-rotation',
    summary: 'latent channels rotated or mirrored in their space',
    orthogonal: true,
    keepsPicture: true,
    obstacle: withoutClips,
    sample: (spec, random) => {
      const n = latents(spec);
      return orthogonalChange(sizeOf(spec), block(sizeOf(spec), LATENT, n, randomOrthogonal(n, random)));
    },
    generator(spec, i, j, amount) {
      const [c, d] = [latent(spec, i), latent(spec, j)];
      return c === null || d === null
        ? identity(sizeOf(spec))
        : planeRotation(sizeOf(spec), c, d, Math.PI * amount);
    },
  },
  {
    ...shared,
    name: 'channel-basis',
    summary: 'another basis of the latent channels, which may also take in the colours',
    orthogonal: false,
    keepsPicture: true,
    obstacle: withoutClips,
    sample(spec, random) {
      const size = sizeOf(spec);
      const n = latents(spec);
      const basis = block(size, LATENT, n, randomBasis(n, random));
      for (let c = LATENT; c < spec.channels; c++) {
        for (let k = 0; k < LATENT; k++) basis[c * spec.channels + k] = random.normal(0, 0.3);
      }
      return basisChange(size, basis);
    },
    generator(spec, i, j, amount) {
      const to = latent(spec, i);
      return to === null ? identity(sizeOf(spec)) : shear(sizeOf(spec), to, j % spec.channels, amount);
    },
  },
  {
    ...shared,
    name: 'colour',
    summary: 'colour channels swapped and inverted about grey',
    orthogonal: true,
    keepsPicture: false,
    obstacle: always,
    sample: (spec, random) =>
      signedPermutation(sizeOf(spec), 0, random.permutation(3), randomSigns(3, random)),
    generator: (spec, i, j) =>
      i % 3 === j % 3
        ? planeRotation(sizeOf(spec), i % 3, i % 3, -1)
        : signedPermutation(sizeOf(spec), 0, swapped(3, i % 3, j % 3), ones(3)),
  },
  {
    ...shared,
    name: 'hue',
    summary: 'hues rotated about grey',
    orthogonal: true,
    keepsPicture: false,
    obstacle: withoutClips,
    sample: (spec, random) => hue(spec, random.uniform(-Math.PI, Math.PI)),
    generator: (spec, _i, _j, amount) => hue(spec, Math.PI * amount),
  },
  {
    ...shared,
    name: 'colour-basis',
    summary: 'any invertible linear map of colours about grey',
    orthogonal: false,
    keepsPicture: false,
    obstacle: withoutClips,
    sample: (spec, random) => colourChange(sizeOf(spec), randomBasis(3, random)),
    generator: (spec, i, j, amount) => shear(sizeOf(spec), i % 3, j % 3, amount),
  },
  {
    ...shared,
    name: 'd4',
    summary: 'the picture turned by quarters or mirrored',
    orthogonal: true,
    keepsPicture: false,
    obstacle: always,
    sample: (spec, random) => gridTurn(sizeOf(spec), random.choice(GRID_TURNS)),
    generator: (spec, i) => gridTurn(sizeOf(spec), GRID_TURNS[[4, 6][i % 2]]),
  },
];

function hue(spec: NcaSpec, angle: number): SymmetryElement {
  const rotation = Float64Array.from(hueRotation(angle));
  return orthogonalChange(sizeOf(spec), block(sizeOf(spec), 0, 3, rotation));
}

/** Every symmetry group by name, registered ones included. */
export const SYMMETRIES = Object.fromEntries(all.map(group => [group.name, group])) as Record<
  SymmetryName,
  SymmetryGroup
>;

/** Names of all groups, the built-in ones first. */
export const SYMMETRY_NAMES: SymmetryName[] = all.map(({ name }) => name);

/** All elements of a finite group of picture symmetries: 8 of `d4`, 48 of `colour`, 384 of both. */
export function finiteOrbit(spec: NcaSpec, which: readonly ('colour' | 'd4')[]): SymmetryElement[] {
  const size = sizeOf(spec);
  const turns = which.includes('d4') ? GRID_TURNS.map(turn => gridTurn(size, turn)) : [identity(size)];
  const colours = which.includes('colour') ? colourElements(size) : [identity(size)];
  return turns.flatMap(turn => colours.map(colour => compose(turn, colour)));
}

function colourElements(size: ElementSize): SymmetryElement[] {
  const orders = [
    [0, 1, 2],
    [1, 0, 2],
    [0, 2, 1],
    [2, 1, 0],
    [1, 2, 0],
    [2, 0, 1],
  ];
  const signs = Array.from({ length: 8 }, (_, bits) => [0, 1, 2].map(k => (bits & (1 << k) ? -1 : 1)));
  return orders.flatMap(order => signs.map(sign => signedPermutation(size, 0, order, sign)));
}
