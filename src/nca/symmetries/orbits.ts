/**
 * Which weights a symmetry group cannot tell apart. Normalising by statistics shared over these orbits commutes with the group, so that a
 * pipeline of normalising, noising, preconditioning, denoising and sampling is equivariant as a whole.
 */
import { type NcaSpec, weightBlocks, weightCount } from '../spec.ts';
import type { SymmetryName } from './groups.ts';

/** A partition of the D coordinates of the flat weights: which share their statistics, and which have mean zero. */
export interface WeightOrbits {
  /** [D] coordinates with one number share their statistics. */
  readonly label: Int32Array;
  /** How many different labels there are: 0 .. count - 1. */
  readonly count: number;
  /** [D] 1 where the group's mean is zero, whatever the weights. */
  readonly centred: Uint8Array;
}

/** Orthogonal groups: no normaliser commutes with another. */
const KNOWN: readonly SymmetryName[] = [
  'hidden-permutation',
  'channel-permutation',
  'channel-sign',
  'channel-rotation',
  'colour',
  'hue',
  'd4',
];

/**
 * Which coordinates of the flat weights share mean and spread under the given groups. Coordinates that an element of the group can
 * negate or rotate into one another without fixing a direction have mean zero.
 */
export function weightOrbits(spec: NcaSpec, symmetries: readonly SymmetryName[]): WeightOrbits {
  const has = (...names: SymmetryName[]) => names.some(name => symmetries.includes(name));
  const foreign = symmetries.filter(name => !KNOWN.includes(name));
  if (foreign.length > 0)
    throw new Error(
      `${foreign.join(', ')}: no normaliser is known to commute with it: not one of ${KNOWN.join(', ')}, or not orthogonal`,
    );
  const hidden = (i: number) => (has('hidden-permutation') ? 0 : i);
  const channel = (c: number) => {
    if (c < 3) return has('colour', 'hue') ? 0 : c;
    return has('channel-permutation', 'channel-rotation') ? 3 : c;
  };
  const filter = (f: number) => (f === 2 && has('d4') ? 1 : f);
  const centredChannel = (c: number) => (c < 3 ? has('colour') : has('channel-sign', 'channel-rotation'));
  const label = new Int32Array(weightCount(spec));
  const centred = new Uint8Array(label.length);
  const numbers = new Map<string, number>();
  const numberOf = (key: string) => {
    if (!numbers.has(key)) numbers.set(key, numbers.size);
    return numbers.get(key)!;
  };
  for (const { name, shape, offset, size } of weightBlocks(spec)) {
    const columns = shape[1] ?? 1;
    for (let k = 0; k < size; k++) {
      const row = Math.floor(k / columns);
      const column = k % columns;
      const i = name === 'w2' ? column : name === 'b2' ? -1 : row;
      const c = name === 'w1' ? Math.floor(column / 4) : name === 'b1' ? -1 : row;
      const f = name === 'w1' ? column % 4 : 0;
      const key = [name, i < 0 ? '' : hidden(i), c < 0 ? '' : channel(c), filter(f)].join('/');
      label[offset + k] = numberOf(key);
      const sobel = f === 1 || f === 2;
      centred[offset + k] = (c >= 0 && centredChannel(c)) || (sobel && has('d4')) ? 1 : 0;
    }
  }
  return { label, count: numbers.size, centred };
}
